#include "base/locked_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/directory_testing.h"

namespace linnet {
namespace {

class LockedFileTest : public DirectoryTest {
 protected:
  static std::span<const uint8_t> Bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  static std::string Content(const LockedFile& file) {
    const auto map = file.Map();
    EXPECT_TRUE(map.has_value());
    return {map->bytes().begin(), map->bytes().end()};
  }
};

TEST_F(LockedFileTest, AppearsWhenItIsPublishedAndReplacesNothing) {
  {
    auto file = LockedFile::Begin(File("a"));
    ASSERT_TRUE(file && file->Write(0, Bytes("hello")));
    EXPECT_FALSE(std::filesystem::exists(File("a")));
    EXPECT_FALSE(LockedFile::Begin(File("a")).has_value());
    ASSERT_TRUE(file->Publish() && file->Sync());
    EXPECT_EQ(Content(*file), "hello");
    EXPECT_FALSE(LockedFile::Open(File("a"), LockedFile::Use::kRead).has_value());
  }
  EXPECT_TRUE(LockedFile::Open(File("a"), LockedFile::Use::kRead).has_value());
  auto late = LockedFile::Begin(File("b"));
  ASSERT_TRUE(late);
  std::ofstream(File("b")) << "mine";
  EXPECT_FALSE(late->Publish());
  EXPECT_EQ(std::filesystem::file_size(File("b")), 4u);
}

TEST_F(LockedFileTest, LeavesNothingOfWhatWasBegun) {
  {
    const auto file = LockedFile::Begin(File("a"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(root_));
  std::ofstream(File("a.linnet-new")) << "left by a program that was killed";
  const auto file = LockedFile::Begin(File("a"));
  ASSERT_TRUE(file);
  EXPECT_EQ(*file->Size(), 0u);
}

// A program was killed after it had published and before the other name was gone.
TEST_F(LockedFileTest, WhatHasTheNameOfAFreshOneBesideItsOwnIsNotEmptied) {
  std::ofstream(File("a")) << "published";
  std::filesystem::create_hard_link(File("a"), File("a.linnet-new"));
  {
    const auto file = LockedFile::Open(File("a"), LockedFile::Use::kWrite);
    ASSERT_TRUE(file);
    EXPECT_FALSE(std::filesystem::exists(File("a.linnet-new")));
  }
  std::filesystem::create_hard_link(File("a"), File("a.linnet-new"));
  std::filesystem::rename(File("a"), File("moved"));
  auto fresh = LockedFile::Begin(File("a"));
  ASSERT_TRUE(fresh && fresh->Write(0, Bytes("other")) && fresh->Publish());
  EXPECT_EQ(Content(*fresh), "other");
  const auto moved = LockedFile::Open(File("moved"), LockedFile::Use::kRead);
  ASSERT_TRUE(moved);
  EXPECT_EQ(Content(*moved), "published");
}

TEST_F(LockedFileTest, IsMadePrivateOnlyWhenAsked) {
  const auto mode = [&] {
    struct stat info{};
    EXPECT_EQ(::stat(File("a").c_str(), &info), 0);
    return info.st_mode & 07777;
  };
  for (const mode_t others : {0755u, 0644u}) {
    std::ofstream(File("a")) << "somebody's";
    ASSERT_EQ(::chmod(File("a").c_str(), others), 0);
    auto file = LockedFile::Open(File("a"), LockedFile::Use::kWrite);
    ASSERT_TRUE(file);
    EXPECT_EQ(mode(), others) << "it may be no file of ours";
    file->RestrictToOwner();
    EXPECT_EQ(mode(), 0600u);
  }
}

TEST_F(LockedFileTest, ClearedRangesAreZeros) {
  auto file = LockedFile::Begin(File("a"));
  ASSERT_TRUE(file && file->Write(0, Bytes(std::string(20000, 'x'))) && file->Resize(40000));
  EXPECT_FALSE(*file->IsClear(0, 40000));
  EXPECT_TRUE(*file->IsClear(20000, 20000));
  ASSERT_TRUE(file->Clear(100, 15000));
  EXPECT_TRUE(*file->IsClear(100, 15000));
  EXPECT_FALSE(*file->IsClear(99, 10));
  EXPECT_FALSE(*file->IsClear(15000, 101));
  EXPECT_EQ(*file->Size(), 40000u);
}

TEST_F(LockedFileTest, ALinkToNothingIsRefusedAtOnce) {
  std::filesystem::create_symlink(File("nothing"), File("link"));
  const auto begun = LockedFile::Begin(File("link"));
  ASSERT_FALSE(begun);
  EXPECT_NE(begun.error().what.find("link to a file that is not there"), std::string::npos);
  std::ofstream(File("nothing")) << "hello";
  EXPECT_TRUE(LockedFile::Open(File("link"), LockedFile::Use::kWrite).has_value());
}

TEST_F(LockedFileTest, AFileThatLostItsNameIsNotWrittenOn) {
  std::ofstream(File("a")) << "hello";
  auto file = LockedFile::Open(File("a"), LockedFile::Use::kWrite);
  ASSERT_TRUE(file && file->Sync());
  std::filesystem::remove(File("a"));
  const Status synced = file->Sync();
  ASSERT_FALSE(synced);
  EXPECT_NE(synced.error().what.find("deleted"), std::string::npos);
}

TEST_F(LockedFileTest, WhatIsNoFileIsRefused) {
  for (const LockedFile::Use use : {LockedFile::Use::kRead, LockedFile::Use::kWrite}) {
    EXPECT_EQ(LockedFile::Open(File("none"), use).error().code, ErrorCode::kNotFound);
    EXPECT_FALSE(LockedFile::Open(root_, use).has_value());
    EXPECT_FALSE(LockedFile::Open("/dev/null", use).has_value());
  }
  ASSERT_EQ(::mkfifo(File("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(LockedFile::Open(File("fifo"), LockedFile::Use::kRead).has_value());
  EXPECT_FALSE(LockedFile::Begin(File("none/a")).has_value());
}

}  // namespace
}  // namespace linnet
