// Blocks that hold a row with the least squared error that a search finds. Other encoders of these formats
// take the scale from the largest element; here it is chosen by what the rounded block would lose.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace linnet {

bool CanSearch(Dtype dtype);

// Encodes `values` so that the sum of importance * (value - decoded)^2 is small. `importance` has a number
// for each value, none negative, or is empty: all alike.
//
// Weights that lie on a lattice of the format already, as those trained for 4 bits do, come back as they are:
// for q4_0, q5_0 and q8_0, a block whose values are all near whole multiples, at most 8, of one step gets
// this step, whatever the importance.
//
// What is not finite becomes 0, what is larger than the format can hold the largest it can.
// REQUIRES: CanSearch(dtype), values.size() is a multiple of the block.
void SearchRow(Dtype dtype, std::span<const float> values, std::span<const float> importance,
               uint8_t* blocks);

}  // namespace linnet
