#include "ops/context.h"

#include <algorithm>

#include "ops/attention.h"
#include "ops/matmul.h"

namespace linnet {

void OpContext::Reserve(int64_t rows, int64_t width, int64_t heads, int64_t head_dim) {
  width = (width + kActBlock - 1) / kActBlock * kActBlock;
  if (rows <= rows_ && width <= width_ && heads <= heads_ && head_dim <= head_dim_) return;
  rows_ = std::max(rows, rows_);
  width_ = std::max(width, width_);
  heads_ = std::max(heads, heads_);
  head_dim_ = std::max(head_dim, head_dim_);
  const size_t values = static_cast<size_t>((rows_ + kMaxWideRows) * width_);
  q_ = AlignedBuffer<int8_t>(values);
  scale_ = AlignedBuffer<float>(values / kActBlock);
  scaled_sum_ = AlignedBuffer<float>(values / kActBlock);
  start_ = AlignedBuffer<int32_t>(values / kActBlock);
  half_start_ = AlignedBuffer<int32_t>(2 * values / kActBlock);
  const int64_t scratch = std::max(MatMulScratchFloats(rows_), AttentionScratchFloats(heads_, head_dim_));
  thread_scratch_.clear();
  for (int t = 0; t < pool_.threads(); ++t) thread_scratch_.emplace_back(static_cast<size_t>(scratch));
  partials_ = AlignedBuffer<float>(static_cast<size_t>(AttentionPartialFloats(heads_, head_dim_)));
}

uint64_t OpContext::bytes() const {
  uint64_t total = q_.bytes() + scale_.bytes() + scaled_sum_.bytes() + partials_.bytes();
  total += start_.bytes() + half_start_.bytes();
  for (const AlignedBuffer<float>& buffer : thread_scratch_) total += buffer.bytes();
  return total;
}

RowTiles OpContext::Tiles(int64_t width) const {
  return {q_.data(), scale_.data(), start_.data(), half_start_.data(), scaled_sum_.data(), width / kActBlock};
}

TileLane OpContext::Lane(const TileShape& shape, int64_t tile, int64_t lane) {
  const int64_t at = tile * shape.blocks * shape.rows;
  return {q_.data() + at * kActBlock + lane * shape.group,
          scale_.data() + at + lane,
          start_.data() + at + lane,
          half_start_.data() + 2 * at + lane,
          scaled_sum_.data() + at + lane,
          shape.rows,
          shape.group};
}

void OpContext::ClearTile(const TileShape& shape, int64_t tile) {
  const TileLane first = Lane(shape, tile, 0);
  const int64_t values = shape.blocks * shape.rows;
  std::fill_n(first.q, values * kActBlock, int8_t{0});
  std::fill_n(first.scale, values, 0.0f);
  std::fill_n(first.start, values, 0);
  std::fill_n(first.half_start, 2 * values, 0);
  std::fill_n(first.scaled_sum, values, 0.0f);
}

}  // namespace linnet
