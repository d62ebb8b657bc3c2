#include "runtime/stop_filter.h"

#include <gtest/gtest.h>

namespace linnet {
namespace {

// Feeds `text` in pieces of `size` and returns what came out.
std::string Filtered(const std::vector<std::string>& stops, const std::string& text, size_t size) {
  StopFilter filter(stops);
  std::string out;
  for (size_t i = 0; i < text.size(); i += size) {
    out += filter.Push(text.substr(i, size));
    // Nothing that has come out may have to be taken back.
    for (const std::string& stop : stops) {
      EXPECT_TRUE(stop.empty() || out.find(stop) == std::string::npos);
    }
  }
  return out + filter.Finish();
}

TEST(StopFilter, CutsAtTheStopTextHoweverTheTextArrives) {
  for (size_t size : {1, 2, 3, 5, 100}) {
    EXPECT_EQ(Filtered({"\nUser:"}, "hello\nUse it\nUser: more", size), "hello\nUse it");
    EXPECT_EQ(Filtered({"aab"}, "aaaaabx", size), "aaa");
    EXPECT_EQ(Filtered({"END", "STOP"}, "no ST but EN then STOPEND", size), "no ST but EN then ");
    EXPECT_EQ(Filtered({"xyz"}, "ends in xy", size), "ends in xy");
    EXPECT_EQ(Filtered({}, "anything", size), "anything");
    EXPECT_EQ(Filtered({""}, "anything", size), "anything");
  }
}

TEST(StopFilter, TheEarliestMatchCounts) {
  StopFilter filter({"late", "early"});
  EXPECT_EQ(filter.Push("an early and a late"), "an ");
  EXPECT_EQ(filter.match(), "early");
  EXPECT_EQ(filter.Push("more"), "");
  EXPECT_EQ(filter.Finish(), "");
}

TEST(StopFilter, HoldsBackOnlyWhatMayBecomeAStop) {
  StopFilter filter({"<end>"});
  EXPECT_EQ(filter.Push("abc<e"), "abc");
  EXPECT_EQ(filter.Push("x"), "<ex");
  EXPECT_FALSE(filter.matched());
}

}  // namespace
}  // namespace linnet
