#include "tensor/whole_block.h"

#include <cmath>

#include "tensor/load.h"
#include "tensor/small_float.h"

namespace linnet {
namespace {

// Sixteen bytes hold 32 elements: the low nibbles the first sixteen.
template <typename Value>
void PutNibbles(const uint8_t* bytes, Value value, int8_t* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = value(bytes[j] & 15);
    out[j + 16] = value(bytes[j] >> 4);
  }
}

void SplitQ3K(const uint8_t* block, WholeBlock& out) {
  const uint8_t *high = block, *low = block + 32, *s = block + 96;
  out.d = LoadHalf(block + 108);
  for (int b = 0; b < 16; ++b) {
    const int four = (s[b % 8] >> (b < 8 ? 0 : 4)) & 15;
    const int two = (s[8 + b % 4] >> (2 * (b / 4))) & 3;
    out.scales[b] = static_cast<int8_t>((four | two << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const bool bit = (high[i % 32] >> (i / 32)) & 1;
    out.quants[i] = static_cast<int8_t>(PairAt(low, i) - (bit ? 0 : 4));
  }
}

void SplitIq4Nl(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block);
  out.scales.fill(1);
  PutNibbles(block + 2, [](int q) { return kIq4Levels[static_cast<size_t>(q)]; }, out.quants.data());
}

void SplitIq4Xs(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block);
  const int high = LoadU16(block + 2);
  for (int b = 0; b < 8; ++b) {
    const int scale = NibbleAt(block + 4, b) | ((high >> (2 * b)) & 3) << 4;
    out.scales[2 * b] = out.scales[2 * b + 1] = static_cast<int8_t>(scale - 32);
    PutNibbles(
        block + 8 + 16 * b, [](int q) { return kIq4Levels[static_cast<size_t>(q)]; }, &out.quants[32 * b]);
  }
}

// Digit n of base three, of a byte that holds five as a fraction of 256.
int8_t Trit(uint8_t byte, int n) {
  constexpr int kPowers[] = {1, 3, 9, 27, 81};
  return static_cast<int8_t>((((byte * kPowers[n]) & 255) * 3 >> 8) - 1);
}

void SplitTq1(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block + 52);
  out.scales.fill(1);
  for (int i = 0; i < 160; ++i) out.quants[i] = Trit(block[i % 32], i / 32);
  for (int i = 0; i < 80; ++i) out.quants[160 + i] = Trit(block[32 + i % 16], i / 16);
  for (int i = 0; i < 16; ++i) out.quants[240 + i] = Trit(block[48 + i % 4], i / 4);
}

void SplitTq2(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block + 64);
  out.scales.fill(1);
  for (int i = 0; i < 256; ++i) out.quants[i] = static_cast<int8_t>(PairAt(block, i) - 1);
}

void SplitQ1_0(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block);
  out.scales.fill(1);
  for (int i = 0; i < 128; ++i) out.quants[i] = (block[2 + i / 8] >> (i % 8)) & 1 ? 1 : -1;
}

void SplitQ2_0(const uint8_t* block, WholeBlock& out) {
  out.d = LoadHalf(block);
  out.scales.fill(1);
  for (int i = 0; i < 64; ++i) {
    out.quants[i] = static_cast<int8_t>(((block[2 + i / 4] >> (2 * (i % 4))) & 3) - 1);
  }
}

// Twice the elements are whole numbers, so the factor is half the scale.
void SplitMxfp4(const uint8_t* block, WholeBlock& out) {
  out.d = std::ldexp(1.0f, block[0] - 128);
  out.scales.fill(1);
  PutNibbles(block + 1, TwiceE2m1, out.quants.data());
}

}  // namespace

SplitBlock BlockSplitter(Dtype dtype) {
  switch (dtype) {
    case Dtype::kQ3K:
      return SplitQ3K;
    case Dtype::kIq4Nl:
      return SplitIq4Nl;
    case Dtype::kIq4Xs:
      return SplitIq4Xs;
    case Dtype::kTq1:
      return SplitTq1;
    case Dtype::kTq2:
      return SplitTq2;
    case Dtype::kQ1_0:
      return SplitQ1_0;
    case Dtype::kQ2_0:
      return SplitQ2_0;
    case Dtype::kMxfp4:
      return SplitMxfp4;
    default:
      return CodebookSplitter(dtype);
  }
}

}  // namespace linnet
