// Matrices written by the packages that define the number formats: what is decoded here has the values'
// hashes.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/gguf.h"
#include "runtime/sha256.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kFormats = fs::path(LINNET_SOURCE_DIR) / "tests/data/formats";

json ReadIndex(const fs::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

// A whole matrix as float32.
std::vector<float> ValuesOf(const TensorSource& source, const TensorInfo& tensor) {
  std::vector<uint8_t> scratch;
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  DecodeRow(tensor.dtype, source.Bytes(tensor, 0, tensor.bytes, scratch).data(), values);
  return values;
}

// Of the values with -0 as 0, as the reference counts them.
std::string HashOf(std::vector<float> values) {
  for (float& value : values) {
    if (value == 0.0f) value = 0.0f;
  }
  return Sha256Hex(std::span<const float>(values));
}

TEST(FormatsTest, BlocksOfEveryGgmlTypeHaveTheReferencesValues) {
  const auto file = Gguf::Open(kFormats / "matrices/ggml.gguf");
  ASSERT_TRUE(file) << file.error().Message();
  const json index = ReadIndex(kFormats / "matrices/index.json");
  ASSERT_EQ(index["ggml"].size(), 105u);
  for (const json& entry : index["ggml"]) {
    const std::string name = entry["name"];
    const TensorInfo* tensor = (*file)->Find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(HashOf(ValuesOf(**file, *tensor)), entry["values_sha256"]) << name;
  }
}

}  // namespace
}  // namespace linnet
