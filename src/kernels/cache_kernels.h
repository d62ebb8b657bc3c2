// Products with cached keys and values in numbers of less than 32 bits. Several inputs of an output lie side
// by side (a group: two bfloat16, four bytes) and are multiplied at once; a vector is sixteen outputs of one
// group.
//
//   keys     [16 keys a panel][E / group][16][group]    outputs are keys, inputs elements: scores
//   values   [position / group][E][group]               outputs are elements, inputs positions: weighted sums
//
// Invariants: those of kernels.h. Pairs add their second product before their first, each fused: what the
// instruction for bfloat16 pairs does. It takes numbers below 2^-126 for zero, so stores and pack_pairs hold
// none.
#pragma once

#include <stdint.h>

namespace linnet {

inline constexpr int kPair = 2;
inline constexpr int kQuad = 4;
inline constexpr int kInputRows = 8;  // rows whose groups lie side by side

// Memory that a product asks for while it runs: what comes after it.
struct Upcoming {
  const void* at;
  int64_t bytes;
};

// Where the weights of a product lie, in elements.
struct GroupedPanels {
  const void* data;
  int64_t panel_stride;  // from sixteen outputs to the next
  int64_t group_stride;  // from one group of inputs to the next
  int64_t groups;
  int64_t outputs;  // only this many of the last panel's lanes are written
};

// Rows of inputs in tiles of kInputRows, so that a step reads one line and not one of every row:
//   (tiles, groups, kInputRows, group), a tile `tile_stride` elements long. Lanes of missing rows are never
//   read. A product of a part of the inputs begins at `first_group`.
struct InputTiles {
  const void* data;
  int64_t tile_stride;
  int64_t first_group = 0;
};

// Where a row goes in such tiles.
struct InputRow {
  void* data;
  int64_t tile_stride;
  int64_t row;
};

// y[r][16p + lane] (+)= sum over pairs g of w[p][g][lane][1] * x[r][2g + 1] + w[p][g][lane][0] * x[r][2g].
struct PairProduct {
  GroupedPanels w;  // bfloat16
  InputTiles x;     // what pack_pairs wrote
  float* y;
  int64_t y_stride;
  int64_t rows;
  bool accumulate;
  Upcoming upcoming;
};

// y[r][16p + lane] (+)= (sum over inputs of (w - 128) * x[r]) * (row_scale[r] * output_scale[16p + lane]).
// REQUIRES: at most 2^16 inputs.
struct ByteProduct {
  GroupedPanels w;            // bytes, each 128 more than the number it stands for
  InputTiles x;               // signed bytes
  const float* row_scale;     // (rows)
  const int32_t* row_sum;     // (rows): the sum of x[r]
  const float* output_scale;  // null: 1
  float* y;
  int64_t y_stride;
  int64_t rows;
  bool accumulate;
  Upcoming upcoming;
};

// A row as two rows of bytes, x ≈ high * scale[0] + low * scale[apart], fourteen bits in all. The low row is
// the `apart`-th after the high one, in the tiles as in the scales and sums.
struct SplitRow {
  InputRow q;
  int64_t apart;
  float* scale;
  int32_t* sum;
};

// Elements of consecutive positions as values lie, of which keys are made. REQUIRES: `positions` is a
// multiple of 16, `elements` of the group.
struct RowsAsKeys {
  const void* data;   // the first of the elements
  int64_t row_width;  // elements of a position
  int64_t positions;
  int64_t elements;  // of each position that become keys
};

struct CacheKernels {
  // Elements as the pair product reads them: rounded to bfloat16, at most four bytes each. n is even.
  void (*pack_pairs)(const float* x, int64_t n, const InputRow& out);
  void (*pair_product)(const PairProduct&);
  // Keys out of rows that serve values as well.
  void (*regroup_pairs)(const RowsAsKeys& rows, uint16_t* keys);

  // REQUIRES: n is a multiple of kQuad.
  void (*split_row)(const float* x, int64_t n, const SplitRow& out);
  // q ≈ x * factor / scale in 0..127 for x, factor >= 0; returns the scale. n is a multiple of 16.
  float (*quantise_weights)(const float* x, const float* factor, int64_t n, const InputRow& q, int32_t* sum);
  void (*byte_product)(const ByteProduct&);
  void (*regroup_bytes)(const RowsAsKeys& rows, uint8_t* keys);

  // Pair products from registers, for the choice between instruction sets: returns how many it did.
  int64_t (*pair_peak)(int64_t iterations);
};

}  // namespace linnet
