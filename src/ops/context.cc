#include "ops/context.h"

#include <algorithm>

#include "ops/attention.h"
#include "ops/matmul.h"

namespace linnet {

OpShape Union(const OpShape& a, const OpShape& b) {
  return {std::max(a.rows, b.rows), std::max(a.width, b.width), std::max(a.heads, b.heads),
          std::max(a.head_dim, b.head_dim)};
}

void OpContext::Scratch::List(BufferList& list, const OpShape& shape, int threads) {
  const int64_t blocks = (shape.rows + kMaxWideRows) * ((shape.width + kActBlock - 1) / kActBlock);
  list.Add(q, blocks * kActBlock);
  list.Add(scale, blocks);
  list.Add(scaled_sum, blocks);
  list.Add(start, blocks);
  list.Add(half_start, 2 * blocks);
  list.Add(partials, AttentionPartialFloats(shape.heads, shape.head_dim));
  const int64_t each =
      std::max(MatMulScratchFloats(shape.rows), AttentionScratchFloats(shape.heads, shape.head_dim));
  of_threads.resize(static_cast<size_t>(threads));
  for (AlignedBuffer<float>& buffer : of_threads) list.Add(buffer, each);
}

void OpContext::Reserve(const OpShape& shape) {
  if (shape_.Covers(shape)) return;
  const OpShape both = Union(shape_, shape);
  Scratch scratch;
  Allocate(scratch, both, pool_.threads());
  scratch_ = std::move(scratch);
  shape_ = both;
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
