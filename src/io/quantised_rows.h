// Private to src/io: a matrix of a quantised checkpoint, computed from its parts a row at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "io/derived_tensors.h"
#include "tensor/dtype.h"

namespace linnet {

// How the elements of a matrix lie in its file. All are numbers that a float32 holds.
enum class ElementFields {
  kStream,  // whole numbers of `bits`, one after another from the lowest bit of the row's first byte on
  kWords,   // the same, but none across the border of a word of 32 bits
  kGptq,    // streams along a column: the words of a row lie beside each other
  kAwq,     // eight rows in a word, in AWQ's own order
  kInt8,
  kE2m1,  // nibbles, the low one first; twice the elements are whole numbers, which is what is read
  kE4m3,
};

enum class Factors { kFloat, kE8m0, kE4m3 };

// What a file says of one matrix, checked by whoever fills it in: every index below stays within the spans.
// value = factor * (element - zero) + offset, where factor, zero and offset belong to a group of columns.
struct MatrixParts {
  int64_t rows = 0, width = 0;
  int64_t group = 0;       // columns that share a factor
  int64_t block_rows = 1;  // rows that do
  int bits = 0;            // of whole numbers

  ElementFields fields = ElementFields::kStream;
  std::span<const uint8_t> elements;
  int64_t row_bytes = 0;  // of kStream, kWords, kInt8, kE2m1, kE4m3

  Factors factors = Factors::kFloat;
  Dtype factor_type = Dtype::kBf16;  // of kFloat
  std::span<const uint8_t> scales;   // a factor for each group of each row, or
  bool one_factor = false;           // one for all, or
  bool groups_first = false;         // as a matrix of groups by rows
  float global = 1.0f;               // multiplies the factors
  float per_global = 1.0f;           // divides them

  int zero = 0;  // of all groups, or
  std::span<const uint8_t>
      zeros;  // one each: kStream packed along the rows, kGptq, kAwq along the groups, kInt8
  bool zeros_less_one = false;

  Dtype offset_type = Dtype::kBf16;
  std::span<const uint8_t> offsets;  // of MLX; empty = none

  std::vector<int32_t> group_of;  // of each column, where it is not column / group

  int64_t groups() const { return (width + group - 1) / group; }
};

// The smallest format with kernels, or the plain one, that holds every value of the matrix. Looks at all
// factors.
Dtype FormatFor(const MatrixParts& matrix);

class QuantisedRows : public MatrixRows {
 public:
  // `format` is what FormatFor() says, or float32.
  QuantisedRows(MatrixParts matrix, Dtype format) : matrix_(std::move(matrix)), format_(format) {}
  void Read(int64_t first, int64_t count, uint8_t* out) const override;

 private:
  MatrixParts matrix_;
  Dtype format_;
};

}  // namespace linnet
