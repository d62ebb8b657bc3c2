// Private to the tests of src/media: the golden directory and its JSON lines.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace linnet {

inline std::filesystem::path GoldenPath(const std::string& inside) {
  return std::filesystem::path(LINNET_SOURCE_DIR "/tests/data/golden/preprocessing") / inside;
}

inline std::vector<nlohmann::json> ReadJsonLines(const std::string& inside) {
  std::ifstream in(GoldenPath(inside));
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(in, line);) rows.push_back(nlohmann::json::parse(line));
  EXPECT_FALSE(rows.empty()) << inside;
  return rows;
}

inline std::vector<uint8_t> ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace linnet
