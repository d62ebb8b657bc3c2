#include "ops/context.h"

#include <algorithm>

#include "ops/attention.h"
#include "ops/matmul.h"

namespace linnet {

OpContext::Scratch::Scratch(const Shape& shape, int threads) : shape(shape) {
  const size_t values = static_cast<size_t>((shape.rows + kMaxWideRows) * shape.width);
  q = AlignedBuffer<int8_t>(values);
  scale = AlignedBuffer<float>(values / kActBlock);
  scaled_sum = AlignedBuffer<float>(values / kActBlock);
  start = AlignedBuffer<int32_t>(values / kActBlock);
  half_start = AlignedBuffer<int32_t>(2 * values / kActBlock);
  partials = AlignedBuffer<float>(static_cast<size_t>(AttentionPartialFloats(shape.heads, shape.head_dim)));
  const int64_t each =
      std::max(MatMulScratchFloats(shape.rows), AttentionScratchFloats(shape.heads, shape.head_dim));
  for (int t = 0; t < threads; ++t) of_threads.emplace_back(static_cast<size_t>(each));
}

void OpContext::Reserve(int64_t rows, int64_t width, int64_t heads, int64_t head_dim) {
  width = (width + kActBlock - 1) / kActBlock * kActBlock;
  const Shape& now = scratch_.shape;
  if (rows <= now.rows && width <= now.width && heads <= now.heads && head_dim <= now.head_dim) return;
  scratch_ = Scratch({std::max(rows, now.rows), std::max(width, now.width), std::max(heads, now.heads),
                      std::max(head_dim, now.head_dim)},
                     pool_.threads());
}

uint64_t OpContext::bytes() const {
  const Scratch& s = scratch_;
  uint64_t total = s.q.bytes() + s.scale.bytes() + s.scaled_sum.bytes() + s.partials.bytes();
  total += s.start.bytes() + s.half_start.bytes();
  for (const AlignedBuffer<float>& buffer : s.of_threads) total += buffer.bytes();
  return total;
}

RowTiles OpContext::Tiles(int64_t width) const {
  const Scratch& s = scratch_;
  return {s.q.data(),          s.scale.data(),      s.start.data(),
          s.half_start.data(), s.scaled_sum.data(), width / kActBlock};
}

TileLane OpContext::Lane(const Tile& tile, int64_t lane) {
  const int64_t at = tile.first * tile.blocks;
  return {scratch_.q.data() + at * kActBlock + lane * tile.group,
          scratch_.scale.data() + at + lane,
          scratch_.start.data() + at + lane,
          scratch_.half_start.data() + 2 * at + lane,
          scratch_.scaled_sum.data() + at + lane,
          tile.rows,
          tile.group};
}

void OpContext::Clear(const Tile& tile) {
  const TileLane first = Lane(tile, 0);
  const int64_t values = tile.blocks * tile.rows;
  std::fill_n(first.q, values * kActBlock, int8_t{0});
  std::fill_n(first.scale, values, 0.0f);
  std::fill_n(first.start, values, 0);
  std::fill_n(first.half_start, 2 * values, 0);
  std::fill_n(first.scaled_sum, values, 0.0f);
}

}  // namespace linnet
