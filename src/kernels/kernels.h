// The hot loops, one table of function pointers per instruction set. Nothing here knows of tensors or
// threads.
//
// Invariants:
//  1. Every instruction set gives the same bits: all arithmetic is IEEE float32 (with explicit fused
//     multiply-adds) or exact int32, on sixteen lanes, in one written order. The scalar table is the
//     definition.
//  2. The result for one row does not depend on how many rows share a call: each output has one accumulator
//     that runs along K in ascending order.
//
// A matrix (N, K) is stored as panels of 16 outputs. Inside a panel the data runs along K, so a product reads
// forward only. Plain formats hold [k][16]; block formats hold [block][fields of 16 outputs], see
// panel_formats.inc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/cache_kernels.h"

namespace linnet {

inline constexpr int kPanel = 16;     // outputs a panel, lanes a vector
inline constexpr int kGroup = 4;      // bytes of one output that one integer product takes
inline constexpr int kActBlock = 32;  // activations that share a scale

enum class PanelFormat : uint8_t {
  kF32,
  kF16,
  kBf16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4K,
  kQ5K,
  kQ6K,
  kIq4Nl,
  kIq4Xs,
  kMxfp4,
  kNvfp4
};
inline constexpr int kPanelFormatCount = 15;
// The formats from here on are products of bytes with quantised activations.
inline constexpr PanelFormat kFirstBlockFormat = PanelFormat::kQ4_0;

// y[r][16p + lane] (+)= sum over k of w[p * panel_stride + k * k_stride + lane] * x[r * x_stride + k].
struct FloatProduct {
  const void* w;         // float32, float16 or bfloat16 elements
  int64_t panel_stride;  // in elements
  int64_t k_stride;      // in elements
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
  int64_t k;
  int64_t outputs;  // only this many of the last panel's lanes are written
  int64_t rows;
  bool accumulate;  // y holds the start values
};

// y[r][o] = sum over k of w[o * w_stride + k] * x[r * x_stride + k]: rows against rows, sixteen partial sums
// along k.
struct DotProduct {
  const void* w;     // float32, float16 or bfloat16 elements
  int64_t w_stride;  // in elements
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
  int64_t k;
  int64_t outputs;
  int64_t rows;
};

// Activations in blocks of 32 with one scale each, x ≈ q * scale, in tiles of some rows side by side, so that
// one pointer runs through everything a product needs. The wide product takes tiles of KernelTable::wide_rows
// rows and then some of narrow_rows (rows that are missing in the last tile are zero), and groups of
// KernelTable::wide_group inputs; the product of few rows one tile of exactly its rows in groups of kGroup.
struct RowTiles {
  const int8_t* q;            // (tiles, K / 32, 32 / group, rows, group)
  const float* scale;         // (tiles, K / 32, rows)
  const int32_t* start;       // (tiles, K / 32, rows): -8 times the sum of q over the block
  const int32_t* half_start;  // (tiles, K / 32, 2, rows): the same over each half of it
  const float* scaled_sum;    // (tiles, K / 32, rows): scale * sum of q over the block
  int64_t blocks;             // K / 32
};

// Where one row goes in a tile of `rows` rows: the pointers of RowTiles moved to its lane of the tile's first
// block.
struct TileLane {
  int8_t* q;
  float* scale;
  int32_t* start;
  int32_t* half_start;
  float* scaled_sum;
  int64_t rows;
  int group;
};
inline constexpr int kMaxWideRows = 8;

// How many bytes ahead of their use weights are asked for, into the second- and the first-level cache, at
// most kMostAhead; and how many panels one row reads side by side.
struct Ahead {
  int64_t far;
  int64_t near;
  int streams;  // 2 or 4
};
inline constexpr int64_t kMostAhead = 4096;

// y[r][16p + lane] = the product of packed panels with few rows (1 to KernelTable::few_rows), straight from
// the packed blocks.
struct FewProduct {
  const uint8_t* panels;
  int64_t panel_bytes;
  RowTiles x;  // one tile of `rows` rows
  float* y;
  int64_t y_stride;
  int64_t outputs;
  int64_t rows;
  Ahead ahead;
};

// Where 32 inputs of one panel are expanded to, a byte a weight:
//   bytes (32 / group, 16, group), scales (scales_per_block, 16), mins (16) where the format has them;
//   `group` is KernelTable::wide_group.
// weight = (byte - zero) * scale, or byte * scale + min.
struct WideBlocks {
  uint8_t* bytes;
  float* scales;
  float* mins;
};

inline constexpr int kWidePanels = 3;  // panels that the wide product takes at once
inline constexpr int kWideBytes = kActBlock * kPanel;

// Packed blocks of kWidePanels panels that the next step takes. They are asked for while this one multiplies,
// spread over its tiles, so that memory and products work at the same time.
struct NextBlocks {
  const uint8_t* panels;
  int64_t panel_bytes;
  int64_t bytes;  // of each panel; 0 where nothing is to be asked for
};

// Product of `blocks` blocks of kActBlock inputs of up to kWidePanels panels with any number of rows, one
// step of a product that runs along K: the blocks are expanded once for all rows, the sums so far wait in
// `sums` and reach y in the last step.
struct WideProduct {
  const uint8_t* panels;
  int64_t panel_bytes;
  int64_t first_block;  // of the panels and of the rows; 0 in the first step, which starts from zero
  int64_t blocks;
  WideBlocks expanded;  // room for (blocks, kWidePanels)
  RowTiles x;
  int64_t tiles, wide_tiles;  // the first wide_tiles have wide_rows rows, the others narrow_rows
  float* sums;                // (tiles, kWidePanels, rows of the tile, 16)
  bool last;
  float* y;
  int64_t y_stride;
  int64_t outputs;  // at most 16 * kWidePanels
  int64_t rows;
  NextBlocks next;
};

inline constexpr int64_t kLimitBytes = 24 * 1024;
inline constexpr int64_t kReadUnit =
    4 * (32 * 1024 + 512);  // streams a power of two apart would share sets of a cache

struct FormatKernels {
  int block_k;           // inputs a packed block covers; 1 for plain formats
  int block_bytes;       // bytes of a packed block of 16 outputs
  int zero;              // what is subtracted from the bytes
  int scales_per_block;  // scales per 32 inputs: 1, or 2 where sixteen inputs share one
  bool has_min;
  void (*product)(const FloatProduct&);                                        // plain formats only
  void (*dot)(const DotProduct&);                                              // plain formats only
  void (*few)(const FewProduct&);                                              // block formats only
  void (*expand)(const uint8_t* panel, int64_t block, const WideBlocks& out);  // one block of kActBlock
  void (*wide)(const WideProduct&);
};

struct WeightAndBias {
  const float* weight;
  const float* bias;
};

struct KernelTable {
  const char* name;  // "avx512vnni"
  int few_rows;      // more rows than this go through the wide product
  int wide_rows;     // rows of a tile of the wide product, at most kMaxWideRows
  int narrow_rows;   // of the tiles that take their place where rows do not fill all of them
  int wide_group;    // inputs that lie side by side in what it reads: 4, or 8 for products of matrices
  FormatKernels formats[kPanelFormatCount];

  // Per block of 32: scale = max|x| / 127, q = x / scale rounded to nearest even; an all-zero block has scale
  // 0. REQUIRES: n is a multiple of 32.
  void (*quantise_row)(const float* x, int64_t n, const TileLane& out);

  // y = x * (mean(x²) + eps)^-0.5 [* w]. w may be null.
  void (*rms_norm)(const float* x, const float* w, float eps, int64_t n, float* y);
  // y = (x - mean) / sqrt(population variance + eps) * weight + bias.
  void (*layer_norm)(const float* x, WeightAndBias w, float eps, int64_t n, float* y);
  // y = gelu_tanh(gate) * up.
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, float* y);
  // x = cap * tanh(x / cap).
  void (*softcap)(float* x, float cap, int64_t n);
  // One block of an online softmax over n scores (a multiple of 16; masked ones are -infinity). On return s
  // holds exp(s - m), *m the running maximum, *l the running sum; the result is the factor on everything
  // summed before.
  float (*softmax_block)(float* s, int64_t n, float* m, float* l);
  // y = y * factor (+ x when x is not null).
  void (*scale_add)(float* y, float factor, const float* x, int64_t n);

  CacheKernels cache;

  // Limits of the machine, for benchmarks. Both return the multiply-adds they did: integer products from
  // registers alone, and fed as the wide product is, with weights and activations from `data` (kLimitBytes,
  // first-level cache).
  int64_t (*int8_peak)(int64_t iterations);
  int64_t (*int8_fed)(const uint8_t* data, int64_t iterations);
  // Reads `bytes` (whole multiples of kReadUnit) once, in forward streams; the result keeps the reads alive.
  uint64_t (*read)(const uint8_t* data, int64_t bytes, const Ahead& ahead);
};

// One table a file; those of instruction sets that the build is not for do not exist (see dispatch.cc).
const KernelTable* ScalarKernels();
const KernelTable* Avx2Kernels();
const KernelTable* AvxVnniKernels();
const KernelTable* Avx512Kernels();
const KernelTable* Avx512VnniKernels();
// What the table "avx512bf16" has instead of the former's: products of pairs of bfloat16.
const CacheKernels* Avx512Bf16CacheKernels();
const KernelTable* NeonDotKernels();   // signed products of bytes (FEAT_DotProd)
const KernelTable* NeonI8mmKernels();  // and products of matrices of bytes (FEAT_I8MM)

}  // namespace linnet
