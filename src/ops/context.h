// What every operation needs: the kernels, the threads, and scratch memory that is allocated once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffers.h"
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

// What the operations must have room for: products of up to `rows` rows with up to `width` inputs, attention
// with `heads` query heads of up to `head_dim`.
struct OpShape {
  int64_t rows = 0, width = 0, heads = 0, head_dim = 0;

  bool Covers(const OpShape& other) const {
    return other.rows <= rows && other.width <= width && other.heads <= heads && other.head_dim <= head_dim;
  }
};
// The least that covers both.
OpShape Union(const OpShape& a, const OpShape& b);

// Scratch of the operations. Reserve() is the only place that allocates; a decode step calls none of it.
class OpContext {
 public:
  OpContext(ThreadPool& pool, const KernelTable& kernels) : pool_(pool), kernels_(kernels) {}

  ThreadPool& pool() const { return pool_; }
  const KernelTable& kernels() const { return kernels_; }

  // Makes room for this beside all that was asked for before. Throws std::bad_alloc and is as before then.
  void Reserve(const OpShape& shape);
  int64_t rows() const { return shape_.rows; }
  // What scratch of this shape takes.
  static uint64_t PlannedBytes(const OpShape& shape, int threads) {
    return BytesOf(Scratch(), shape, threads);
  }

  // Quantised activations of `width` inputs, written lane by lane by matmul.cc.
  RowTiles Tiles(int64_t width) const;
  // Where a tile of them lies: `rows` rows from `first` on, of `blocks` blocks, `group` inputs side by side.
  struct Tile {
    int64_t first;
    int64_t rows;
    int64_t blocks;
    int group;
  };
  TileLane Lane(const Tile& tile, int64_t lane);
  void Clear(const Tile& tile);

  // Scratch of one thread, and what attention shares between threads.
  float* thread_scratch(int thread) { return scratch_.of_threads[static_cast<size_t>(thread)].data(); }
  float* partials() { return scratch_.partials.data(); }
  int64_t partial_floats() const { return static_cast<int64_t>(scratch_.partials.size()); }

 private:
  struct Scratch {
    void List(BufferList& list, const OpShape& shape, int threads);

    AlignedBuffer<int8_t> q;
    AlignedBuffer<float> scale, scaled_sum, partials;
    AlignedBuffer<int32_t> start, half_start;
    std::vector<AlignedBuffer<float>> of_threads;
  };

  ThreadPool& pool_;
  const KernelTable& kernels_;
  OpShape shape_;
  Scratch scratch_;
};

}  // namespace linnet
