#include "base/write_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>

namespace linnet {
namespace {

namespace fs = std::filesystem;

class WriteFile : public testing::Test {
 protected:
  WriteFile() { fs::create_directories(root_); }
  ~WriteFile() override { fs::remove_all(root_); }

  const fs::path root_ = fs::temp_directory_path() / ("linnet_write_" + std::to_string(getpid()));
};

TEST_F(WriteFile, ReplacesWhatIsThereAndLeavesNothingElse) {
  for (const std::string content : {"first", "the second"}) {
    ASSERT_TRUE(WriteWholeFile(root_ / "a", content));
    std::ifstream file(root_ / "a");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), content);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), {}), 1);
}

TEST_F(WriteFile, SaysWhyThereIsNoPlace) {
  const Status missing = WriteWholeFile(root_ / "no" / "a", "x");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalidArgument);
  fs::create_directories(root_ / "folder" / "full");
  EXPECT_FALSE(WriteWholeFile(root_ / "folder", "x"));
  EXPECT_FALSE(fs::exists(root_ / "folder.new"));
  EXPECT_EQ(CannotWrite("a", ENOSPC).error().code, ErrorCode::kBadFile);
}

TEST_F(WriteFile, MakesDirectories) {
  EXPECT_TRUE(MakeDirectory(root_ / "b" / "c"));
  EXPECT_TRUE(MakeDirectory(root_ / "b" / "c"));
  EXPECT_TRUE(MakeDirectory(root_ / "slash/"));
  ASSERT_TRUE(WriteWholeFile(root_ / "file", "x"));
  EXPECT_FALSE(MakeDirectory(root_ / "file"));
  EXPECT_FALSE(MakeDirectory(root_ / "file" / "d"));
}

}  // namespace
}  // namespace linnet
