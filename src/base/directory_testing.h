// For tests that write files: a directory of their own, which is gone afterwards.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

namespace linnet {

inline std::string ReadBytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteBytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class DirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::path(::testing::TempDir()) /
            ("linnet_" + std::string(test.test_suite_name()) + "_" + test.name());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string File(const std::string& name) const { return (root_ / name).string(); }
  // Makes a file of these lines, and the folders that it lies in.
  void File(const std::string& path, const std::string& lines) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << lines << "\n";
  }

  std::filesystem::path root_;
};

}  // namespace linnet
