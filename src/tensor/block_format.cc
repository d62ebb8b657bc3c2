#include "tensor/block_format.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/bf16.h"
#include "base/check.h"
#include "tensor/load.h"
#include "tensor/small_float.h"
#include "tensor/whole_block.h"

namespace linnet {
namespace {

void DecodeQ4_0(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  const uint8_t* q = block + 2;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((q[j] & 15) - 8) * d;
    out[j + 16] = static_cast<float>((q[j] >> 4) - 8) * d;
  }
}

void DecodeQ4_1(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  const float m = LoadHalf(block + 2);
  const uint8_t* q = block + 4;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(q[j] & 15) * d + m;
    out[j + 16] = static_cast<float>(q[j] >> 4) * d + m;
  }
}

// The fifth bit of element j is bit j of qh.
int FifthBit(uint32_t qh, int j) { return static_cast<int>((qh >> j) & 1u) << 4; }

void DecodeQ5_0(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  const uint32_t qh = LoadU32(block + 2);
  const uint8_t* q = block + 6;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(((q[j] & 15) | FifthBit(qh, j)) - 16) * d;
    out[j + 16] = static_cast<float>(((q[j] >> 4) | FifthBit(qh, j + 16)) - 16) * d;
  }
}

void DecodeQ5_1(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  const float m = LoadHalf(block + 2);
  const uint32_t qh = LoadU32(block + 4);
  const uint8_t* q = block + 8;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((q[j] & 15) | FifthBit(qh, j)) * d + m;
    out[j + 16] = static_cast<float>((q[j] >> 4) | FifthBit(qh, j + 16)) * d + m;
  }
}

void DecodeQ8_0(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(static_cast<int8_t>(block[2 + j])) * d;
}

struct ScaleMin {
  int scale;
  int min;
};

// The eight 6-bit scales and minima of Q4_K and Q5_K share 12 bytes.
ScaleMin LoadScaleMin(const uint8_t* s, int b) {
  if (b < 4) return {s[b] & 63, s[b + 4] & 63};
  return {(s[b + 4] & 15) | ((s[b - 4] >> 6) << 4), (s[b + 4] >> 4) | ((s[b] >> 6) << 4)};
}

void DecodeQ4K(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  const float dmin = LoadHalf(block + 2);
  const uint8_t* q = block + 16;
  for (int b = 0; b < 8; ++b) {
    const ScaleMin s = LoadScaleMin(block + 4, b);
    const float scale = d * static_cast<float>(s.scale);
    const float min = dmin * static_cast<float>(s.min);
    for (int l = 0; l < 32; ++l) {
      const uint8_t byte = q[32 * (b / 2) + l];
      const int nibble = b % 2 == 0 ? byte & 15 : byte >> 4;
      out[32 * b + l] = scale * static_cast<float>(nibble) - min;
    }
  }
}

void DecodeQ5K(const uint8_t* block, float* out) {
  const float d = LoadHalf(block);
  const float dmin = LoadHalf(block + 2);
  const uint8_t* qh = block + 16;
  const uint8_t* q = block + 48;
  for (int b = 0; b < 8; ++b) {
    const ScaleMin s = LoadScaleMin(block + 4, b);
    const float scale = d * static_cast<float>(s.scale);
    const float min = dmin * static_cast<float>(s.min);
    for (int l = 0; l < 32; ++l) {
      const uint8_t byte = q[32 * (b / 2) + l];
      const int low = b % 2 == 0 ? byte & 15 : byte >> 4;
      const int value = low | (((qh[l] >> b) & 1) << 4);
      out[32 * b + l] = scale * static_cast<float>(value) - min;
    }
  }
}

void DecodeQ6K(const uint8_t* block, float* out) {
  const float d = LoadHalf(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + 64 * half;
    const uint8_t* high = block + 128 + 32 * half;
    const uint8_t* scales = block + 192 + 8 * half;
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int l = 0; l < 32; ++l) {
        const uint8_t byte = low[l + 32 * (quarter & 1)];
        const int nibble = quarter < 2 ? byte & 15 : byte >> 4;
        const int value = nibble | (((high[l] >> (2 * quarter)) & 3) << 4);
        const float scale = d * static_cast<float>(static_cast<int8_t>(scales[2 * quarter + l / 16]));
        out[128 * half + 32 * quarter + l] = scale * static_cast<float>(value - 32);
      }
    }
  }
}

// Two-bit fields; a scale and a minimum of four bits for every 16 elements.
void DecodeQ2K(const uint8_t* block, float* out) {
  const uint8_t* q = block + 16;
  const float d = LoadHalf(block + 80);
  const float dmin = LoadHalf(block + 82);
  for (int i = 0; i < 256; ++i) {
    const float scale = d * static_cast<float>(block[i / 16] & 15);
    out[i] = scale * static_cast<float>(PairAt(q, i)) - dmin * static_cast<float>(block[i / 16] >> 4);
  }
}

void DecodeNvfp4(const uint8_t* block, float* out) {
  for (int i = 0; i < 64; ++i) {
    const uint8_t byte = block[4 + i / 16 * 8 + i % 8];
    out[i] = UnsignedE4m3ToFloat(block[i / 16]) * E2m1ToFloat(i % 16 < 8 ? byte & 15 : byte >> 4);
  }
}

// max|x| / 127 is the step; halves round away from zero. What is not finite cannot be represented and becomes
// 0.
void EncodeQ8_0(const float* values, uint8_t* block) {
  float max = 0.0f;
  for (int j = 0; j < 32; ++j) max = std::max(max, std::fabs(values[j]));
  const float d = max / 127.0f;
  StoreU16(FloatToHalf(d), block);
  for (int j = 0; j < 32; ++j) {
    const float q = d > 0.0f ? std::round(values[j] / d) : 0.0f;
    block[2 + j] = static_cast<uint8_t>(static_cast<int8_t>(std::fabs(q) <= 127.0f ? q : 0.0f));
  }
}

int EncodeNibble(float value, float d) {
  const float q = d != 0.0f ? value / d + 8.5f : 8.5f;
  if (!(q >= 0.0f)) return 0;
  return q < 15.0f ? static_cast<int>(q) : 15;
}

// The element of largest magnitude (the first of several) becomes exactly -8 steps.
void EncodeQ4_0(const float* values, uint8_t* block) {
  float largest = 0.0f;
  for (int j = 0; j < 32; ++j) {
    if (std::fabs(values[j]) > std::fabs(largest)) largest = values[j];
  }
  const float d = largest / -8.0f;
  StoreU16(FloatToHalf(d), block);
  for (int j = 0; j < 16; ++j) {
    block[2 + j] = static_cast<uint8_t>(EncodeNibble(values[j], d) | (EncodeNibble(values[j + 16], d) << 4));
  }
}

using DecodeBlock = void (*)(const uint8_t* block, float* out);

DecodeBlock BlockDecoder(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return [](const uint8_t* p, float* out) { *out = std::bit_cast<float>(LoadU32(p)); };
    case Dtype::kF16:
      return [](const uint8_t* p, float* out) { *out = LoadHalf(p); };
    case Dtype::kBf16:
      return [](const uint8_t* p, float* out) { *out = Bf16ToFloat(LoadU16(p)); };
    case Dtype::kQ4_0:
      return DecodeQ4_0;
    case Dtype::kQ4_1:
      return DecodeQ4_1;
    case Dtype::kQ5_0:
      return DecodeQ5_0;
    case Dtype::kQ5_1:
      return DecodeQ5_1;
    case Dtype::kQ8_0:
      return DecodeQ8_0;
    case Dtype::kQ4K:
      return DecodeQ4K;
    case Dtype::kQ5K:
      return DecodeQ5K;
    case Dtype::kQ6K:
      return DecodeQ6K;
    case Dtype::kQ2K:
      return DecodeQ2K;
    case Dtype::kNvfp4:
      return DecodeNvfp4;
    case Dtype::kF8E4m3:
      return [](const uint8_t* p, float* out) { *out = E4m3ToFloat(*p); };
    default:
      return nullptr;
  }
}

void DecodeWhole(SplitBlock split, const DtypeInfo& info, const uint8_t* blocks, std::span<float> out) {
  WholeBlock whole;
  const size_t step = static_cast<size_t>(info.block_elements);
  for (size_t i = 0; i < out.size(); i += step, blocks += info.block_bytes) {
    split(blocks, whole);
    for (size_t j = 0; j < step; ++j) {
      out[i + j] = whole.d * static_cast<float>(whole.scales[j / 16]) * static_cast<float>(whole.quants[j]);
    }
  }
}

}  // namespace

void DecodeRow(Dtype dtype, const uint8_t* blocks, std::span<float> out) {
  const DtypeInfo& info = GetDtypeInfo(dtype);
  const size_t step = static_cast<size_t>(info.block_elements);
  LINNET_CHECK(out.size() % step == 0);
  if (dtype == Dtype::kF32 && std::endian::native == std::endian::little) {
    if (!out.empty()) std::memcpy(out.data(), blocks, out.size_bytes());
    return;
  }
  if (const SplitBlock split = BlockSplitter(dtype)) return DecodeWhole(split, info, blocks, out);
  const DecodeBlock decode = BlockDecoder(dtype);
  LINNET_CHECK(decode != nullptr);
  for (size_t i = 0; i < out.size(); i += step, blocks += info.block_bytes) decode(blocks, out.data() + i);
}

bool CanEncode(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16 || dtype == Dtype::kQ8_0 ||
         dtype == Dtype::kQ4_0;
}

void EncodeRow(Dtype dtype, std::span<const float> values, uint8_t* blocks) {
  LINNET_CHECK(CanEncode(dtype));
  const DtypeInfo& info = GetDtypeInfo(dtype);
  const size_t step = static_cast<size_t>(info.block_elements);
  LINNET_CHECK(values.size() % step == 0);
  if (dtype == Dtype::kF32 && std::endian::native == std::endian::little) {
    if (!values.empty()) std::memcpy(blocks, values.data(), values.size_bytes());
    return;
  }
  for (size_t i = 0; i < values.size(); i += step, blocks += info.block_bytes) {
    const float* in = values.data() + i;
    if (dtype == Dtype::kQ8_0) {
      EncodeQ8_0(in, blocks);
    } else if (dtype == Dtype::kQ4_0) {
      EncodeQ4_0(in, blocks);
    } else if (dtype == Dtype::kF32) {
      const uint32_t bits = std::bit_cast<uint32_t>(*in);
      StoreU16(static_cast<uint16_t>(bits & 0xffff), blocks);
      StoreU16(static_cast<uint16_t>(bits >> 16), blocks + 2);
    } else {
      StoreU16(dtype == Dtype::kF16 ? FloatToHalf(*in) : FloatToBf16(*in), blocks);
    }
  }
}

}  // namespace linnet
