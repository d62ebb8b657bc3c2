#include "base/mapped_file.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace linnet {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override { std::ofstream(path_, std::ios::binary) << std::string(1 << 16, 'a'); }
  void TearDown() override { fs::remove(path_); }

  const fs::path path_ = fs::path(testing::TempDir()) / "linnet_mapped_file";
};

TEST_F(MappedFileTest, TellsWhetherItHasChanged) {
  const auto file = MappedFile::Open(path_);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->CheckUnchanged());
  fs::permissions(path_, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(file->CheckUnchanged()) << "its bytes are what they were";
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary) << "b";
  const Status changed = file->CheckUnchanged();
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::kBadFile);
  EXPECT_NE(changed.error().what.find("linnet_mapped_file"), std::string::npos);
}

TEST_F(MappedFileTest, ATimeOfWritingThatWasPutBackDeceivesNobody) {
  const auto file = MappedFile::Open(path_);
  ASSERT_TRUE(file);
  const auto written = fs::last_write_time(path_);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary) << "b";
  fs::last_write_time(path_, written);
  EXPECT_FALSE(file->CheckUnchanged());
}

TEST_F(MappedFileTest, AnotherFileMovedToItsNameChangesNothing) {
  const auto file = MappedFile::Open(path_);
  ASSERT_TRUE(file);
  std::ofstream(path_.string() + ".new") << "another";
  fs::rename(path_.string() + ".new", path_);
  EXPECT_TRUE(file->CheckUnchanged());
  EXPECT_EQ(file->bytes()[0], 'a');
}

TEST_F(MappedFileTest, AFaultInACutFileEndsTheProgramWithItsName) {
  EXPECT_EXIT(
      {
        ExitWhenMappedFilesAreCut();
        const auto file = MappedFile::Open(path_);
        fs::resize_file(path_, 10);
        std::printf("%d", file->bytes()[1 << 15]);
      },
      testing::ExitedWithCode(1), "linnet_mapped_file: was cut");
}

}  // namespace
}  // namespace linnet
