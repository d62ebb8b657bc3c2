// Private to src/tensor. Blocks whose values are products of whole numbers and one factor: most of ggml's
// formats of few bits. Every product of the three fits the 24 bits of a float, so the value is the same in
// whatever order they are multiplied, and a block can be stored without loss in another format that has room
// for the same numbers.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/dtype.h"

namespace linnet {

inline constexpr int kMostBlockElements = 256;

// Element i is (d * scales[i / 16]) * quants[i].
struct WholeBlock {
  float d = 0;
  std::array<int8_t, kMostBlockElements / 16> scales;
  std::array<int8_t, kMostBlockElements> quants;
};

using SplitBlock = void (*)(const uint8_t* block, WholeBlock& out);

// nullptr for formats that are no such products.
SplitBlock BlockSplitter(Dtype dtype);

// Parts of the splitter: formats with a codebook, and the others.
SplitBlock CodebookSplitter(Dtype dtype);

}  // namespace linnet
