// Private to the tests of src/media: where their data lies, its JSON lines, how far pictures differ.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "media/picture.h"

namespace linnet {

inline std::filesystem::path GoldenPath(const std::string& inside) {
  return std::filesystem::path(LINNET_SOURCE_DIR "/tests/data/golden/preprocessing") / inside;
}

// Made by tools/make_test_media.cc, which says what they hold.
inline std::filesystem::path MediaPath(const std::string& name) {
  return LINNET_SOURCE_DIR "/tests/data/media/" + name;
}

inline std::filesystem::path FieldPath(const std::string& name) {
  return LINNET_SOURCE_DIR "/tests/data/field/" + name;
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

// The mean of the differences of all samples.
inline double Difference(const Picture& a, const Picture& b) {
  if (a.width != b.width || a.height != b.height) return 255;
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

}  // namespace linnet
