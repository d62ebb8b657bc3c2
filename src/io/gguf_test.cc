#include "io/gguf.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "io/gguf_test_bytes.h"

namespace linnet {
namespace {

using ::testing::Test;

std::string ErrorOf(const std::vector<uint8_t>& data) {
  const auto file = Gguf::FromBytes(data, "test.gguf");
  return file ? "" : file.error().Message();
}

GgufBytes Small(uint32_t version = 3) {
  GgufBytes b;
  b.Header(2, 7, version);
  b.Text("general.architecture", "gemma4");
  b.U32("gemma4.block_count", 2);
  b.F32("eps", 1e-6f);
  b.Array("kv", GgufType::kI32, 2), b.Number(8, 4), b.Number(static_cast<uint32_t>(-1), 4);
  b.Array("same", GgufType::kU16, 3), b.Number(5, 2), b.Number(5, 2), b.Number(5, 2);
  b.Array("tokens", GgufType::kString, 3), b.String("a"), b.String(""), b.String("▁b");
  b.Key("flag", GgufType::kBool), b.Number(1, 1);
  b.Tensor("m", {64, 3}, 2, 0);  // q4_0 [3, 64]
  b.Tensor("v", {5}, 0, 128);    // f32 [5]
  b.Pad();
  for (int i = 0; i < 128 + 20; ++i) b.Number(static_cast<uint64_t>(i), 1);
  return b;
}

TEST(GgufTest, ReadsMetadataAndTensors) {
  for (const uint32_t version : {2u, 3u}) {
    const GgufBytes b = Small(version);
    const auto file = Gguf::FromBytes(b.data, "test.gguf");
    ASSERT_TRUE(file) << file.error().Message();
    const GgufMetadata& m = (*file)->metadata();
    EXPECT_EQ(**m.GetString("general.architecture"), "gemma4");
    EXPECT_EQ(**m.GetInt("gemma4.block_count"), 2);
    EXPECT_FLOAT_EQ(static_cast<float>(**m.GetFloat("eps")), 1e-6f);
    EXPECT_EQ(*m.GetInts("kv"), (std::vector<int64_t>{8, -1}));
    EXPECT_EQ(**m.GetInt("same"), 5);  // an array where a scalar is wanted
    EXPECT_EQ(*m.GetInts("gemma4.block_count"), std::vector<int64_t>{2});  // and the reverse
    EXPECT_FALSE(m.GetInt("kv"));
    EXPECT_EQ(*m.GetStrings("tokens"), (std::vector<std::string_view>{"a", "", "▁b"}));
    EXPECT_TRUE(**m.GetBool("flag"));
    EXPECT_EQ(*m.GetInt("absent"), std::nullopt);
    EXPECT_TRUE(m.GetStrings("absent")->empty());
    EXPECT_TRUE(m.GetInt("eps").error().what.contains("\"eps\""));

    const TensorInfo* matrix = (*file)->Find("m");
    ASSERT_NE(matrix, nullptr);
    EXPECT_EQ(matrix->shape, (std::vector<int64_t>{3, 64}));
    EXPECT_EQ(matrix->dtype, Dtype::kQ4_0);
    EXPECT_EQ(matrix->bytes, 108u);
    std::vector<uint8_t> scratch;
    const auto bytes = (*file)->Bytes(*(*file)->Find("v"), 4, 16, scratch);
    EXPECT_EQ(bytes[0], 132);
    EXPECT_EQ((*file)->Find("x"), nullptr);
  }
}

TEST(GgufTest, RefusesWhatIsNotAReadableGguf) {
  EXPECT_TRUE(ErrorOf({}).contains("empty"));
  EXPECT_TRUE(ErrorOf(std::vector<uint8_t>(100, 'x')).contains("not a GGUF file"));
  EXPECT_TRUE(ErrorOf(Small(1).data).contains("version 1"));
  GgufBytes big;
  big.Header(0, 0, 0x03000000);
  EXPECT_TRUE(ErrorOf(big.data).contains("big-endian"));
}

TEST(GgufTest, NamesTheNumberFormatsItDoesNotRead) {
  const std::pair<uint32_t, const char*> formats[] = {{15, "number format 15 (Q8_K)"},
                                                      {28, "F64"},
                                                      {31, "Q4_0_4_4"},
                                                      {36, "IQ4_NL_4_4"},
                                                      {43, "43, which is not known"},
                                                      {137, "137, which is of a fork of ggml"},
                                                      {0x7fffffff, "2147483647, which is not known"}};
  for (const auto& [type, name] : formats) {
    GgufBytes b;
    b.Header(1, 0);
    b.Tensor("blk.0.attn_q.weight", {256}, type, 0);
    b.Pad();
    b.Zeros(1024);
    EXPECT_TRUE(ErrorOf(b.data).contains(name)) << ErrorOf(b.data);
    EXPECT_TRUE(ErrorOf(b.data).contains("blk.0.attn_q.weight"));
  }
}

TEST(GgufTest, EveryTruncationIsAnErrorThatNamesTheFile) {
  const std::vector<uint8_t> whole = Small().data;
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    const std::string error = ErrorOf(cut);
    ASSERT_TRUE(error.contains("test.gguf")) << length;
  }
}

TEST(GgufTest, ClaimsBeyondTheFileCostNothing) {
  GgufBytes counts;
  counts.Header(uint64_t{1} << 60, 0);
  EXPECT_TRUE(ErrorOf(counts.data).contains("claimed"));
  for (const GgufType type : {GgufType::kString, GgufType::kArray, GgufType::kF64, GgufType::kU8}) {
    GgufBytes array;
    array.Header(0, 1);
    array.Array("huge", type, ~uint64_t{0} / 4);
    array.Zeros(64);
    EXPECT_TRUE(ErrorOf(array.data).contains("\"huge\"")) << static_cast<int>(type);
  }
  GgufBytes string;
  string.Header(0, 1);
  string.Key("k", GgufType::kString), string.Number(~uint64_t{0}, 8);
  EXPECT_FALSE(ErrorOf(string.data).empty());
  GgufBytes nested;
  nested.Header(0, 1);
  nested.Key("deep", GgufType::kArray);
  for (int i = 0; i < 1000; ++i) nested.Number(9, 4), nested.Number(1, 8);
  EXPECT_TRUE(ErrorOf(nested.data).contains("deep"));
}

std::string TensorError(std::vector<uint64_t> ne, uint32_t type, uint64_t offset, size_t data = 64) {
  GgufBytes b;
  b.Header(1, 0);
  b.Tensor("t", std::move(ne), type, offset);
  b.Pad();
  b.Zeros(data);
  return ErrorOf(b.data);
}

TEST(GgufTest, RefusesImpossibleTensors) {
  EXPECT_EQ(TensorError({16}, 0, 0), "");
  EXPECT_TRUE(TensorError({17}, 0, 0).contains("beyond"));
  EXPECT_TRUE(TensorError({1}, 0, 7).contains("multiple of 32"));
  EXPECT_TRUE(TensorError({1}, 0, ~uint64_t{31}).contains("multiple of"));  // offset + start wraps
  EXPECT_TRUE(TensorError({1}, 0, uint64_t{1} << 62).contains("beyond"));
  EXPECT_TRUE(TensorError({33}, 2, 0).contains("blocks of 32"));
  EXPECT_TRUE(TensorError({16}, 15, 0).contains("number format 15"));
  EXPECT_TRUE(TensorError({uint64_t{1} << 63}, 0, 0).contains("dimension"));
  EXPECT_TRUE(TensorError({1 << 20, 1 << 20, 1 << 20, 1 << 20}, 0, 0).contains("impossible shape"));
  EXPECT_TRUE(TensorError({1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 0).contains("9 dimensions"));
  EXPECT_EQ(TensorError({0, uint64_t{1} << 40}, 0, 0), "");  // empty, and no overflow on the way
}

TEST(GgufTest, RefusesDuplicatesAndOverlaps) {
  GgufBytes keys;
  keys.Header(0, 2);
  keys.U32("a", 1), keys.U32("a", 2);
  EXPECT_TRUE(ErrorOf(keys.data).contains("twice"));
  GgufBytes names;
  names.Header(2, 0);
  names.Tensor("t", {1}, 0, 0), names.Tensor("t", {1}, 0, 32);
  names.Pad(), names.Zeros(64);
  EXPECT_TRUE(ErrorOf(names.data).contains("twice"));
  GgufBytes overlap;
  overlap.Header(2, 0);
  overlap.Tensor("t", {16}, 0, 0), overlap.Tensor("u", {1}, 0, 32);
  overlap.Pad(), overlap.Zeros(64);
  EXPECT_TRUE(ErrorOf(overlap.data).contains("overlap"));
  GgufBytes alignment;
  alignment.Header(0, 1);
  alignment.U32("general.alignment", 0);
  EXPECT_TRUE(ErrorOf(alignment.data).contains("general.alignment"));
}

class GgufSplitTest : public Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() /
        ("linnet-split-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path Write(int part, int count, std::string_view tensor, uint32_t total) {
    GgufBytes b;
    b.Header(1, 4);
    b.Text("general.name", part == 0 ? "first" : "later");
    b.Key("split.no", GgufType::kU16), b.Number(static_cast<uint64_t>(part), 2);
    b.Key("split.count", GgufType::kU16), b.Number(static_cast<uint64_t>(count), 2);
    b.U32("split.tensors.count", total);
    b.Tensor(tensor, {1}, 0, 0);
    b.Pad();
    b.Zeros(4);
    const auto path =
        directory_ / ("m-0000" + std::to_string(part + 1) + "-of-0000" + std::to_string(count) + ".gguf");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(b.data.data()), static_cast<std::streamsize>(b.data.size()));
    return path;
  }

  std::filesystem::path directory_;
};

TEST_F(GgufSplitTest, OpensAllPartsFromAnyOfThem) {
  const auto first = Write(0, 2, "a", 2);
  const auto second = Write(1, 2, "b", 2);
  for (const auto& path : {first, second}) {
    const auto file = Gguf::Open(path);
    ASSERT_TRUE(file) << file.error().Message();
    EXPECT_EQ((*file)->tensors().size(), 2u);
    EXPECT_EQ(**(*file)->metadata().GetString("general.name"), "first");
  }
}

TEST_F(GgufSplitTest, MissingOrForeignPartsAreErrors) {
  const auto first = Write(0, 2, "a", 2);
  const std::string missing = Gguf::Open(first).error().Message();
  EXPECT_TRUE(missing.contains("m-00002-of-00002.gguf") && missing.contains("part 2 of 2 is missing"))
      << missing;
  Write(1, 2, "a", 2);
  EXPECT_TRUE(Gguf::Open(first).error().Message().contains("twice"));
  Write(1, 2, "b", 2), Write(0, 2, "a", 3);
  EXPECT_TRUE(Gguf::Open(first).error().Message().contains("split.tensors.count"));
  const auto renamed = directory_ / "renamed.gguf";
  std::filesystem::copy(first, renamed);
  EXPECT_TRUE(Gguf::Open(renamed).error().Message().contains("does not end in"));
}

TEST(GgufTest, MissingFileIsNotFound) {
  const auto file = Gguf::Open("/nonexistent/model.gguf");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace linnet
