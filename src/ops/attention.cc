#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "ops/attention_block.h"

namespace linnet {
namespace {

// Rows of a tile (tokens times the heads of a group): enough to use every key often, few enough for the
// cache.
constexpr int64_t kTileRows = 32;
// A call this small is shared out over threads by segments of keys as well.
constexpr int64_t kSplitRows = 8;
constexpr int64_t kMaxSplitSegments = 256;  // 262,144 positions
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// One tile: the rows of `tokens` consecutive tokens for the query heads of one KV head.
struct Tile {
  int64_t head;   // KV head
  int64_t token;  // first
  int64_t tokens;
};

struct Call {
  OpContext& context;
  Rows q;
  const KvStore& store;
  std::span<const KeyRange> visible;
  float scale;
  Rows out;
  int64_t group;  // query heads a KV head
  int64_t dim;    // E

  int64_t rows(const Tile& tile) const { return tile.tokens * group; }
  const KeyRange& range(const Tile& tile, int64_t row) const {
    return visible[static_cast<size_t>(tile.token + row / group)];
  }
};

// Of one row: E sums of values, the largest score, and the sum of the weights.
struct RowSums {
  float* sum;
  float* max;
  float* total;
};

// A thread's working memory for one tile of R rows.
struct Scratch {
  float* tile;     // of AttentionTile
  float* sum;      // (R, E): merged over segments
  float* segment;  // (R, E): of the current segment
  float* max;      // (R), and so on
  float* total;
  float* segment_max;
  float* segment_total;

  RowSums OfSegment(int64_t row, int64_t dim) const {
    return {segment + row * dim, segment_max + row, segment_total + row};
  }
};

Scratch Carve(float* data, int64_t rows, int64_t dim) {
  Scratch s;
  s.tile = data;
  s.sum = s.tile + AttentionTile::ScratchFloats(rows, dim);
  s.segment = s.sum + rows * dim;
  s.max = s.segment + rows * dim;
  s.total = s.max + rows;
  s.segment_max = s.total + rows;
  s.segment_total = s.segment_max + rows;
  return s;
}

// The tile's queries, scaled. `row` is working memory for one: (E).
AttentionTile LoadQueries(const Call& call, const Tile& tile, float* memory, float* row) {
  const KvStore& store = call.store;
  AttentionTile queries(call.context.kernels(), store, call.rows(tile), memory);
  for (int64_t r = 0; r < call.rows(tile); ++r) {
    const float* q =
        call.q.row(tile.token + r / call.group) + (tile.head * call.group + r % call.group) * call.dim;
    for (size_t i = 0; i < static_cast<size_t>(call.dim); ++i) {
      row[i] = q[store.score_order()[i]] * call.scale * store.score_factor()[i];
    }
    queries.SetQuery(r, row);
  }
  return queries;
}

// Scores of one row become weights; keys outside its range get weight zero. Returns the factor on what was
// summed before.
float Weigh(const Call& call, const KeyRange& range, int64_t block, float* scores, const RowSums& sums) {
  const int64_t begin = std::clamp<int64_t>(range.first - block, 0, kKeyBlock);
  const int64_t end = std::clamp<int64_t>(range.last + 1 - block, 0, kKeyBlock);
  if (begin >= end) {
    std::fill(scores, scores + kKeyBlock, 0.0f);
    return 1.0f;
  }
  std::fill(scores, scores + begin, kMinusInfinity);
  std::fill(scores + end, scores + kKeyBlock, kMinusInfinity);
  return call.context.kernels().softmax_block(scores, kKeyBlock, sums.max, sums.total);
}

// A block of keys, and the one after it, which is asked for meanwhile; negative if there is none.
struct Step {
  int64_t block, next;
};

// One block of keys for all rows of the tile.
void AddBlock(const Call& call, const Tile& tile, const AttentionTile& queries, Step step, const Scratch& s) {
  queries.Score(tile.head, step.block, step.next);
  for (int64_t r = 0; r < call.rows(tile); ++r) {
    const RowSums sums = s.OfSegment(r, call.dim);
    const float factor = Weigh(call, call.range(tile, r), step.block, queries.scores(r), sums);
    if (factor != 1.0f) call.context.kernels().scale_add(sums.sum, factor, nullptr, call.dim);
  }
  queries.AddValues(tile.head, step.block, step.next, s.segment);
}

// The keys any row of the tile sees.
KeyRange TileRange(const Call& call, const Tile& tile) {
  KeyRange range = call.visible[static_cast<size_t>(tile.token)];
  for (int64_t t = 1; t < tile.tokens; ++t) {
    const KeyRange& row = call.visible[static_cast<size_t>(tile.token + t)];
    range.first = std::min(range.first, row.first);
    range.last = std::max(range.last, row.last);
  }
  return range;
}

// Sums of one segment into s.segment, s.segment_max, s.segment_total.
void SumSegment(const Call& call, const Tile& tile, const AttentionTile& queries, int64_t segment,
                const Scratch& s) {
  const int64_t rows = call.rows(tile);
  std::memset(s.segment, 0, static_cast<size_t>(rows * call.dim) * sizeof(float));
  std::fill(s.segment_max, s.segment_max + rows, kMinusInfinity);
  std::fill(s.segment_total, s.segment_total + rows, 0.0f);
  const KeyRange range = TileRange(call, tile);
  const int64_t first = std::max(range.first, segment * kKeySegment) / kKeyBlock * kKeyBlock;
  const int64_t end = std::min(range.last + 1, (segment + 1) * kKeySegment);
  for (int64_t block = first; block < end; block += kKeyBlock) {
    const int64_t next = block + kKeyBlock;
    AddBlock(call, tile, queries, {block, next <= range.last ? next : -1}, s);
  }
}

// Merges one segment's sums of one row into the running ones.
void Merge(const Call& call, const RowSums& segment, const RowSums& all) {
  if (*segment.total == 0.0f) return;  // the row sees no key of this segment
  if (*all.total == 0.0f) {
    std::memcpy(all.sum, segment.sum, static_cast<size_t>(call.dim) * sizeof(float));
    *all.max = *segment.max;
    *all.total = *segment.total;
    return;
  }
  const float new_max = std::max(*all.max, *segment.max);
  const float old_factor = std::exp(*all.max - new_max);
  const float new_factor = std::exp(*segment.max - new_max);
  for (int64_t e = 0; e < call.dim; ++e) all.sum[e] *= old_factor;
  for (int64_t e = 0; e < call.dim; ++e) all.sum[e] += segment.sum[e] * new_factor;
  *all.total = *all.total * old_factor + *segment.total * new_factor;
  *all.max = new_max;
}

void StoreRow(const Call& call, const Tile& tile, int64_t row, const float* sum, float total) {
  float* out =
      call.out.row(tile.token + row / call.group) + (tile.head * call.group + row % call.group) * call.dim;
  const float inverse = 1.0f / total;
  for (int64_t i = 0; i < call.dim; ++i) out[call.store.order()[static_cast<size_t>(i)]] = sum[i] * inverse;
}

void WholeTile(const Call& call, const Tile& tile, float* memory) {
  const int64_t rows = call.rows(tile);
  const Scratch s = Carve(memory, rows, call.dim);
  const AttentionTile queries = LoadQueries(call, tile, s.tile, s.sum);
  std::fill(s.total, s.total + rows, 0.0f);
  const KeyRange range = TileRange(call, tile);
  for (int64_t segment = range.first / kKeySegment; segment <= range.last / kKeySegment; ++segment) {
    SumSegment(call, tile, queries, segment, s);
    for (int64_t r = 0; r < rows; ++r) {
      Merge(call, s.OfSegment(r, call.dim), {s.sum + r * call.dim, s.max + r, s.total + r});
    }
  }
  for (int64_t r = 0; r < rows; ++r) StoreRow(call, tile, r, s.sum + r * call.dim, s.total[r]);
}

int64_t TokensPerTile(int64_t group) { return std::max<int64_t>(1, kTileRows / group); }

int64_t TileCount(const Call& call) {
  const int64_t per_tile = TokensPerTile(call.group);
  return (call.q.rows + per_tile - 1) / per_tile * call.store.kv_heads();
}

Tile TileAt(const Call& call, int64_t index) {
  const int64_t per_tile = TokensPerTile(call.group);
  const int64_t token = index / call.store.kv_heads() * per_tile;
  return {index % call.store.kv_heads(), token, std::min(per_tile, call.q.rows - token)};
}

// Few rows: every (tile, segment) pair is one unit of work; its sums go to a shared buffer and are merged
// afterwards. A unit's record is R rows of E sums followed by R maxima and R totals.
void SplitBySegments(const Call& call, int64_t tiles, int64_t first_segment, int64_t segments) {
  const int64_t record = TokensPerTile(call.group) * call.group * (call.dim + 2);
  float* partials = call.context.partials();
  call.context.pool().For(tiles * segments, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const Tile tile = TileAt(call, unit / segments);
      const int64_t rows = call.rows(tile);
      Scratch s = Carve(call.context.thread_scratch(thread), rows, call.dim);
      s.segment = partials + unit * record;
      s.segment_max = s.segment + rows * call.dim;
      s.segment_total = s.segment_max + rows;
      const AttentionTile queries = LoadQueries(call, tile, s.tile, s.sum);
      SumSegment(call, tile, queries, first_segment + unit % segments, s);
    }
  });
  call.context.pool().For(tiles, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t t = begin; t < end; ++t) {
      const Tile tile = TileAt(call, t);
      const int64_t rows = call.rows(tile);
      const Scratch s = Carve(call.context.thread_scratch(thread), rows, call.dim);
      for (int64_t r = 0; r < rows; ++r) {
        s.total[r] = 0.0f;
        for (int64_t segment = 0; segment < segments; ++segment) {
          float* sums = partials + (t * segments + segment) * record;
          float* max = sums + rows * call.dim;
          Merge(call, {sums + r * call.dim, max + r, max + rows + r}, {s.sum, s.max + r, s.total + r});
        }
        StoreRow(call, tile, r, s.sum, s.total[r]);
      }
    }
  });
}

}  // namespace

int64_t AttentionScratchFloats(int64_t heads, int64_t head_dim) {
  const int64_t rows = std::max(kTileRows, heads);
  return AttentionTile::ScratchFloats(rows, head_dim) + rows * (2 * head_dim + 4);
}

int64_t AttentionPartialFloats(int64_t heads, int64_t head_dim) {
  return std::max(kTileRows, heads) * (head_dim + 2) * kMaxSplitSegments;
}

void Attention(OpContext& context, const Queries& queries, const KvStore& store, Rows out) {
  const auto& [q, visible, scale] = queries;
  LINNET_CHECK(q.width % store.head_dim() == 0 && q.rows == out.rows);
  const int64_t heads = q.width / store.head_dim();
  const Call call{context, q, store, visible, scale, out, heads / store.kv_heads(), store.head_dim()};
  const int64_t tiles = TileCount(call);
  int64_t first = visible[0].first / kKeySegment, last = visible[0].last / kKeySegment;
  for (const KeyRange& range : visible.first(static_cast<size_t>(q.rows))) {
    first = std::min(first, range.first / kKeySegment);
    last = std::max(last, range.last / kKeySegment);
  }
  const int64_t segments = last - first + 1;
  const int64_t record = TokensPerTile(call.group) * call.group * (call.dim + 2);
  if (q.rows <= kSplitRows && segments > 1 && tiles * segments * record <= context.partial_floats()) {
    return SplitBySegments(call, tiles, first, segments);
  }
  const int64_t work = 2 * q.rows * q.width * segments * std::min(kKeySegment, visible.back().last + 1);
  const auto tile_range = [&](int64_t begin, int64_t end, int thread) {
    for (int64_t t = begin; t < end; ++t) WholeTile(call, TileAt(call, t), context.thread_scratch(thread));
  };
  context.pool().For(tiles, tile_range, work);
}

}  // namespace linnet
