// Matrices written by the packages that define the number formats: what is decoded here has the values'
// hashes.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/gguf.h"
#include "io/quantised_tensors.h"
#include "io/safetensors.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "runtime/sha256.h"
#include "tensor/block_format.h"
#include "tensor/block_search.h"

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

// Of the search for blocks: no larger than of the encoder that the type comes from, in what each of them
// makes small.
TEST(FormatsTest, BlocksThatAreSearchedLoseNoMoreThanGgmls) {
  const auto source = Safetensors::Open(kFormats / "matrices/source.safetensors");
  ASSERT_TRUE(source) << source.error().Message();
  const json index = ReadIndex(kFormats / "matrices/index.json");
  int compared = 0;
  for (const json& entry : index["ggml"]) {
    const Dtype dtype = *DtypeFromName(std::string(entry["type"]));
    if (!CanSearch(dtype) || !entry.contains("error")) continue;
    const std::string letter = entry["source"];
    const std::vector<float> x = ValuesOf(**source, *(*source)->Find(letter));
    const std::vector<float> importance = ValuesOf(**source, *(*source)->Find("importance." + letter));
    const size_t columns = importance.size();
    const bool weighted = entry["importance"];
    std::vector<uint8_t> blocks(RowBytes(dtype, columns));
    std::vector<float> y(columns);
    double off = 0, all = 0;
    for (size_t begin = 0; begin < x.size(); begin += columns) {
      const std::span<const float> row = std::span(x).subspan(begin, columns);
      SearchRow(dtype, row, weighted ? std::span<const float>(importance) : std::span<const float>(),
                blocks.data());
      DecodeRow(dtype, blocks.data(), y);
      for (size_t i = 0; i < columns; ++i) {
        const double w = weighted ? importance[i] : 1.0;
        off += w * (row[i] - y[i]) * (row[i] - y[i]);
        all += w * row[i] * row[i];
      }
    }
    ++compared;
    EXPECT_LE(off / all, entry[weighted ? "error_weighted" : "error"].get<double>()) << entry["name"];
  }
  EXPECT_EQ(compared, 46);
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

// The tensors of a file whose names begin with `module`, as a file of their own.
std::vector<uint8_t> ModuleAlone(const Safetensors& file, const std::string& module) {
  json header = json::object();
  std::vector<uint8_t> data, scratch;
  for (const TensorInfo& tensor : file.tensors()) {
    if (!tensor.name.starts_with(module + ".")) continue;
    const auto bytes = file.Bytes(tensor, 0, tensor.bytes, scratch);
    header[tensor.name] = {{"dtype", GetDtypeInfo(tensor.dtype).safetensors},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data.insert(data.end(), bytes.begin(), bytes.end());
  }
  const std::string text = header.dump();
  std::vector<uint8_t> out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<uint8_t>(text.size() >> (8 * i)));
  out.insert(out.end(), text.begin(), text.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

// The entry of config.json that would stand beside a matrix of the index.
json EntryFor(const std::string& family, const json& matrix) {
  if (family == "mlx") {
    return {{"mode", matrix["mode"]}, {"bits", matrix["bits"]}, {"group_size", matrix["group_size"]}};
  }
  if (family == "compressed-tensors") {
    return {{"quant_method", family}, {"config_groups", {{"group_0", {{"weights", matrix["weights"]}}}}}};
  }
  const std::string name = matrix["name"];
  if (name.starts_with("modelopt")) return {{"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}};
  if (name.starts_with("bnb")) return {{"quant_method", "bitsandbytes"}};
  json entry = matrix;
  entry["quant_method"] = name.substr(0, name.find('-'));
  return entry;
}

class Containers : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    index_ = ReadIndex(kFormats / "matrices/index.json")[family_];
    auto file = Safetensors::Open(kFormats / "matrices" / (family_ + ".safetensors"));
    ASSERT_TRUE(file) << file.error().Message();
    file_ = std::move(*file);
  }

  // What is read of `bytes`, which must outlive it.
  Result<std::unique_ptr<TensorSource>> Open(const json& matrix, std::span<const uint8_t> bytes) const {
    const json config = {{"quantization_config", EntryFor(family_, matrix)}};
    LINNET_ASSIGN(const Quantisation quantisation, ReadQuantisation(config.dump(), ""));
    LINNET_ASSIGN(std::unique_ptr<Safetensors> alone, Safetensors::FromBytes(bytes, "test"));
    return Dequantised(std::move(alone), quantisation);
  }

  const std::string family_ = GetParam();
  json index_;
  std::unique_ptr<Safetensors> file_;
};

TEST_P(Containers, MatricesHaveTheReferencesValues) {
  int read = 0;
  for (const json& matrix : index_) {
    const std::string name = matrix["name"];
    const std::vector<uint8_t> bytes = ModuleAlone(*file_, name);
    const auto source = Open(matrix, bytes);
    if (name.starts_with("bnb")) {
      EXPECT_TRUE(!source && source.error().Message().contains("bitsandbytes"));
      continue;
    }
    ASSERT_TRUE(source) << source.error().Message();
    const TensorInfo* tensor = (*source)->Find(name + ".weight");
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->shape, matrix["shape"].get<std::vector<int64_t>>()) << name;
    EXPECT_EQ(HashOf(ValuesOf(**source, *tensor)), matrix["values_sha256"]) << name;
    ++read;
  }
  EXPECT_GE(read, 8);
}

// A damaged container gives an error or some values, and touches nothing that is not its own.
TEST_P(Containers, FlippedBitsAndCutsAreErrorsOrValues) {
  std::mt19937 rng(17);
  for (const json& matrix : index_) {
    const std::vector<uint8_t> bytes = ModuleAlone(*file_, matrix["name"]);
    for (int i = 0; i < 60; ++i) {
      std::vector<uint8_t> damaged = bytes;
      const size_t header = 8 + bytes[0] + 256u * bytes[1];
      const size_t range = i % 4 == 0 ? bytes.size() : header;
      damaged[rng() % range] ^= static_cast<uint8_t>(1 << (rng() % 8));
      if (i % 8 == 7) damaged.resize(rng() % bytes.size());
      const auto source = Open(matrix, damaged);
      if (!source) {
        EXPECT_FALSE(source.error().what.empty());
        continue;
      }
      for (const TensorInfo& tensor : (*source)->tensors()) {
        if (!IsWholeNumbers(tensor.dtype)) ValuesOf(**source, tensor);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Containers, ::testing::Values("mlx", "compressed-tensors", "other"));

TEST(FormatsTest, ModelsOfEveryContainerHaveTheReferencesValues) {
  const json models = ReadIndex(kFormats / "model/values.json")["models"];
  EXPECT_EQ(models.size(), 12u);
  for (const auto& [name, hashes] : models.items()) {
    const std::string path = kFormats / "model" / (name == "gguf-mixed" ? name + ".gguf" : name);
    const auto files = OpenModel(path, "", "");
    ASSERT_TRUE(files) << files.error().Message();
    size_t compared = 0;
    for (const ExpectedTensor& expected : TextTensors(files->config)) {
      const auto hash = hashes.find(HfName(expected.role, expected.layer));
      if (hash == hashes.end()) continue;
      const auto values = ReadFloats(*files->text, expected.role, expected.layer);
      ASSERT_TRUE(values) << values.error().Message();
      EXPECT_EQ(HashOf(*values), *hash) << name << " " << hash.key();
      ++compared;
    }
    EXPECT_EQ(compared, hashes.size()) << name;
  }
}

// What is held in few bits and what in many, as docs/formats.md says it.
TEST(FormatsTest, MatricesAreHeldInTheSmallestFormatThatLosesNothing) {
  const std::pair<const char*, Dtype> held[] = {
      {"mlx-affine-4", Dtype::kQ4_1}, {"mlx-mxfp4", Dtype::kMxfp4},    {"mlx-nvfp4", Dtype::kBf16},
      {"ct-w4a16", Dtype::kQ4_0},     {"ct-w4a16-asym", Dtype::kQ5_0}, {"ct-fp8-dynamic", Dtype::kF32},
      {"ct-nvfp4a16", Dtype::kF32},   {"gptq-mlp", Dtype::kQ4_0},      {"awq", Dtype::kQ5_0},
      {"modelopt-nvfp4", Dtype::kF32}};
  for (const auto& [name, dtype] : held) {
    const auto files = OpenModel(kFormats / "model" / name, "", "");
    ASSERT_TRUE(files) << files.error().Message();
    EXPECT_EQ(FindTensor(*files->text, Role::kUp, 0)->dtype, dtype) << name;
    EXPECT_FALSE(files->quantisation.name.empty());
  }
  // The rows of the first are half a block.
  const auto nvfp4 = OpenModel(kFormats / "model/mlx-nvfp4", "", "");
  ASSERT_TRUE(nvfp4) << nvfp4.error().Message();
  EXPECT_EQ(FindTensor(*nvfp4->text, Role::kDown, 0)->dtype, Dtype::kNvfp4);
}

}  // namespace
}  // namespace linnet
