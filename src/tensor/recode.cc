// From formats that have no kernels to one that has and holds the same values.
#include <algorithm>
#include <array>

#include "base/check.h"
#include "tensor/block_format.h"
#include "tensor/load.h"
#include "tensor/whole_block.h"

namespace linnet {
namespace {

// REQUIRES: the quants are in the format's range, and all scales are 1 where it has none.
void Store(const WholeBlock& whole, int elements, Dtype held, uint8_t* out) {
  const DtypeInfo& info = GetDtypeInfo(held);
  const PackBlock pack = BlockPacker(held);
  LINNET_CHECK(pack != nullptr);
  for (int i = 0; i < elements; i += info.block_elements, out += info.block_bytes) pack(whole, i, out);
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
