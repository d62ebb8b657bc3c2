#include "io/safetensors.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "io/json.h"

namespace linnet {
namespace {

std::vector<uint8_t> Make(const std::string& header, size_t data) {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<uint8_t>(header.size() >> (8 * i)));
  bytes.insert(bytes.end(), header.begin(), header.end());
  for (size_t i = 0; i < data; ++i) bytes.push_back(static_cast<uint8_t>(i));
  return bytes;
}

std::string ErrorOf(const std::string& header, size_t data) {
  const auto bytes = Make(header, data);
  const auto file = Safetensors::FromBytes(bytes, "test.safetensors");
  return file ? "" : file.error().Message();
}

TEST(SafetensorsTest, ReadsTensorsAndMetadata) {
  const auto bytes =
      Make(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
           R"("s":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}   )",
           16);
  const auto file = Safetensors::FromBytes(bytes, "test");
  ASSERT_TRUE(file) << file.error().Message();
  EXPECT_EQ((*file)->metadata().at("format"), "pt");
  const TensorInfo* a = (*file)->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(a->dtype, Dtype::kBf16);
  std::vector<uint8_t> scratch;
  EXPECT_EQ((*file)->Bytes(*a, 2, 4, scratch)[0], 6);
  EXPECT_EQ((*file)->Find("s")->elements(), 1);
}

TEST(SafetensorsTest, RefusesImpossibleHeaders) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(ErrorOf(good, 8), "");
  EXPECT_TRUE(ErrorOf(good, 7).contains("beyond"));
  EXPECT_TRUE(ErrorOf("[]", 0).contains("not a JSON object"));
  EXPECT_TRUE(ErrorOf("{", 0).contains("not valid JSON"));
  EXPECT_TRUE(ErrorOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 8).contains("\"a\""));
  EXPECT_TRUE(ErrorOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8).contains("\"a\""));
  EXPECT_TRUE(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}})", 8).contains("not a size"));
  EXPECT_TRUE(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8).contains("not a size"));
  EXPECT_TRUE(
      ErrorOf(R"({"a":{"dtype":"F8_E5M2","shape":[8],"data_offsets":[0,8]}})", 8).contains("F8_E5M2"));
  EXPECT_TRUE(ErrorOf(R"({"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,16]}})", 16)
                  .contains("not a size"));
  EXPECT_TRUE(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[281474976710656,281474976710656],"data_offsets":[0,0]}})", 0)
          .contains("impossible shape"));
  EXPECT_TRUE(
      ErrorOf(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616]}})",
          8)
          .contains("data_offsets"));
  EXPECT_TRUE(
      ErrorOf(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551611,18446744073709551615]}})",
          8)
          .contains("\"a\""));
  EXPECT_TRUE(ErrorOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                      8)
                  .contains("overlap"));
  EXPECT_TRUE(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                      8)
                  .contains("twice"));
  EXPECT_TRUE(ErrorOf(std::string(100000, '['), 0).contains("nested"));
}

TEST(SafetensorsTest, ShortFilesAndWrongLengthsAreErrors) {
  for (size_t length = 0; length < 8; ++length) {
    const std::vector<uint8_t> bytes(length, 0);
    EXPECT_FALSE(Safetensors::FromBytes(bytes, "short"));
  }
  std::vector<uint8_t> bytes(64, 0xff);
  EXPECT_TRUE(Safetensors::FromBytes(bytes, "text").error().Message().contains("header claims"));
}

class ShardedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() /
        ("linnet-sharded-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(directory_);
    Write("one.safetensors", Make(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
    Write("two.safetensors", Make(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void Write(const std::string& name, const std::vector<uint8_t>& bytes) {
    std::ofstream(directory_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Result<std::unique_ptr<Safetensors>> Open(const std::string& index) {
    Write("index.json", std::vector<uint8_t>(index.begin(), index.end()));
    return Safetensors::OpenSharded(directory_ / "index.json");
  }

  std::filesystem::path directory_;
};

TEST_F(ShardedTest, OpensEveryShardOnce) {
  const auto file = Open(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  ASSERT_TRUE(file) << file.error().Message();
  EXPECT_EQ((*file)->tensors().size(), 2u);
}

TEST_F(ShardedTest, RefusesIndexesThatDoNotFit) {
  EXPECT_TRUE(Open(R"({"weight_map":{"c":"one.safetensors"}})").error().Message().contains("\"c\""));
  EXPECT_TRUE(
      Open(R"({"weight_map":{"a":"../one.safetensors"}})").error().Message().contains("no plain file"));
  EXPECT_TRUE(Open(R"({"weight_map":{"a":7}})").error().Message().contains("no plain file"));
  EXPECT_TRUE(Open(R"({"weight_map":{}})").error().Message().contains("names 0 files"));
  EXPECT_TRUE(Open(R"({})").error().Message().contains("weight_map"));
  EXPECT_EQ(Open(R"({"weight_map":{"a":"three.safetensors"}})").error().code, ErrorCode::kNotFound);
}

TEST(SafetensorsTest, GoldenDirectoriesOpenAndAgree) {
  const std::filesystem::path root = LINNET_SOURCE_DIR "/tests/data/golden/model";
  const auto single = Safetensors::Open(root / "target/model.safetensors");
  const auto sharded = Safetensors::OpenSharded(root / "target-sharded/model.safetensors.index.json");
  ASSERT_TRUE(single) << single.error().Message();
  ASSERT_TRUE(sharded) << sharded.error().Message();
  ASSERT_EQ((*single)->tensors().size(), 109u);
  ASSERT_EQ((*sharded)->tensors().size(), 109u);
  std::vector<uint8_t> scratch;
  for (const TensorInfo& a : (*single)->tensors()) {
    const TensorInfo* b = (*sharded)->Find(a.name);
    ASSERT_NE(b, nullptr) << a.name;
    ASSERT_EQ(a.shape, b->shape);
    const auto x = (*single)->Bytes(a, 0, a.bytes, scratch);
    const auto y = (*sharded)->Bytes(*b, 0, b->bytes, scratch);
    ASSERT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << a.name;
  }
}

TEST(JsonTest, OtherEncodingsAreNamed) {
  using namespace std::string_literals;
  for (const std::string& text : {"\xff\xfe{\0}\0"s, "\xfe\xff\0{\0}"s, "{\0 \0 \0}\0"s}) {
    const auto value = ParseJson(text, "config.json");
    ASSERT_FALSE(value.has_value());
    EXPECT_EQ(value.error().what, "config.json: is a text in UTF-16, and JSON is UTF-8");
    EXPECT_EQ(value.error().hint, "save it as UTF-8");
  }
  EXPECT_TRUE(ParseJson("\xef\xbb\xbf{}"s, "config.json").has_value());
}

}  // namespace
}  // namespace linnet
