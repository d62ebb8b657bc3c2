#include "runtime/prompt_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace linnet {
namespace {

// A machine on which a step of so many turns takes this long.
struct Machine {
  double base, turn, row;
  double Seconds(int64_t writing, int64_t rows) const {
    return base + turn * static_cast<double>(writing) + row * static_cast<double>(rows);
  }
};

// The longest step of many with prompts beside `writing` turns, over one without; `read`: rows that came in.
double LongestStep(const Machine& machine, int64_t writing, int64_t& read) {
  PromptShare share(16);
  double longest = 0;
  for (int step = 0; step < 500; ++step) {
    const int64_t rows = share.Rows(writing, 512);
    const double seconds = machine.Seconds(writing, rows);
    share.Took(writing, rows, seconds);
    longest = std::max(longest, seconds / machine.Seconds(writing, 0));
    read += rows;
  }
  return longest;
}

TEST(PromptShare, TurnsThatWriteWaitLessThanTwice) {
  const Machine machines[] = {{0.15, 0.002, 0.02}, {0.01, 0.001, 0.0002}, {0.005, 0.0005, 0.0000002}};
  for (const Machine& machine : machines) {
    for (const int64_t writing : {1, 3, 16}) {
      int64_t read = 0;
      EXPECT_LT(LongestStep(machine, writing, read), 2.0) << machine.row << " " << writing;
      const double would = 0.5 * machine.Seconds(writing, 0) / machine.row;
      EXPECT_GT(static_cast<double>(read) / 500, 0.9 * std::min(would, 500.0))
          << machine.row << " " << writing;
    }
  }
}

TEST(PromptShare, APromptIsReadHoweverDearARowIs) {
  int64_t read = 0;
  LongestStep({0.01, 0, 10.0}, 2, read);
  EXPECT_GE(read, 490);
}

TEST(PromptShare, MeasuresAgainWhatAStepTakesWithoutPrompts) {
  PromptShare share(4);
  EXPECT_EQ(share.Rows(2, 64), 0);  // nothing is known
  share.Took(2, 0, 0.1);
  int64_t without = 0;
  for (int step = 0; step < 200; ++step) {
    const int64_t rows = share.Rows(2, 64);
    without += rows == 0;
    share.Took(2, rows, 0.1 + 0.001 * static_cast<double>(rows));
  }
  EXPECT_GE(without, 2);
  EXPECT_LE(without, 4);
}

TEST(PromptShare, OneTurnMoreIsNoUnknown) {
  PromptShare share(4);
  share.Took(1, 0, 0.1);
  EXPECT_GT(share.Rows(3, 64), 0);
  EXPECT_GT(share.Rows(4, 64), 0);
}

}  // namespace
}  // namespace linnet
