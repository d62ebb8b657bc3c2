// The key/value cache of one sequence: a ring for each sliding layer, a store of the whole context for each
// full one. Full layers whose values are their raw keys store them once, with the rotated part of the
// keys: 62.5 % of the 12B's.
//
// Invariants:
//  1. The rings hold the last `window` positions plus rows_at_once() plus kRollBack: a call writes so many of
//     its rows, reads for them, and goes on, and up to kRollBack tokens can be taken back.
//  2. Full layers reserve address space for the whole context at once; pages become resident as tokens
//     arrive.
//  3. Every ring holds the positions from oldest() to length(); what a call has begun to overwrite counts as
//     lost, also when the call was stopped half way.
#pragma once

#include <cstdint>
#include <vector>

#include "linnet/error.h"
#include "linnet/options.h"
#include "model/config.h"
#include "model/weights.h"
#include "ops/kv_store.h"

namespace linnet {

struct KvCacheOptions {
  KvType type = KvType::kBf16;
  int64_t context = 0;
  int64_t rows_per_call = 0;
};

class KvCache {
 public:
  static constexpr int64_t kRollBack = 64;
  static constexpr int64_t kRowsAtOnce = 128;

  // Room for `context` tokens, fed at most `rows_per_call` at a time. `weights`, which outlive the cache,
  // give the norms of keys that are stored with their values. Error: kOutOfMemory.
  static Result<KvCache> Create(const ModelConfig& config, const Weights& weights,
                                const KvCacheOptions& options);

  KvStore& layer(int64_t l) { return layers_[static_cast<size_t>(l)]; }
  const KvStore& layer(int64_t l) const { return layers_[static_cast<size_t>(l)]; }

  int64_t length() const { return length_; }
  int64_t context() const { return context_; }
  int64_t rows_per_call() const { return rows_per_call_; }
  uint64_t bytes() const;  // reserved

  // Rows of a call that are written before they are read for: kRowsAtOnce, or the longest block of a picture.
  int64_t rows_at_once() const { return rows_at_once_; }

  // Makes room for blocks of so many rows, keeping what the rings hold. Error: kOutOfMemory, the cache stays
  // as it was.
  Status ReserveBlock(int64_t rows);

  // Positions [length, length + rows) are about to be written, layer by layer: what lies in their places is
  // lost.
  void BeginRows(int64_t rows);
  // They have been written in every layer.
  void Advance(int64_t rows);

  // For benchmarks: holds `length` positions of made-up keys and values.
  void FillForTiming(int64_t length);

  // Forgets positions from `length` on. Error: the rings no longer hold the window before that position.
  Status Truncate(int64_t length);
  // The shortest length Truncate() accepts beside 0. A call that was stopped may leave it above length().
  int64_t shortest() const;
  // The first position that every ring still holds.
  int64_t oldest() const { return oldest_; }

 private:
  int64_t RingCapacity(int64_t rows_at_once) const;

  std::vector<KvStore> layers_;
  std::vector<LayerPlan> plan_;
  KvType type_ = KvType::kF32;
  int64_t context_ = 0, rows_per_call_ = 0, rows_at_once_ = 0, length_ = 0;
  int64_t oldest_ = 0;
  int64_t window_ = 0;  // the largest window
};

}  // namespace linnet
