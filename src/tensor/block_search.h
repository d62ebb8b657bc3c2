// Blocks that hold a row with the least squared error that a search finds. Other encoders of these formats
// take the scale from the largest element; here it is chosen by what the rounded block would lose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

// How safetensors checkpoints hold a matrix: levels of a few bits and, for each group of a row, a step and
// perhaps an offset of bfloat16; value = step * level + offset. Blocks on a lattice keep it here too.
struct GroupFormat {
  int bits = 4;         // 4 or 8
  int group = 32;       // elements that share a step: 32, 64 or 128
  bool offset = false;  // levels from 0 on; else they have a sign and are stored plus 2^(bits - 1)

  uint64_t RowBytes(uint64_t elements) const;  // of all that is stored
};

struct SearchShape;  // what a format's blocks are made of

// A row whose steps and offsets have been chosen so, while the level of each value can still become another.
class SearchedRow {
 public:
  // REQUIRES: as SearchRow, for rows of `size` values.
  SearchedRow(Dtype dtype, size_t size);
  // REQUIRES: `size` is a multiple of the group.
  SearchedRow(const GroupFormat& format, size_t size);
  ~SearchedRow();
  SearchedRow(SearchedRow&&) noexcept;

  void Search(std::span<const float> values, std::span<const float> importance);
  // Element i gets the level nearest to `value`; returns what it decodes to.
  float Choose(size_t i, float value);
  // As blocks; without a Choose() those of SearchRow.
  void Store(uint8_t* blocks) const;
  // Of a GroupFormat: the levels from the lowest bits on, of each group the step and, where there are any,
  // the offset.
  void StoreGroups(uint8_t* levels, uint16_t* steps, uint16_t* offsets) const;
  // What is stored decodes to this.
  void Decode(std::span<float> values) const;

 private:
  void Begin(const SearchShape& shape, size_t block, size_t size);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
