// From formats that have no kernels to one that has and holds the same values.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/bf16.h"
#include "base/check.h"
#include "tensor/block_format.h"
#include "tensor/load.h"
#include "tensor/whole_block.h"

namespace linnet {
namespace {

// REQUIRES of all: the quants are in the format's range; d is a half.
void StoreQ6K(const WholeBlock& whole, uint8_t* block) {
  std::memset(block, 0, 192);
  std::memcpy(block + 192, whole.scales.data(), 16);
  StoreU16(FloatToHalf(whole.d), block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int value = whole.quants[static_cast<size_t>(i)] + 32;
    uint8_t& low = block[64 * half + l + 32 * (quarter & 1)];
    low = static_cast<uint8_t>(low | (value & 15) << (quarter < 2 ? 0 : 4));
    uint8_t& high = block[128 + 32 * half + l];
    high = static_cast<uint8_t>(high | (value >> 4) << (2 * quarter));
  }
}

// Further REQUIRES: all scales are 1.
void StoreQ4_0(uint16_t d, const int8_t* quants, uint8_t* block) {
  StoreU16(d, block);
  for (int j = 0; j < 16; ++j) {
    block[2 + j] = static_cast<uint8_t>((quants[j] + 8) | (quants[j + 16] + 8) << 4);
  }
}

void Store(const WholeBlock& whole, int elements, Dtype held, uint8_t* out) {
  if (held == Dtype::kQ6K) return StoreQ6K(whole, out);
  LINNET_CHECK(held == Dtype::kQ4_0);
  const int bytes = GetDtypeInfo(held).block_bytes;
  for (int i = 0; i < elements; i += 32, out += bytes) {
    StoreQ4_0(FloatToHalf(whole.d), &whole.quants[static_cast<size_t>(i)], out);
  }
}

}  // namespace

void RecodeRow(Dtype dtype, const uint8_t* blocks, size_t elements, uint8_t* out) {
  const DtypeInfo& info = GetDtypeInfo(dtype);
  const size_t step = std::max<size_t>(static_cast<size_t>(info.block_elements), 32);
  const bool floats = info.held == Dtype::kF32 || info.held == Dtype::kBf16;
  const SplitBlock split = BlockSplitter(dtype);
  LINNET_CHECK(info.held != dtype && (floats || split != nullptr));
  WholeBlock whole;
  std::array<float, kMostBlockElements> values;
  for (size_t i = 0; i < elements; i += step) {
    const size_t n = std::min(step, elements - i);
    if (floats) {
      DecodeRow(dtype, blocks, std::span(values).first(n));
      EncodeRow(info.held, std::span(values).first(n), out);
    } else {
      split(blocks, whole);
      Store(whole, info.block_elements, info.held, out);
    }
    blocks += RowBytes(dtype, n);
    out += RowBytes(info.held, n);
  }
}

}  // namespace linnet
