// Test help: the reference data of tests/data/golden.
#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>
#include <nlohmann/json.hpp>

#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace linnet::testing {

// A file of the golden directory, unpacked if it is a .gz.
inline std::string ReadGolden(const std::string& name) {
  const std::string path = LINNET_SOURCE_DIR "/tests/data/golden/" + name;
  std::string bytes;
  gzFile file = gzopen(path.c_str(), "rb");
  EXPECT_NE(file, nullptr) << path;
  if (file == nullptr) return bytes;
  std::vector<char> buffer(1 << 16);
  for (int n = 0; (n = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    bytes.append(buffer.data(), static_cast<size_t>(n));
  }
  gzclose(file);
  return bytes;
}

inline std::vector<nlohmann::ordered_json> ReadGoldenLines(const std::string& name) {
  std::vector<nlohmann::ordered_json> lines;
  std::istringstream in(ReadGolden(name));
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::ordered_json::parse(line));
  return lines;
}

inline const Tokenizer& SmallTokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer =
      TokenizerFromJson(ReadGolden("tokenizer/small/tokenizer.json")).value();
  return *tokenizer;
}

inline const Tokenizer& BigTokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer =
      TokenizerFromJson(ReadGolden("tokenizer/big/tokenizer.json.gz")).value();
  return *tokenizer;
}

// "name arguments" of each, "!" in front: not complete.
inline std::vector<std::string> Shown(const std::vector<ToolCall>& calls) {
  std::vector<std::string> shown;
  for (const ToolCall& call : calls)
    shown.push_back((call.complete ? "" : "!") + call.name + " " + call.arguments);
  return shown;
}

}  // namespace linnet::testing
