// Softmax attention over a key/value store.
//
// The order of every sum is fixed by absolute key positions, never by the batch: scores and values are taken
// in blocks of kKeyBlock positions with an online softmax inside a segment of kKeySegment positions; segments
// are merged in ascending order. A row's result is therefore the same bits alone or in a batch, chunked or
// not, on any number of threads, and a single row can still be shared out over threads by segments.
#pragma once

#include <cstdint>
#include <span>

#include "ops/context.h"
#include "ops/kv_store.h"

namespace linnet {

inline constexpr int64_t kKeySegment = 1024;

// The keys a row sees: absolute positions first..last, both included; all mask rules give one interval a row.
struct KeyRange {
  int64_t first = 0;
  int64_t last = 0;
};

struct Queries {
  Rows q;                             // (T, H * E): query head h uses KV head h / (H / K)
  std::span<const KeyRange> visible;  // one a row
  float scale;                        // score = scale * q · k
};

// Consecutive rows of a call that look into the same store: those of one sequence; possibly none.
struct StoreRows {
  const KvStore* store;
  int64_t first, rows;
};

// out (T, H * E), of the rows of all sequences at once: the work is shared out over sequences, KV heads and,
// where these are too few for the threads, segments of keys. Rows that no sequence names are left as they
// are. REQUIRES: visible[t] lies in what the row's store holds; all stores have the same K and E; Reserve()
// covered H and E.
void Attention(OpContext& context, const Queries& queries, std::span<const StoreRows> sequences, Rows out);

int64_t AttentionScratchFloats(int64_t heads, int64_t head_dim);
int64_t AttentionPartialFloats(int64_t heads, int64_t head_dim);

}  // namespace linnet
