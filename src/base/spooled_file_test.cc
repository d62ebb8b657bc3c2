#include "base/spooled_file.h"

#include <fstream>
#include <iterator>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "base/process.h"

namespace linnet {
namespace {

std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class SpooledFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove(fifo_);
    ASSERT_EQ(::mkfifo(fifo_.c_str(), 0600), 0);
  }
  std::filesystem::path fifo_ = std::filesystem::path(::testing::TempDir()) / "spooled.fifo";
};

TEST_F(SpooledFileTest, WhatComesThroughAFifoCanBeReadTwice) {
  EXPECT_TRUE(SpooledFile::IsStream(fifo_));
  const std::string content(3'000'001, 'x');
  std::thread writer([&] { std::ofstream(fifo_, std::ios::binary) << content; });
  const auto file = SpooledFile::Open(fifo_);
  writer.join();
  ASSERT_TRUE(file.has_value()) << file.error().Message();
  EXPECT_EQ(std::filesystem::file_size((*file)->path()), content.size());
  EXPECT_EQ(ReadWhole((*file)->path()), content);
  EXPECT_EQ(ReadWhole((*file)->path()), content);
  EXPECT_FALSE(SpooledFile::IsStream((*file)->path()));
}

TEST_F(SpooledFileTest, MoreThanTheLimitIsRefused) {
  std::thread writer([&] { std::ofstream(fifo_, std::ios::binary) << std::string(1001, 'x'); });
  const auto file = SpooledFile::Open(fifo_, 1000);
  writer.join();
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().what.find("gives more than 1000 bytes"), std::string::npos) << file.error().what;
}

// Nobody ever opens the other end.
TEST_F(SpooledFileTest, CtrlCEndsTheWait) {
  const InterruptGuard guard;
  std::thread hand([] { ::kill(::getpid(), SIGINT); });
  const auto file = SpooledFile::Open(fifo_);
  hand.join();
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kCancelled);
  EXPECT_FALSE(MappedFile::Open(fifo_).has_value());  // and it waits for nobody
}

TEST(SpooledFile, FilesAndNothingAreNoStreams) {
  EXPECT_FALSE(SpooledFile::IsStream("/nowhere/pipe"));
  EXPECT_FALSE(SpooledFile::IsStream(::testing::TempDir()));
  EXPECT_FALSE(SpooledFile::IsStream("/dev/null"));
}

}  // namespace
}  // namespace linnet
