#include "io/scaled_gguf.h"

#include <bit>
#include <cstring>

#include <gtest/gtest.h>

#include "io/gguf_test_bytes.h"

namespace linnet {
namespace {

constexpr uint32_t kTypeF32 = 0, kTypeNvfp4 = 40;

// Two rows of 64: the scales of both are 1.25 (E4M3), the first element of each row is 6. `scale` is a third
// tensor.
std::vector<uint8_t> NvfpFile(float scale, uint32_t scale_type, std::string_view scale_name) {
  GgufBytes b;
  b.Header(4, 0);
  b.Tensor("blk.0.attn_q.weight", {64, 2}, kTypeNvfp4, 0);
  b.Tensor(scale_name, {1}, scale_type, 96);
  b.Tensor("blk.0.attn_q.input_scale", {1}, kTypeF32, 128);
  b.Tensor("blk.0.attn_norm.weight", {1}, kTypeF32, 160);
  b.Pad();
  for (int row = 0; row < 2; ++row) {
    for (int i = 0; i < 4; ++i) b.Number(0x3a, 1);
    b.Number(7, 1);
    b.Zeros(31);
  }
  b.Pad();
  for (int i = 0; i < 3; ++i) {
    b.Number(std::bit_cast<uint32_t>(scale), 4);
    b.Pad();
  }
  return b.data;
}

Result<std::unique_ptr<TensorSource>> OpenScaled(const std::vector<uint8_t>& bytes) {
  LINNET_ASSIGN(std::unique_ptr<Gguf> file, Gguf::FromBytes(bytes, "test.gguf"));
  return WithScales(std::move(file));
}

TEST(ScaledGgufTest, MultipliesMatricesByTheirScale) {
  const float scale = 0.1f;
  const std::vector<uint8_t> bytes = NvfpFile(scale, kTypeF32, "blk.0.attn_q.scale");
  const auto source = OpenScaled(bytes);
  ASSERT_TRUE(source) << source.error().Message();
  EXPECT_EQ((*source)->tensors().size(), 2u);
  EXPECT_EQ((*source)->Find("blk.0.attn_q.scale"), nullptr);
  EXPECT_EQ((*source)->Find("blk.0.attn_q.input_scale"), nullptr);
  ASSERT_NE((*source)->Find("blk.0.attn_norm.weight"), nullptr);
  const TensorInfo* matrix = (*source)->Find("blk.0.attn_q.weight");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->dtype, Dtype::kF32);
  EXPECT_EQ(matrix->bytes, 512u);
  std::vector<uint8_t> scratch;
  float value = 0;  // from the middle of a row on
  std::memcpy(&value, (*source)->Bytes(*matrix, 256, 8, scratch).data(), sizeof value);
  EXPECT_EQ(value, 1.25f * 6.0f * scale);
  std::memcpy(&value, (*source)->Bytes(*matrix, 4, 252, scratch).data(), sizeof value);
  EXPECT_EQ(value, 0.0f);
}

TEST(ScaledGgufTest, FilesWithoutScalesComeBackAsTheyAre) {
  const std::vector<uint8_t> bytes = NvfpFile(1.0f, kTypeF32, "other");
  const auto source = OpenScaled(bytes);
  ASSERT_TRUE(source) << source.error().Message();
  EXPECT_EQ((*source)->Find("blk.0.attn_q.weight")->dtype, Dtype::kNvfp4);
}

TEST(ScaledGgufTest, RefusesWhatIsNoFactor) {
  for (const std::vector<uint8_t>& bytes :
       {NvfpFile(std::numeric_limits<float>::infinity(), kTypeF32, "blk.0.attn_q.scale"),
        NvfpFile(1.0f, 26, "blk.0.attn_q.scale")}) {
    const auto source = OpenScaled(bytes);
    ASSERT_FALSE(source);
    EXPECT_TRUE(source.error().Message().contains("no factor")) << source.error().Message();
  }
}

}  // namespace
}  // namespace linnet
