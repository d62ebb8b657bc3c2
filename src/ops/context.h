// What every operation needs: the kernels, the threads, and scratch memory that is allocated once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace linnet {

// Not owning; rows of equal length, `stride` floats apart.
struct Rows {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;
  int64_t stride = 0;

  float* row(int64_t r) const { return data + r * stride; }
  Rows Slice(int64_t first, int64_t count) const { return {data + first * stride, count, width, stride}; }
};

inline Rows MakeRows(float* data, int64_t rows, int64_t width) { return {data, rows, width, width}; }

// Scratch of the operations. Reserve() is the only place that allocates; a decode step calls none of it.
class OpContext {
 public:
  OpContext(ThreadPool& pool, const KernelTable& kernels) : pool_(pool), kernels_(kernels) {}

  ThreadPool& pool() const { return pool_; }
  const KernelTable& kernels() const { return kernels_; }

  // Makes room for products of up to `rows` rows with up to `width` inputs, and for attention with `heads` query heads
  // of up to `head_dim`.
  void Reserve(int64_t rows, int64_t width, int64_t heads, int64_t head_dim);
  int64_t rows() const { return rows_; }
  uint64_t bytes() const;

  // Room for quantised activations of `width` inputs; filled by matmul.cc.
  QuantisedRows Quantised(int64_t width) const;
  // The same in tiles for the wide product.
  RowTiles Tiles(int64_t width) const;
  int8_t* tile_q() { return tile_q_.data(); }
  float* tile_scale() { return tile_scale_.data(); }
  int32_t* tile_sum() { return tile_sum_.data(); }
  float* tile_scaled_sum() { return tile_scaled_sum_.data(); }
  int8_t* q() { return q_.data(); }
  float* scale() { return scale_.data(); }
  int32_t* sum() { return sum_.data(); }
  float* scaled_sum() { return scaled_sum_.data(); }

  // Scratch of one thread, and what attention shares between threads.
  float* thread_scratch(int thread) { return thread_scratch_[static_cast<size_t>(thread)].data(); }
  float* partials() { return partials_.data(); }
  int64_t partial_floats() const { return static_cast<int64_t>(partials_.size()); }

 private:
  ThreadPool& pool_;
  const KernelTable& kernels_;
  int64_t rows_ = 0, width_ = 0, heads_ = 0, head_dim_ = 0;
  AlignedBuffer<int8_t> q_, tile_q_;
  AlignedBuffer<float> scale_, scaled_sum_, tile_scale_, tile_scaled_sum_, partials_;
  AlignedBuffer<int32_t> sum_, tile_sum_;
  std::vector<AlignedBuffer<float>> thread_scratch_;
};

}  // namespace linnet
