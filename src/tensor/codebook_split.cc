// The formats with codebooks, IQ1 to IQ3, as products of whole numbers.
#include <bit>

#include "base/bf16.h"
#include "tensor/codebooks.h"
#include "tensor/load.h"
#include "tensor/whole_block.h"

namespace linnet {
namespace {

constexpr int8_t kMagnitudes2[4] = {8, 25, 43, 0};
constexpr int8_t kMagnitudes3Xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62};

int8_t Signed(int8_t magnitude, uint32_t signs, int j) {
  return (signs >> j) & 1 ? static_cast<int8_t>(-magnitude) : magnitude;
}

// Seven signs stored: the eighth makes their number even.
uint32_t EightSigns(uint32_t seven) { return seven | static_cast<uint32_t>(std::popcount(seven) & 1) << 7; }

void PutEight(uint16_t entry, uint32_t signs, int8_t* out) {
  for (int j = 0; j < 8; ++j) out[j] = Signed(kMagnitudes2[(entry >> (2 * j)) & 3], signs, j);
}

int8_t OddScale(int s) { return static_cast<int8_t>(2 * s + 1); }

// d (0.5 + s) / 4 = (d / 8) (2 s + 1).
void SplitIq2Xxs(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block) * 0.125f;
  for (int b = 0; b < 8; ++b) {
    const uint8_t* indices = block + 2 + 8 * b;
    const uint32_t rest = LoadU32(indices + 4);
    out.scales[2 * b] = out.scales[2 * b + 1] = OddScale(static_cast<int>(rest >> 28));
    for (int k = 0; k < 4; ++k) {
      PutEight(kIq2Xxs[indices[k]], EightSigns((rest >> (7 * k)) & 127), &out.quants[32 * b + 8 * k]);
    }
  }
}

void SplitIq2Xs(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block) * 0.125f;
  for (int n = 0; n < 16; ++n) out.scales[n] = OddScale(NibbleAt(block + 66, n));
  for (int k = 0; k < 32; ++k) {
    const uint32_t word = LoadU16(block + 2 + 2 * k);
    PutEight(kIq2Xs[word & 511], EightSigns(word >> 9), &out.quants[8 * k]);
  }
}

void SplitIq2S(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block) * 0.125f;
  const uint8_t *low = block + 2, *signs = block + 34, *high = block + 66;
  for (int n = 0; n < 16; ++n) out.scales[n] = OddScale(NibbleAt(block + 74, n));
  for (int k = 0; k < 32; ++k) {
    const int index = low[k] | ((high[k / 4] >> (2 * (k % 4))) & 3) << 8;
    PutEight(kIq2S[index], signs[k], &out.quants[8 * k]);
  }
}

// d (0.5 + s) / 2 = (d / 4) (2 s + 1).
void SplitIq3Xxs(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block) * 0.25f;
  const uint8_t *indices = block + 2, *words = block + 66;
  for (int b = 0; b < 8; ++b) {
    const uint32_t word = LoadU32(words + 4 * b);
    out.scales[2 * b] = out.scales[2 * b + 1] = OddScale(static_cast<int>(word >> 28));
    for (int i = 0; i < 32; ++i) {
      const uint32_t signs = EightSigns((word >> (7 * (i / 8))) & 127);
      const uint16_t entry = kIq3Xxs[indices[8 * b + i / 4]];
      out.quants[32 * b + i] = Signed(kMagnitudes3Xxs[(entry >> (4 * (i % 4))) & 7], signs, i % 8);
    }
  }
}

void SplitIq3S(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block);
  const uint8_t *low = block + 2, *high = block + 66, *signs = block + 74;
  for (int b = 0; b < 8; ++b) out.scales[2 * b] = out.scales[2 * b + 1] = OddScale(NibbleAt(block + 106, b));
  for (int i = 0; i < 256; ++i) {
    const int k = i / 4;
    const uint16_t entry = kIq3S[low[k] | ((high[k / 8] >> (k % 8)) & 1) << 8];
    const int8_t magnitude = static_cast<int8_t>(2 * ((entry >> (4 * (i % 4))) & 7) + 1);
    out.quants[i] = Signed(magnitude, signs[i / 8], i % 8);
  }
}

// grid + delta = (8 grid ± 1) / 8, the eighth goes into d.
void PutEightTernary(uint16_t entry, bool minus, int8_t* out) {
  for (int j = 0; j < 8; ++j) {
    out[j] = static_cast<int8_t>(8 * (((entry >> (2 * j)) & 3) - 1) + (minus ? -1 : 1));
  }
}

void SplitIq1S(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block) * 0.125f;
  for (int b = 0; b < 8; ++b) {
    const uint32_t word = LoadU16(block + 34 + 2 * b);
    out.scales[2 * b] = out.scales[2 * b + 1] = OddScale((word >> 12) & 7);
    for (int k = 0; k < 4; ++k) {
      const uint32_t index = block[2 + 4 * b + k] | ((word >> (3 * k)) & 7) << 8;
      PutEightTernary(kIq1[index], word >> 15, &out.quants[32 * b + 8 * k]);
    }
  }
}

void SplitIq1M(const uint8_t* block, WholeBlock& out) {
  const uint8_t *high = block + 32, *scales = block + 48;
  uint32_t d = 0;  // its four nibbles are the highest of the four words of scales
  for (int i = 0; i < 4; ++i) d |= static_cast<uint32_t>(scales[2 * i + 1] >> 4) << (4 * i);
  out.d = HalfToFloat(static_cast<uint16_t>(d)) * 0.125f;
  for (int n = 0; n < 16; ++n) {
    out.scales[n] = OddScale((LoadU16(scales + n / 4 * 2) >> (3 * (n % 4))) & 7);
  }
  for (int k = 0; k < 32; ++k) {
    const int nibble = NibbleAt(high, k);
    PutEightTernary(kIq1[block[k] | (nibble & 7) << 8], (nibble & 8) != 0, &out.quants[8 * k]);
  }
}

}  // namespace

SplitBlock CodebookSplitter(Dtype dtype) {
  switch (dtype) {
    case Dtype::kIq2Xxs:
      return SplitIq2Xxs;
    case Dtype::kIq2Xs:
      return SplitIq2Xs;
    case Dtype::kIq2S:
      return SplitIq2S;
    case Dtype::kIq3Xxs:
      return SplitIq3Xxs;
    case Dtype::kIq3S:
      return SplitIq3S;
    case Dtype::kIq1S:
      return SplitIq1S;
    case Dtype::kIq1M:
      return SplitIq1M;
    default:
      return nullptr;
  }
}

}  // namespace linnet
