// What the conversations of an engine have read, so that none reads again what it or another has read before:
// snapshots of sequences at places where others may go on. They share the pages of full layers with the
// sequences and with each other; the rings of sliding layers each keeps for itself, so that on the 12B one
// takes some 335 MB.
//
// What it holds beyond what sequences hold as well stays below a cap. Where it must drop, it drops, each time
// the least recently used of the first kind that there is (ties: what costs the fewest tokens to read again):
//  1. snapshots that exactly one other goes on from, as that one stands for them unless somebody branches
//  off;
//  2. leaves, which none goes on from;
//  3. ancestors that several go on from;
//  4. the last turn's end of each live conversation.
// A use of one is a use of those that it goes on from.
//
// Thread safety: one thread at a time, that of its engine.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "model/kv_cache.h"
#include "runtime/prefix_key.h"

namespace linnet {

// What the keys and values of a prefix depend on beside it.
struct PrefixDomain {
  const KvPagePool* pool = nullptr;  // and with it the type of the cache
  MaskRule mask_rule = MaskRule::kA;
  bool operator==(const PrefixDomain&) const = default;
};

// What a sequence goes on from with KvCache::Restore().
struct PrefixSnapshot {
  KvPrefix prefix;
  AlignedBuffer<uint8_t> rings;
};

class PrefixStore {
 public:
  PrefixStore() = default;
  ~PrefixStore();
  PrefixStore(const PrefixStore&) = delete;
  PrefixStore& operator=(const PrefixStore&) = delete;

  void SetCap(uint64_t bytes) { cap_ = bytes; }
  uint64_t cap() const { return cap_; }
  // Rings, keys, and the pages that nobody else holds, each once.
  uint64_t bytes() const;
  int64_t entries() const { return static_cast<int64_t>(entries_.size()); }

  struct Match {
    std::shared_ptr<const PrefixSnapshot> snapshot;  // null: there is none
    int64_t length = 0;                              // of it
    int64_t branch = 0;   // how much the prompt shares with what goes on from there, if more; else 0
    int64_t dropped = 0;  // how much of it was known before it was dropped for the cap, if more; else 0
  };
  // The longest snapshot of at most `most` tokens that the prompt begins with. Throws std::bad_alloc.
  Match Find(const PrefixDomain& domain, const PrefixKey& prompt, int64_t most);

  enum class Place {
    kOnTheWay,  // taken where it displaces only snapshots of the first kind
    kEnd,       // of a turn, or where prompts part
  };
  // What marks an entry as the last turn's end of a live conversation, as long as somebody holds it.
  using Live = std::shared_ptr<const void>;
  // Keeps the sequence as it is after the first `length` tokens of `key`. Null where it is not kept: there is
  // no room or no memory, or the cache has not come so far or no longer holds that window.
  Live Keep(MaskRule mask_rule, const std::shared_ptr<const PrefixKey>& key, int64_t length,
            const KvCache& cache, Place place);

  // Drops what is above the cap now: after sequences have let go of pages that they shared with it.
  void Trim();

 private:
  struct Entry {
    PrefixDomain domain;
    std::shared_ptr<const PrefixKey> key;  // its first `length` tokens
    int64_t length = 0;
    uint64_t hash = 0;
    std::shared_ptr<const PrefixSnapshot> snapshot;
    Entry* parent = nullptr;  // the longest other that it begins with
    int64_t children = 0;
    uint64_t used = 0;
    Live live;

    uint64_t own_bytes() const;
    bool live_turn() const { return live.use_count() > 1; }
    int64_t more_than_parent() const { return length - (parent == nullptr ? 0 : parent->length); }
  };
  enum Kind { kPassed, kLeaf, kShared, kLive };
  static Kind KindOf(const Entry& entry);

  // The shares that entries have in the pages of a pool.
  struct PoolUse {
    std::shared_ptr<KvPagePool> pool;
    std::vector<int32_t> shares;  // by page
    int64_t room = 0;             // pages that the pool has for the store
  };

  // An entry that was dropped, to say so when it is missed.
  struct Dropped {
    PrefixDomain domain;
    uint64_t hash = 0;
    int64_t length = 0;
  };

  Entry* Longest(const PrefixDomain& domain, const PrefixKey& key, std::span<const uint64_t> hashes) const;
  bool Begins(const Entry& entry, const PrefixDomain& domain, const PrefixKey& key) const;
  // `hashes`: RunningHashes() of its tokens.
  Live Add(std::unique_ptr<Entry> entry, std::span<const uint64_t> hashes, const KvCache& cache, Place place);
  bool MakeRoom(uint64_t bytes, Kind dearest);
  bool DropOne(Kind dearest);
  void Drop(size_t index);
  void Use(Entry* entry);
  PoolUse& UseOf(const std::shared_ptr<KvPagePool>& pool);
  void Share(const Entry& entry, int32_t by);
  void GrowPool(PoolUse& use, const KvPrefix& prefix);

  uint64_t cap_ = 0, clock_ = 0;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<PoolUse> pools_;
  std::array<Dropped, 256> dropped_;
  size_t next_dropped_ = 0;
};

}  // namespace linnet
