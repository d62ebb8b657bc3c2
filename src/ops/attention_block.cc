#include "ops/attention_block.h"

#include <algorithm>
#include <cstring>

namespace linnet {

namespace {

// Rows of a shared store become keys piece by piece, so that a piece is still in the first-level cache when
// it is multiplied: some elements of all positions of a block, or of bytes, whose sums over all elements
// share a scale, all elements of some positions.
constexpr int64_t kPieceElements = 128;
constexpr int64_t kPiecePositions = 32;
static_assert(kKeyBlock % kPiecePositions == 0);

int64_t PieceFloats(int64_t head_dim) {
  return std::max(kKeyBlock * kPieceElements / 2, kPiecePositions * head_dim / 4);
}

int64_t WholeTiles(int64_t rows) { return (rows + kInputRows - 1) / kInputRows * kInputRows; }

}  // namespace

int64_t AttentionTile::ScratchFloats(int64_t rows, int64_t head_dim) {
  // q and weights; scales and sums of both; scores; a piece of keys.
  return WholeTiles(rows) * (head_dim + kKeyBlock) + 10 * rows + 2 * rows * kKeyBlock + PieceFloats(head_dim);
}

AttentionTile::AttentionTile(const KernelTable& kernels, const KvStore& store, int64_t rows, float* scratch)
    : kernels_(kernels), store_(store), rows_(rows), dim_(store.head_dim()) {
  const auto take = [&](int64_t floats) {
    float* const taken = scratch;
    scratch += floats;
    return taken;
  };
  q_ = take(WholeTiles(rows) * dim_);
  q_scale_ = take(4 * rows);
  q_sum_ = reinterpret_cast<int32_t*>(take(4 * rows));
  scores_ = take(2 * rows * kKeyBlock);
  weights_ = take(WholeTiles(rows) * kKeyBlock);
  weight_scale_ = take(rows);
  weight_sum_ = reinterpret_cast<int32_t*>(take(rows));
  keys_ = take(PieceFloats(dim_));
}

void AttentionTile::SetQuery(int64_t row, const float* q) {
  const CacheKernels& cache = kernels_.cache;
  switch (store_.type()) {
    case KvType::kF32:
      std::memcpy(q_ + row * dim_, q, static_cast<size_t>(dim_) * sizeof(float));
      return;
    case KvType::kBf16:
      cache.pack_pairs(q, dim_, {q_, dim_ * kInputRows, row});
      return;
    case KvType::kInt8:
      for (const Part& part : Parts()) {
        const int64_t at = part.index * 2 * rows_ + row;
        const InputRow out{ByteQuery(part), dim_ * kInputRows, row};
        cache.split_row(q + part.first, part.count, {out, rows_, q_scale_ + at, q_sum_ + at});
      }
      return;
  }
}

// A block's keys as panels of sixteen.
GroupedPanels AttentionTile::Keys(int64_t head, int64_t position) const {
  const int64_t group = KvStore::GroupOf(store_.type());
  return {store_.KeyBlock(head, position), dim_ * kPanel, kPanel * group, dim_ / group, kKeyBlock};
}

// Of a shared store, from which they are made.
RowsAsKeys AttentionTile::KeyRows(int64_t head, int64_t position) const {
  const int64_t group = KvStore::GroupOf(store_.type()), bytes = 4 / group;
  const auto* rows = static_cast<const uint8_t*>(store_.ValueBlock(head, position));
  return {rows + store_.rotated() * group * bytes, store_.row_width(), kKeyBlock, dim_};
}

// The `part`-th of `parts` parts.
Upcoming AttentionTile::PartOf(const Upcoming& upcoming, int64_t part, int64_t parts) {
  const int64_t bytes = (upcoming.bytes / parts + kAlignment - 1) / kAlignment * kAlignment;
  const int64_t first = std::min(part * bytes, upcoming.bytes);
  return {static_cast<const uint8_t*>(upcoming.at) + first, std::min(bytes, upcoming.bytes - first)};
}

GroupedPanels AttentionTile::Values(int64_t head, int64_t position) const {
  const int64_t group = KvStore::GroupOf(store_.type());
  return {store_.ValueBlock(head, position), kPanel * group, store_.row_width() * group, kKeyBlock / group,
          dim_};
}

Upcoming AttentionTile::RowsOf(int64_t head, int64_t position) const {
  if (position < 0) return {};
  return {store_.ValueBlock(head, position), store_.block_bytes(store_.row_width())};
}

void AttentionTile::Score(int64_t head, int64_t position, int64_t next) const {
  Upcoming upcoming = PartOf(RowsOf(head, next), 0, 2);
  if (next >= 0 && !store_.shared()) upcoming = {store_.KeyBlock(head, next), store_.block_bytes(dim_)};
  switch (store_.type()) {
    case KvType::kF32:
      return ScoreFloats(head, position);
    case KvType::kBf16:
      return ScorePairs(head, position, upcoming);
    case KvType::kInt8:
      return ScoreBytes(head, position, upcoming);
  }
}

void AttentionTile::ScoreFloats(int64_t head, int64_t position) const {
  const FormatKernels& format = kernels_.formats[static_cast<int>(PanelFormat::kF32)];
  if (store_.shared()) {
    const float* keys = static_cast<const float*>(store_.ValueBlock(head, position)) + store_.rotated();
    format.dot({keys, store_.row_width(), q_, dim_, scores_, kKeyBlock, dim_, kKeyBlock, rows_});
  } else {
    format.product({store_.KeyBlock(head, position), dim_ * kPanel, kPanel, q_, dim_, scores_, kKeyBlock,
                    dim_, kKeyBlock, rows_, false});
  }
}

void AttentionTile::ScorePairs(int64_t head, int64_t position, Upcoming upcoming) const {
  PairProduct product{{}, {q_, dim_ * kInputRows}, scores_, kKeyBlock, rows_, false, upcoming};
  if (!store_.shared()) {
    product.w = Keys(head, position);
    return kernels_.cache.pair_product(product);
  }
  RowsAsKeys rows = KeyRows(head, position);
  const int64_t pieces = (dim_ + kPieceElements - 1) / kPieceElements;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    rows.elements = std::min(kPieceElements, dim_ - piece * kPieceElements);
    kernels_.cache.regroup_pairs(rows, static_cast<uint16_t*>(keys_));
    rows.data = static_cast<const uint16_t*>(rows.data) + kPieceElements * kPair;
    product.w = {keys_, rows.elements * kPanel, kPanel * kPair, rows.elements / kPair, kKeyBlock};
    product.upcoming = PartOf(upcoming, piece, pieces);
    kernels_.cache.pair_product(product);
    product.x.first_group += kPieceElements / kPair;
    product.accumulate = true;
  }
}

// Of shared rows the elements before the rotated keys are values and have the values' scale.
std::array<AttentionTile::Part, 2> AttentionTile::Parts() const {
  const int64_t from_values = store_.shared() ? dim_ - store_.rotated() : 0;
  return {Part{0, 0, from_values}, Part{1, from_values, dim_ - from_values}};
}

int8_t* AttentionTile::ByteQuery(const Part& part) const {
  return reinterpret_cast<int8_t*>(q_) + part.first * kInputRows;
}

// High and low bytes of the queries are rows of their own until their scores are added.
void AttentionTile::ScoreBytes(int64_t head, int64_t position, Upcoming upcoming) const {
  if (store_.shared()) {
    RowsAsKeys rows = KeyRows(head, position);
    rows.positions = kPiecePositions;
    for (int64_t first = 0; first < kKeyBlock; first += kPiecePositions) {
      kernels_.cache.regroup_bytes(rows, static_cast<uint8_t*>(keys_));
      rows.data = static_cast<const uint8_t*>(rows.data) + kPiecePositions * rows.row_width;
      const GroupedPanels keys{keys_, dim_ * kPanel, kPanel * kQuad, dim_ / kQuad, kPiecePositions};
      MultiplyKeyBytes({head, position, first}, keys,
                       PartOf(upcoming, first / kPiecePositions, kKeyBlock / kPiecePositions));
    }
  } else {
    MultiplyKeyBytes({head, position, 0}, Keys(head, position), upcoming);
  }
  for (int64_t r = 0; r < rows_; ++r) kernels_.scale_add(scores(r), 1.0f, scores(rows_ + r), kKeyBlock);
}

void AttentionTile::MultiplyKeyBytes(const KeyPlace& place, const GroupedPanels& all,
                                     const Upcoming& upcoming) const {
  bool accumulate = false;
  for (const Part& part : Parts()) {
    if (part.count == 0) continue;
    GroupedPanels keys = all;
    keys.data = static_cast<const uint8_t*>(keys.data) + part.first * kPanel;
    keys.groups = part.count / kQuad;
    const float* scales = part.index == 0 ? store_.ValueScales(place.head, place.position)
                                          : store_.KeyScales(place.head, place.position);
    const int64_t at = part.index * 2 * rows_;
    kernels_.cache.byte_product({keys,
                                 {q_, dim_ * kInputRows, part.first / kQuad},
                                 q_scale_ + at,
                                 q_sum_ + at,
                                 scales + place.first,
                                 scores_ + place.first,
                                 kKeyBlock,
                                 2 * rows_,
                                 accumulate,
                                 accumulate ? Upcoming{} : upcoming});
    accumulate = true;
  }
}

void AttentionTile::AddValues(int64_t head, int64_t position, int64_t next, float* sum) const {
  const CacheKernels& cache = kernels_.cache;
  const GroupedPanels values = Values(head, position);
  const Upcoming rows = RowsOf(head, next), upcoming = store_.shared() ? PartOf(rows, 1, 2) : rows;
  switch (store_.type()) {
    case KvType::kF32:
      kernels_.formats[static_cast<int>(PanelFormat::kF32)].product(
          {values.data, values.panel_stride, values.group_stride, scores_, kKeyBlock, sum, dim_, kKeyBlock,
           dim_, rows_, true});
      return;
    case KvType::kBf16:
      for (int64_t r = 0; r < rows_; ++r)
        cache.pack_pairs(scores(r), kKeyBlock, {weights_, kKeyBlock * kInputRows, r});
      cache.pair_product({values, {weights_, kKeyBlock * kInputRows}, sum, dim_, rows_, true, upcoming});
      return;
    case KvType::kInt8:
      for (int64_t r = 0; r < rows_; ++r) {
        weight_scale_[r] = cache.quantise_weights(scores(r), store_.ValueScales(head, position), kKeyBlock,
                                                  {weights_, kKeyBlock * kInputRows, r}, weight_sum_ + r);
      }
      cache.byte_product({values,
                          {weights_, kKeyBlock * kInputRows},
                          weight_scale_,
                          weight_sum_,
                          nullptr,
                          sum,
                          dim_,
                          rows_,
                          true,
                          upcoming});
      return;
  }
}

}  // namespace linnet
