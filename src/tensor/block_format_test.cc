#include "tensor/block_format.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/bf16.h"

namespace linnet {
namespace {

// A second reading of the layouts, element by element, that shares nothing with the decoder's loops.
float ElementAt(Dtype dtype, const uint8_t* b, int i) {
  auto half = [&](int at) { return HalfToFloat(static_cast<uint16_t>(b[at] + 256 * b[at + 1])); };
  auto nibble32 = [&](int at) { return i < 16 ? b[at + i] % 16 : b[at + i - 16] / 16; };
  auto bit = [&](int at, int index) { return (b[at + index / 8] >> (index % 8)) & 1; };
  const int sub = i / 32;  // sub-block of a K format
  auto k_scale = [&](int at) {
    return sub < 4 ? b[at + sub] % 64 : b[at + sub + 4] % 16 + 16 * (b[at + sub - 4] / 64);
  };
  auto k_min = [&](int at) {
    return sub < 4 ? b[at + sub + 4] % 64 : b[at + sub + 4] / 16 + 16 * (b[at + sub] / 64);
  };
  auto k_nibble = [&](int at) {
    const int byte = b[at + i / 64 * 32 + i % 32];
    return sub % 2 == 0 ? byte % 16 : byte / 16;
  };
  switch (dtype) {
    case Dtype::kQ4_0:
      return static_cast<float>(nibble32(2) - 8) * half(0);
    case Dtype::kQ4_1:
      return static_cast<float>(nibble32(4)) * half(0) + half(2);
    case Dtype::kQ5_0:
      return static_cast<float>(nibble32(6) + 16 * bit(2, i) - 16) * half(0);
    case Dtype::kQ5_1:
      return static_cast<float>(nibble32(8) + 16 * bit(4, i)) * half(0) + half(2);
    case Dtype::kQ8_0:
      return static_cast<float>(b[2 + i] < 128 ? b[2 + i] : b[2 + i] - 256) * half(0);
    case Dtype::kQ4K: {
      const float scale = half(0) * static_cast<float>(k_scale(4));
      return scale * static_cast<float>(k_nibble(16)) - half(2) * static_cast<float>(k_min(4));
    }
    case Dtype::kQ5K: {
      const float scale = half(0) * static_cast<float>(k_scale(4));
      const int q = k_nibble(48) + 16 * ((b[16 + i % 32] >> sub) & 1);
      return scale * static_cast<float>(q) - half(2) * static_cast<float>(k_min(4));
    }
    case Dtype::kQ6K: {
      const int h = i / 128, within = i % 128;
      const int low = b[64 * h + within % 64];
      const int q =
          (within < 64 ? low % 16 : low / 16) + 16 * ((b[128 + 32 * h + i % 32] >> (within / 32 * 2)) & 3);
      const int scale = static_cast<int8_t>(b[192 + i / 16]);
      return half(208) * static_cast<float>(scale) * static_cast<float>(q - 32);
    }
    default:
      return std::numeric_limits<float>::quiet_NaN();
  }
}

TEST(DtypeTest, TablesAgree) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const DtypeInfo& info = GetDtypeInfo(static_cast<Dtype>(i));
    EXPECT_EQ(DtypeFromName(info.name), info.dtype);
    if (info.ggml_type >= 0) {
      EXPECT_EQ(DtypeFromGgml(static_cast<uint32_t>(info.ggml_type)), info.dtype);
    }
    EXPECT_EQ(info.held == info.dtype, info.panel_bytes > 0 || IsWholeNumbers(info.dtype)) << info.name;
  }
  EXPECT_EQ(DtypeFromGgml(~0u), std::nullopt);
  EXPECT_EQ(DtypeFromSafetensors("BF16"), Dtype::kBf16);
  EXPECT_EQ(DtypeFromSafetensors(""), std::nullopt);
  EXPECT_EQ(DtypeFromName("q8_k"), std::nullopt);
  EXPECT_EQ(DtypeFromGgml(4), std::nullopt);
  EXPECT_EQ(RowBytes(Dtype::kQ6K, 3840), 3840u / 256 * 210);
  EXPECT_EQ(RowBytes(Dtype::kBf16, 640), 1280u);
}

TEST(BlockFormatTest, DecodesEveryQuantisedFormatAsWritten) {
  std::mt19937 rng(7);
  for (Dtype dtype : {Dtype::kQ4_0, Dtype::kQ4_1, Dtype::kQ5_0, Dtype::kQ5_1, Dtype::kQ8_0, Dtype::kQ4K,
                      Dtype::kQ5K, Dtype::kQ6K}) {
    const DtypeInfo& info = GetDtypeInfo(dtype);
    constexpr int kBlocks = 9;
    std::vector<uint8_t> bytes(static_cast<size_t>(kBlocks * info.block_bytes) + 1);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng());
    for (int block = 0; block < kBlocks; ++block) {  // finite scales: clear the top exponent bit of each half
      uint8_t* b = bytes.data() + 1 + block * info.block_bytes;
      if (dtype == Dtype::kQ6K) {
        b[209] &= 0xbf;
      } else {
        b[1] &= 0xbf;
        b[3] &= dtype == Dtype::kQ8_0 || dtype == Dtype::kQ4_0 || dtype == Dtype::kQ5_0 ? 0xff : 0xbf;
      }
    }
    std::vector<float> out(static_cast<size_t>(kBlocks * info.block_elements));
    DecodeRow(dtype, bytes.data() + 1, out);  // from a misaligned address
    for (size_t i = 0; i < out.size(); ++i) {
      const int block = static_cast<int>(i) / info.block_elements;
      const float expected = ElementAt(dtype, bytes.data() + 1 + block * info.block_bytes,
                                       static_cast<int>(i) % info.block_elements);
      ASSERT_EQ(out[i], expected) << info.name << " element " << i;
    }
  }
}

TEST(BlockFormatTest, DecodesPlainFormats) {
  const uint8_t f32[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
  const uint8_t f16[] = {0x00, 0x3c, 0x01, 0x00};
  const uint8_t bf16[] = {0x80, 0x3f, 0x78, 0x42};
  std::vector<float> out(2);
  DecodeRow(Dtype::kF32, f32, out);
  EXPECT_EQ(out, (std::vector<float>{1.0f, -2.0f}));
  DecodeRow(Dtype::kF16, f16, out);
  EXPECT_EQ(out, (std::vector<float>{1.0f, 0x1p-24f}));
  DecodeRow(Dtype::kBf16, bf16, out);
  EXPECT_EQ(out, (std::vector<float>{1.0f, 62.0f}));
}

// The hashes of reference values that src/eval compares cover the other formats; these two are not among
// them.
TEST(BlockFormatTest, DecodesFormatsOfOneAndTwoBits) {
  uint8_t one[18] = {0x00, 0xc0, 0b00000101};  // d = -2
  uint8_t two[18] = {0x00, 0x38, 0b11100100};  // d = 0.5
  std::vector<float> ones(128), twos(64);
  DecodeRow(Dtype::kQ1_0, one, ones);
  DecodeRow(Dtype::kQ2_0, two, twos);
  for (size_t i = 0; i < ones.size(); ++i) EXPECT_EQ(ones[i], i == 0 || i == 2 ? -2.0f : 2.0f) << i;
  EXPECT_EQ(std::vector<float>(twos.begin(), twos.begin() + 5),
            (std::vector<float>{-0.5f, 0.0f, 0.5f, 1.0f, -0.5f}));
}

TEST(BlockFormatTest, DecodesSmallFloats) {
  uint8_t mx[17] = {127, 0x7b, 0x12};               // 2^0; 6 and -1.5 (low nibble first), 0.5 and 1
  uint8_t nv[36] = {0x38, 0x01, 0x7f, 0xb8, 0x7b};  // 1, 2^-9, nothing, 1 whatever the sign
  nv[4 + 8] = 0x02, nv[4 + 16] = 0x02, nv[4 + 24] = 0x02;
  std::vector<float> a(32), b(64);
  DecodeRow(Dtype::kMxfp4, mx, a);
  DecodeRow(Dtype::kNvfp4, nv, b);
  EXPECT_EQ(a[0], -1.5f);
  EXPECT_EQ(a[16], 6.0f);
  EXPECT_EQ(a[1], 1.0f);
  EXPECT_EQ(a[17], 0.5f);
  EXPECT_EQ(b[0], -1.5f);
  EXPECT_EQ(b[8], 6.0f);
  EXPECT_EQ(b[16], 0x1p-9f);
  EXPECT_EQ(b[32], 0.0f);
  EXPECT_EQ(b[48], 1.0f);
  mx[0] = 0;  // 2^-127: half of it is subnormal
  DecodeRow(Dtype::kMxfp4, mx, a);
  EXPECT_EQ(a[17], 0x1p-128f);
}

TEST(BlockFormatTest, FormatsWithoutKernelsAreHeldWithoutLoss) {
  std::mt19937 rng(11);
  int formats = 0;
  for (int i = 0; i < kDtypeCount; ++i) {
    const DtypeInfo& info = GetDtypeInfo(static_cast<Dtype>(i));
    if (info.held == info.dtype) continue;
    ++formats;
    std::vector<uint8_t> bytes(RowBytes(info.dtype, 256 * 40));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng());
    std::vector<uint8_t> held(RowBytes(info.held, 256 * 40));
    std::vector<float> values(256 * 40), again(values.size());
    DecodeRow(info.dtype, bytes.data(), values);
    RecodeRow(info.dtype, bytes.data(), values.size(), held.data());
    DecodeRow(info.held, held.data(), again);
    for (size_t j = 0; j < values.size(); ++j) {
      ASSERT_TRUE(values[j] == again[j] || (std::isnan(values[j]) && std::isnan(again[j])))
          << info.name << " element " << j << ": " << values[j] << " and " << again[j];
    }
  }
  EXPECT_GE(formats, 13);
}

TEST(BlockFormatTest, Q8_0RoundsHalvesAwayFromZero) {
  std::vector<float> values(32, 0.0f);
  values[0] = 127.0f, values[1] = 0.5f, values[2] = -0.5f, values[3] = -126.5f, values[4] = 2.49f;
  std::vector<uint8_t> block(34);
  EncodeRow(Dtype::kQ8_0, values, block.data());
  EXPECT_EQ(block[0] | block[1] << 8, 0x3c00);  // d = 1
  const int expected[] = {127, 1, -1, -127, 2, 0};
  for (int j = 0; j < 6; ++j) EXPECT_EQ(static_cast<int8_t>(block[2 + j]), expected[j]) << j;
}

TEST(BlockFormatTest, Q4_0TakesTheFirstLargestAsMinusEight) {
  std::vector<float> values(32, 0.0f);
  values[0] = 8.0f, values[1] = -8.0f, values[2] = 1.0f, values[16] = -7.0f, values[17] = 0.49f;
  std::vector<uint8_t> block(18);
  EncodeRow(Dtype::kQ4_0, values, block.data());
  EXPECT_EQ(block[0] | block[1] << 8, 0xbc00);  // d = 8 / -8 = -1
  EXPECT_EQ(block[2] & 15, 0);                  // 8 / -1 + 8.5 = 0.5
  EXPECT_EQ(block[3] & 15, 15);                 // 16.5 is cut to 15
  EXPECT_EQ(block[4] & 15, 7);                  // -1 + 8.5
  EXPECT_EQ(block[2] >> 4, 15);                 // 15.5
  EXPECT_EQ(block[3] >> 4, 8);                  // 8.01
}

TEST(BlockFormatTest, EncodingStaysWithinHalfAStep) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(32 * 64), back(values.size());
  for (float& v : values) v = normal(rng);
  for (Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBf16, Dtype::kQ8_0, Dtype::kQ4_0}) {
    std::vector<uint8_t> bytes(RowBytes(dtype, values.size()));
    EncodeRow(dtype, values, bytes.data());
    DecodeRow(dtype, bytes.data(), back);
    const bool plain = GetDtypeInfo(dtype).block_elements == 1;
    for (size_t i = 0; i < values.size(); ++i) {
      float max = 0;
      for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) max = std::max(max, std::fabs(values[j]));
      // Half a step, and the rounding of the step itself to half precision (2^-11) over at most 127 or 8
      // steps; the top nibble of q4_0 is cut by up to one step.
      const float bound = plain ? std::fabs(values[i]) * (dtype == Dtype::kF32 ? 0.0f : 0x1p-8f)
                          : dtype == Dtype::kQ8_0 ? max / 127 * 0.57f
                                                  : max / 8 * 1.01f;
      ASSERT_LE(std::fabs(values[i] - back[i]), bound + 1e-7f) << GetDtypeInfo(dtype).name << " " << i;
    }
  }
}

TEST(BlockFormatTest, EncodesZerosAndNonFiniteWithoutHarm) {
  for (Dtype dtype : {Dtype::kQ8_0, Dtype::kQ4_0}) {
    std::vector<float> values(32, 0.0f), back(32);
    std::vector<uint8_t> bytes(RowBytes(dtype, 32));
    EncodeRow(dtype, values, bytes.data());
    DecodeRow(dtype, bytes.data(), back);
    EXPECT_EQ(back, values);
    values[3] = std::numeric_limits<float>::infinity();
    values[5] = std::numeric_limits<float>::quiet_NaN();
    EncodeRow(dtype, values, bytes.data());  // must not be undefined behaviour
  }
}

TEST(BlockFormatTest, OnlySimpleFormatsCanBeEncoded) {
  EXPECT_TRUE(CanEncode(Dtype::kQ4_0));
  EXPECT_FALSE(CanEncode(Dtype::kQ4K));
  EXPECT_FALSE(CanEncode(Dtype::kI64));
}

}  // namespace
}  // namespace linnet
