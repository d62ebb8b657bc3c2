// Blocks of whole numbers written in each format: the inverse of decoding.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/bf16.h"
#include "tensor/load.h"
#include "tensor/whole_block.h"

namespace linnet {
namespace {

size_t At(int i) { return static_cast<size_t>(i); }
uint8_t Byte(int value) { return static_cast<uint8_t>(value); }
void AddBits(uint8_t& byte, int bits) { byte = Byte(byte | bits); }
void StoreHalf(float value, uint8_t* out) { StoreU16(FloatToHalf(value), out); }

// 32 numbers of four bits in sixteen bytes: the low nibbles the first sixteen.
template <typename Value>
void StoreNibbles(Value value, uint8_t* out) {
  for (int j = 0; j < 16; ++j) out[j] = Byte((value(j) & 15) | (value(j + 16) & 15) << 4);
}

// The fifth bits of 32 numbers.
template <typename Value>
void StoreFifthBits(Value value, uint8_t* out) {
  for (int j = 0; j < 4; ++j) {
    out[j] = 0;
    for (int bit = 0; bit < 8; ++bit) AddBits(out[j], (value(8 * j + bit) >> 4 & 1) << bit);
  }
}

// q4_0, q4_1, q5_0, q5_1: `offset` makes the quants count from zero.
template <int offset, bool has_min, bool fifth>
void PackSmall(const WholeBlock& whole, int first, uint8_t* block) {
  const auto value = [&](int j) { return whole.quants[At(first + j)] + offset; };
  StoreHalf(whole.d, block);
  block += 2;
  if (has_min) {
    StoreHalf(whole.m, block);
    block += 2;
  }
  if (fifth) {
    StoreFifthBits(value, block);
    block += 4;
  }
  StoreNibbles(value, block);
}

void PackQ8_0(const WholeBlock& whole, int first, uint8_t* block) {
  StoreHalf(whole.d, block);
  std::memcpy(block + 2, &whole.quants[At(first)], 32);
}

int Iq4Index(int level) {
  return static_cast<int>(std::lower_bound(kIq4Levels.begin(), kIq4Levels.end(), level) - kIq4Levels.begin());
}

void PackIq4Nl(const WholeBlock& whole, int first, uint8_t* block) {
  StoreHalf(whole.d, block);
  StoreNibbles([&](int j) { return Iq4Index(whole.quants[At(first + j)]); }, block + 2);
}

void PackIq4Xs(const WholeBlock& whole, int /*first*/, uint8_t* block) {
  StoreHalf(whole.d, block);
  std::memset(block + 2, 0, 6);
  for (int b = 0; b < 8; ++b) {
    const int scale = whole.scales[At(2 * b)] + 32;
    AddBits(block[2 + b / 4], (scale >> 4) << (2 * (b % 4)));
    AddBits(block[4 + b / 2], (scale & 15) << (4 * (b % 2)));
    StoreNibbles([&](int j) { return Iq4Index(whole.quants[At(32 * b + j)]); }, block + 8 + 16 * b);
  }
}

// The eight 6-bit scales and minima of q4_k and q5_k in twelve bytes.
void StoreScalesMins(const WholeBlock& whole, uint8_t* s) {
  std::memset(s, 0, 12);
  for (int b = 0; b < 8; ++b) {
    const int scale = whole.scales[At(2 * b)], min = whole.mins[At(2 * b)];
    if (b < 4) {
      AddBits(s[b], scale);
      AddBits(s[b + 4], min);
    } else {
      s[b + 4] = Byte((scale & 15) | (min & 15) << 4);
      AddBits(s[b - 4], (scale >> 4) << 6);
      AddBits(s[b], (min >> 4) << 6);
    }
  }
}

void StorePairedNibbles(const WholeBlock& whole, uint8_t* q) {
  for (int i = 0; i < 128; ++i) {
    const int low = i / 32 * 64 + i % 32;
    q[i] = Byte((whole.quants[At(low)] & 15) | (whole.quants[At(low + 32)] & 15) << 4);
  }
}

void PackQ4K(const WholeBlock& whole, int /*first*/, uint8_t* block) {
  StoreHalf(whole.d, block);
  StoreHalf(whole.m, block + 2);
  StoreScalesMins(whole, block + 4);
  StorePairedNibbles(whole, block + 16);
}

void PackQ5K(const WholeBlock& whole, int /*first*/, uint8_t* block) {
  StoreHalf(whole.d, block);
  StoreHalf(whole.m, block + 2);
  StoreScalesMins(whole, block + 4);
  std::memset(block + 16, 0, 32);
  for (int i = 0; i < 256; ++i) AddBits(block[16 + i % 32], (whole.quants[At(i)] >> 4 & 1) << (i / 32));
  StorePairedNibbles(whole, block + 48);
}

void PackQ6K(const WholeBlock& whole, int /*first*/, uint8_t* block) {
  std::memset(block, 0, 192);
  std::memcpy(block + 192, whole.scales.data(), 16);
  StoreHalf(whole.d, block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int value = whole.quants[At(i)] + 32;
    AddBits(block[64 * half + l + 32 * (quarter & 1)], (value & 15) << (quarter < 2 ? 0 : 4));
    AddBits(block[128 + 32 * half + l], (value >> 4) << (2 * quarter));
  }
}

void StorePairs(const WholeBlock& whole, uint8_t* q) {
  std::memset(q, 0, 64);
  for (int i = 0; i < 256; ++i) {
    AddBits(q[i / 128 * 32 + i % 32], (whole.quants[At(i)] & 3) << (i % 128 / 32 * 2));
  }
}

void PackQ2K(const WholeBlock& whole, int /*first*/, uint8_t* block) {
  for (int b = 0; b < 16; ++b) block[b] = Byte(whole.scales[At(b)] | whole.mins[At(b)] << 4);
  StorePairs(whole, block + 16);
  StoreHalf(whole.d, block + 80);
  StoreHalf(whole.m, block + 82);
}

// The pair of q is its low bits in two's complement; the third bit is set where it is not negative.
void PackQ3K(const WholeBlock& whole, int /*first*/, uint8_t* block) {
  std::memset(block, 0, 32);
  for (int i = 0; i < 256; ++i) AddBits(block[i % 32], (whole.quants[At(i)] >= 0 ? 1 : 0) << (i / 32));
  StorePairs(whole, block + 32);
  std::memset(block + 96, 0, 12);
  for (int b = 0; b < 16; ++b) {
    const int scale = whole.scales[At(b)] + 32;
    AddBits(block[96 + b % 8], (scale & 15) << (b < 8 ? 0 : 4));
    AddBits(block[104 + b % 4], (scale >> 4) << (2 * (b / 4)));
  }
  StoreHalf(whole.d, block + 108);
}

}  // namespace

PackBlock BlockPacker(Dtype dtype) {
  switch (dtype) {
    case Dtype::kQ4_0:
      return PackSmall<8, false, false>;
    case Dtype::kQ4_1:
      return PackSmall<0, true, false>;
    case Dtype::kQ5_0:
      return PackSmall<16, false, true>;
    case Dtype::kQ5_1:
      return PackSmall<0, true, true>;
    case Dtype::kQ8_0:
      return PackQ8_0;
    case Dtype::kIq4Nl:
      return PackIq4Nl;
    case Dtype::kIq4Xs:
      return PackIq4Xs;
    case Dtype::kQ4K:
      return PackQ4K;
    case Dtype::kQ5K:
      return PackQ5K;
    case Dtype::kQ6K:
      return PackQ6K;
    case Dtype::kQ2K:
      return PackQ2K;
    case Dtype::kQ3K:
      return PackQ3K;
    default:
      return nullptr;
  }
}

}  // namespace linnet
