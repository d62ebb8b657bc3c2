// Private to src/tensor. Blocks whose values are products of whole numbers and one factor, less such a
// product for a minimum: nearly all of ggml's formats. Every product of the three fits the 24 bits of a
// float, so the value is the same in whatever order they are multiplied, and a block can be stored without
// loss in another format that has room for the same numbers.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/dtype.h"

namespace linnet {

inline constexpr int kMostBlockElements = 256;

// Element i is (d * scales[i / 16]) * quants[i] - m * mins[i / 16].
struct WholeBlock {
  float d = 0;
  std::array<int8_t, kMostBlockElements / 16> scales;
  std::array<int8_t, kMostBlockElements> quants;
  // Set and read by formats with a minimum alone.
  float m = 0;
  std::array<int8_t, kMostBlockElements / 16> mins;
};

// The levels of iq4_nl and iq4_xs.
inline constexpr std::array<int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

using SplitBlock = void (*)(const uint8_t* block, WholeBlock& out);

// nullptr for formats that are no such products without a minimum.
SplitBlock BlockSplitter(Dtype dtype);

// Parts of the splitter: formats with a codebook, and the others.
SplitBlock CodebookSplitter(Dtype dtype);

// Writes the elements from `first` on as one block. REQUIRES: the numbers are in the ranges of the format; d
// and m are halves; where the format has no scales of its own, those of its elements are 1 (mins: -1).
using PackBlock = void (*)(const WholeBlock& whole, int first, uint8_t* block);

// nullptr for formats that are not written.
PackBlock BlockPacker(Dtype dtype);

}  // namespace linnet
