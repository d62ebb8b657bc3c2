// The key/value cache of one sequence: a ring for each sliding layer, pages for the full ones. A page holds
// kPagePositions consecutive positions of all full layers, one layer after another as KvStore lays them out,
// so that one table of pages serves a sequence. Full layers whose values are their raw keys store them once,
// with the rotated part of the keys: 62.5 % of the 12B's.
//
// Sequences share pages: Prefix() holds the first positions of one as they are, whatever becomes of the
// sequence, and Restore() begins another with them and with a snapshot of the rings. Who writes into a page
// that others hold copies it first.
//
// Invariants:
//  1. The rings hold the last `window` positions plus rows_at_once() plus kRollBack: a call writes so many of
//     its rows, reads for them, and goes on, and up to kRollBack tokens can be taken back.
//  2. Pages come from a pool whose address space is reserved at once; ReserveRows() takes them before a call
//     writes, without allocating, and memory backs them as tokens arrive.
//  3. Every ring holds the positions from oldest() to length(); what a call has begun to overwrite counts as
//     lost, also when the call was stopped half way.
//  4. A page that others hold is never written. What a sequence holds alone has nothing of another's but what
//     both have read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/options.h"
#include "model/config.h"
#include "model/kv_pages.h"
#include "model/weights.h"
#include "ops/kv_store.h"

namespace linnet {

struct KvCacheOptions {
  KvType type = KvType::kBf16;
  int64_t context = 0;
  int64_t rows_per_call = 0;
  std::shared_ptr<KvPagePool> pool = nullptr;  // of NewPool(); none: one for this sequence alone
};

// The pages of the first `length` positions of a sequence. Copies are cheap and hold the same pages.
struct KvPrefix {
  std::vector<KvPage> pages;
  int64_t length = 0;
};

class KvCache {
 public:
  static constexpr int64_t kRollBack = 64;
  static constexpr int64_t kRowsAtOnce = 128;

  // Room for `context` tokens, fed at most `rows_per_call` at a time. `weights`, which outlive the cache,
  // give the norms of keys that are stored with their values. Error: kOutOfMemory.
  static Result<KvCache> Create(const ModelConfig& config, const Weights& weights,
                                const KvCacheOptions& options);

  // What a cache with a pool of its own takes once it is full and has been given room for blocks of so many
  // rows. Error: the type does not fit the model's heads.
  struct Bytes {
    uint64_t rings = 0, pages = 0;
  };
  static Result<Bytes> PlannedBytes(const ModelConfig& config, const KvCacheOptions& options, int64_t block);

  static int64_t PagesOf(int64_t positions) { return (positions + kPagePositions - 1) / kPagePositions; }

  // Pages for `positions` positions, of any number of sequences. Error: kOutOfMemory.
  static Result<std::shared_ptr<KvPagePool>> NewPool(const ModelConfig& config, KvType type,
                                                     int64_t positions);

  KvStore& layer(int64_t l) { return layers_[static_cast<size_t>(l)]; }
  const KvStore& layer(int64_t l) const { return layers_[static_cast<size_t>(l)]; }

  int64_t length() const { return length_; }
  int64_t context() const { return context_; }
  int64_t rows_per_call() const { return rows_per_call_; }
  KvType type() const { return type_; }
  const std::shared_ptr<KvPagePool>& pool() const { return pool_; }

  // Rows of a call that are written before they are read for: kRowsAtOnce, or the longest block of a picture.
  int64_t rows_at_once() const { return rows_at_once_; }

  // Makes room for blocks of so many rows, keeping what the rings hold. Error: kOutOfMemory, the cache stays
  // as it was.
  Status ReserveBlock(int64_t rows);

  // Takes the pages of positions [length, length + rows), copying one that others hold. Allocates nothing.
  // Error: kOutOfMemory where the pool has no more, which cannot be in one for this sequence alone whose
  // pages nobody else holds.
  Status ReserveRows(int64_t rows);

  // Positions [length, length + rows) are about to be written, layer by layer: what lies in their places is
  // lost. REQUIRES: ReserveRows() has succeeded, or would.
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

  // The pages of the first `length` positions. REQUIRES: `length` positions have been reached.
  KvPrefix Prefix(int64_t length) const;

  // A snapshot of the rings from which a sequence can go on at `position`: the position (int64_t), then of
  // every sliding layer the blocks (KvStore::SaveBlock) that hold the window before it, ascending; what
  // is behind `position` in the last one counts for nothing. The size of `out` is RingBytes(position). Error:
  // the rings no longer hold that window.
  Status SaveRings(int64_t position, std::span<uint8_t> out) const;
  // The same, given away block by block. Errors: also those of `take`.
  Status SaveRings(int64_t position, const std::function<Status(std::span<const uint8_t>)>& take) const;
  int64_t RingBytes(int64_t position) const;
  // Forgets everything and goes on where the snapshot was made, with the bits that reading the same tokens
  // would give. Error, the cache stays as it was: the prefix is shorter or of another pool, the snapshot has
  // the wrong size, or the context ends before.
  Status Restore(const KvPrefix& prefix, std::span<const uint8_t> rings);

 private:
  int64_t WindowStart(int64_t position) const;
  Status CheckSaveRings(int64_t position) const;
  Status CheckRestore(const KvPrefix& prefix, std::span<const uint8_t> rings) const;
  void PutPage(int64_t page, KvPage held);
  void KeepPages(int64_t positions);
  void WriteZeros(KvStore& store, int64_t first, int64_t last);
  // Calls visit(store, position) for each block of a snapshot, in order.
  template <typename Self, typename Visit>
  static void ForRingBlocks(Self& self, int64_t position, const Visit& visit);

  std::vector<KvStore> layers_;
  std::vector<LayerPlan> plan_;
  std::shared_ptr<KvPagePool> pool_;
  std::vector<KvPage> pages_;  // of positions up to length(), and of those that a call has reserved
  std::vector<float> zeros_;   // of a token in the widest layer
  KvType type_ = KvType::kF32;
  int64_t context_ = 0, rows_per_call_ = 0, rows_at_once_ = 0, length_ = 0;
  int64_t oldest_ = 0;
  int64_t window_ = 0;  // the largest window
};

}  // namespace linnet
