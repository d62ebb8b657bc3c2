// Formats for a file of a given size: what each matrix would lose in each format is measured on some of its
// rows, and the bytes go where they save most.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "tensor/dtype.h"

namespace linnet {

// A matrix in one of the formats that it may get.
struct SizeChoice {
  Dtype dtype;
  uint64_t bytes = 0;
  double loss = 0;  // relative squared error, weighted
};

// For each matrix the index of its choice, so that all take `room` bytes at most and lose little together.
// `choices` of a matrix are in order of size. Error, kInvalidArgument: the smallest of all do not fit.
Result<std::vector<size_t>> ChooseWithin(std::span<const std::vector<SizeChoice>> choices, uint64_t room);

}  // namespace linnet
