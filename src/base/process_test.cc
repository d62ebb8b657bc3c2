#include "base/process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

namespace linnet {
namespace {

TEST(Process, PeakMemoryGrowsWithUse) {
  const uint64_t before = PeakResidentBytes();
  ASSERT_GT(before, 100'000u);
  std::vector<char> block(before + (64u << 20), 1);
  EXPECT_GE(PeakResidentBytes(), before + (32u << 20)) << static_cast<int>(block[block.size() / 2]);
}

TEST(Process, CtrlCSetsTheFlagAndASecondOneEnds) {
  InterruptGuard guard;
  EXPECT_FALSE(guard.flag());
  std::raise(SIGINT);
  EXPECT_TRUE(guard.flag());
  guard.Clear();
  EXPECT_FALSE(guard.flag());
  std::raise(SIGINT);
  std::raise(SIGINT);  // soon after the first: whoever looks at the flag still has time
  EXPECT_TRUE(guard.flag());
  std::this_thread::sleep_for(std::chrono::milliseconds(3100));
  EXPECT_EXIT(std::raise(SIGINT), testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace linnet
