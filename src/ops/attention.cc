#include "ops/attention.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/check.h"
#include "ops/attention_block.h"

namespace linnet {
namespace {

// Rows of a tile (tokens times the heads of a group): enough to use every key often, few enough for the
// cache.
constexpr int64_t kTileRows = 32;
// No unit of work may be more than so small a part of a thread's share, or the others wait for it.
constexpr int64_t kUnitsPerThread = 4;
constexpr int64_t kMaxSplitSegments = 256;  // 262,144 positions
// More sequences are taken in several rounds.
constexpr size_t kMostShares = 64;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// One tile: the rows of `tokens` consecutive tokens of a sequence for the query heads of one KV head.
struct Tile {
  const KvStore& store;
  int64_t head;   // KV head
  int64_t token;  // first
  int64_t tokens;
};

struct Call {
  OpContext& context;
  Rows q;
  std::span<const KeyRange> visible;
  float scale;
  Rows out;
  int64_t group;  // query heads a KV head
  int64_t dim;    // E

  int64_t rows(const Tile& tile) const { return tile.tokens * group; }
  const KeyRange& range(const Tile& tile, int64_t row) const {
    return visible[static_cast<size_t>(tile.token + row / group)];
  }
  int64_t tokens_per_tile() const { return std::max<int64_t>(1, kTileRows / group); }
  // Floats of what a tile leaves of one segment: R rows of E sums, R maxima, R totals.
  int64_t record() const { return tokens_per_tile() * group * (dim + 2); }
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
  const KvStore& store = tile.store;
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

// Merges one segment's sums of one row, which are lost, into the running ones.
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
  call.context.kernels().scale_add(segment.sum, new_factor, nullptr, call.dim);
  call.context.kernels().scale_add(all.sum, old_factor, segment.sum, call.dim);
  *all.total = *all.total * old_factor + *segment.total * new_factor;
  *all.max = new_max;
}

void StoreRow(const Call& call, const Tile& tile, int64_t row, const float* sum, float total) {
  float* out =
      call.out.row(tile.token + row / call.group) + (tile.head * call.group + row % call.group) * call.dim;
  const float inverse = 1.0f / total;
  for (int64_t i = 0; i < call.dim; ++i) out[tile.store.order()[static_cast<size_t>(i)]] = sum[i] * inverse;
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

// A sequence's part of a call: tiles of tokens for each KV head, each whole or, where that would be too much
// for one thread, segment by segment.
struct Share {
  StoreRows rows{};
  KeyRange keys;  // that any of its rows sees
  int64_t first_segment = 0, segments = 0;
  int64_t tiles = 0;
  bool split = false;
  float* records = nullptr;  // of a split one: (tiles, segments, record)

  int64_t units() const { return split ? tiles * segments : tiles; }
};

Share MakeShare(const Call& call, const StoreRows& rows) {
  Share share{.rows = rows, .keys = call.visible[static_cast<size_t>(rows.first)]};
  for (const KeyRange& range :
       call.visible.subspan(static_cast<size_t>(rows.first), static_cast<size_t>(rows.rows))) {
    share.keys.first = std::min(share.keys.first, range.first);
    share.keys.last = std::max(share.keys.last, range.last);
  }
  const int64_t per_tile = call.tokens_per_tile();
  share.tiles = (rows.rows + per_tile - 1) / per_tile * rows.store->kv_heads();
  share.first_segment = share.keys.first / kKeySegment;
  share.segments = share.keys.last / kKeySegment - share.first_segment + 1;
  return share;
}

// Decides which sequences are split, as far as the memory for their records goes, and puts the others, whose
// units are larger, in front.
void PlanShares(const Call& call, std::span<Share> shares) {
  int64_t total = 0, records = call.context.partial_floats() / call.record();
  for (const Share& share : shares) total += share.tiles * share.segments;
  const int64_t threads = call.context.pool().threads(), most = total / (kUnitsPerThread * threads);
  float* memory = call.context.partials();
  for (Share& share : shares) {
    const int64_t needed = share.tiles * share.segments;
    share.split = threads > 1 && share.segments > std::max<int64_t>(1, most) && needed <= records;
    if (!share.split) continue;
    share.records = memory;
    memory += needed * call.record();
    records -= needed;
  }
  std::sort(shares.begin(), shares.end(), [](const Share& a, const Share& b) {
    return a.split != b.split ? b.split : a.rows.first < b.rows.first;
  });
}

Tile TileAt(const Call& call, const Share& share, int64_t index) {
  const int64_t per_tile = call.tokens_per_tile(), heads = share.rows.store->kv_heads();
  const int64_t token = index / heads * per_tile;
  return {*share.rows.store, index % heads, share.rows.first + token,
          std::min(per_tile, share.rows.rows - token)};
}

// A thread's way through units: consecutive segments of a tile have the same queries.
class UnitSums {
 public:
  explicit UnitSums(const Call& call) : call_(call) {}

  void operator()(const Share& share, int64_t unit, int thread) {
    float* memory = call_.context.thread_scratch(thread);
    if (share.split) {
      SumUnit(share, unit, memory);
    } else {
      share_ = nullptr;
      WholeTile(call_, TileAt(call_, share, unit), memory);
    }
  }

 private:
  // One segment of one tile of a split sequence.
  void SumUnit(const Share& share, int64_t unit, float* memory) {
    const int64_t index = unit / share.segments;
    const Tile tile = TileAt(call_, share, index);
    const int64_t rows = call_.rows(tile);
    Scratch s = Carve(memory, rows, call_.dim);
    s.segment = share.records + unit * call_.record();
    s.segment_max = s.segment + rows * call_.dim;
    s.segment_total = s.segment_max + rows;
    if (share_ != &share || tile_ != index) queries_.emplace(LoadQueries(call_, tile, s.tile, s.sum));
    share_ = &share;
    tile_ = index;
    SumSegment(call_, tile, *queries_, share.first_segment + unit % share.segments, s);
  }

  const Call& call_;
  // Whose queries the thread's memory holds.
  const Share* share_ = nullptr;
  int64_t tile_ = 0;
  std::optional<AttentionTile> queries_;
};

// Merges what UnitSums left of all segments of a row; `index` counts the rows of all tiles, as many in each.
void MergeRow(const Call& call, const Share& share, int64_t index, float* memory) {
  const int64_t rows_of_tile = call.tokens_per_tile() * call.group, r = index % rows_of_tile;
  const Tile tile = TileAt(call, share, index / rows_of_tile);
  const int64_t rows = call.rows(tile);
  if (r >= rows) return;
  float all_max = 0, all_total = 0;
  for (int64_t segment = 0; segment < share.segments; ++segment) {
    float* sums = share.records + (index / rows_of_tile * share.segments + segment) * call.record();
    float* max = sums + rows * call.dim;
    Merge(call, {sums + r * call.dim, max + r, max + rows + r}, {memory, &all_max, &all_total});
  }
  StoreRow(call, tile, r, memory, all_total);
}

// Hands out the units of all shares one by one: body(share, index, thread), a copy of its own on each thread.
template <typename Count, typename Body>
void ForUnits(const Call& call, std::span<const Share> shares, int64_t work, const Count& count,
              const Body& body) {
  std::atomic<int64_t> next{0};
  call.context.pool().RunIfLarge(work, [&](int thread) {
    Body own = body;
    int64_t begin = 0;  // units of the shares before
    for (auto share = shares.begin();;) {
      const int64_t unit = next.fetch_add(1, std::memory_order_relaxed);
      while (share != shares.end() && unit >= begin + count(*share)) begin += count(*share++);
      if (share == shares.end()) return;
      own(*share, unit - begin, thread);
    }
  });
}

void AttendShares(const Call& call, std::span<Share> shares) {
  PlanShares(call, shares);
  int64_t work = 0, split_tiles = 0;
  for (const Share& share : shares) {
    work += 2 * share.rows.rows * call.q.width * (share.keys.last - share.keys.first + 1);
    split_tiles += share.split ? share.tiles : 0;
  }
  ForUnits(call, shares, work, [](const Share& share) { return share.units(); }, UnitSums(call));
  if (split_tiles == 0) return;
  const int64_t rows_of_tile = call.tokens_per_tile() * call.group;
  ForUnits(
      call, shares, work, [&](const Share& share) { return share.split ? share.tiles * rows_of_tile : 0; },
      [&](const Share& share, int64_t row, int thread) {
        MergeRow(call, share, row, call.context.thread_scratch(thread));
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

void Attention(OpContext& context, const Queries& queries, std::span<const StoreRows> sequences, Rows out) {
  const auto& [q, visible, scale] = queries;
  if (sequences.empty()) return;
  const KvStore& store = *sequences[0].store;
  LINNET_CHECK(q.width % store.head_dim() == 0 && q.rows == out.rows);
  const int64_t heads = q.width / store.head_dim();
  const Call call{context, q, visible, scale, out, heads / store.kv_heads(), store.head_dim()};
  std::array<Share, kMostShares> shares;
  while (!sequences.empty()) {
    const size_t count = std::min(sequences.size(), kMostShares);
    size_t used = 0;
    for (const StoreRows& rows : sequences.first(count)) {
      LINNET_CHECK(rows.store->head_dim() == call.dim && rows.store->kv_heads() == store.kv_heads());
      if (rows.rows > 0) shares[used++] = MakeShare(call, rows);
    }
    AttendShares(call, std::span(shares).first(used));
    sequences = sequences.subspan(count);
  }
}

}  // namespace linnet
