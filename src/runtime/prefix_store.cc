#include "runtime/prefix_store.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/memory_guard.h"

namespace linnet {
namespace {

int64_t PagesHeld(std::span<const int32_t> shares) {
  return std::ranges::count_if(shares, [](int32_t n) { return n > 0; });
}

}  // namespace

PrefixStore::~PrefixStore() {
  for (const PoolUse& use : pools_) use.pool->SetReclaim({});
}

uint64_t PrefixStore::Entry::own_bytes() const {
  return snapshot->rings.bytes() + snapshot->prefix.pages.size() * sizeof(KvPage) +
         static_cast<uint64_t>(length) * sizeof(int32_t);
}

uint64_t PrefixStore::bytes() const {
  uint64_t bytes = 0;
  for (const auto& entry : entries_) bytes += entry->own_bytes();
  for (const PoolUse& use : pools_) {
    bytes += static_cast<uint64_t>(use.pool->HeldOnlyBy(use.shares) * use.pool->page_bytes());
  }
  return bytes;
}

PrefixStore::Kind PrefixStore::KindOf(const Entry& entry) {
  if (entry.live_turn()) return kLive;
  if (entry.children == 1) return kPassed;
  return entry.children == 0 ? kLeaf : kShared;
}

bool PrefixStore::Begins(const Entry& entry, const PrefixDomain& domain, const PrefixKey& key) const {
  return entry.domain == domain && SharedLength(*entry.key, key) >= entry.length;
}

PrefixStore::Entry* PrefixStore::Longest(const PrefixDomain& domain, const PrefixKey& key,
                                         std::span<const uint64_t> hashes) const {
  Entry* longest = nullptr;
  for (const auto& entry : entries_) {
    const size_t length = static_cast<size_t>(entry->length);
    if (length >= hashes.size() || entry->hash != hashes[length]) continue;
    if (longest != nullptr && longest->length >= entry->length) continue;
    if (Begins(*entry, domain, key)) longest = entry.get();
  }
  return longest;
}

PrefixStore::Match PrefixStore::Find(const PrefixDomain& domain, const PrefixKey& prompt, int64_t most) {
  if (cap_ == 0) return {};
  const std::vector<uint64_t> hashes = RunningHashes(prompt, most);
  Match match;
  Entry* const found = Longest(domain, prompt, hashes);
  if (found != nullptr) {
    match.snapshot = found->snapshot;
    match.length = found->length;
    Use(found);
  }
  for (const auto& entry : entries_) {
    if (entry->parent != found || entry->domain != domain) continue;
    const int64_t shared = std::min({SharedLength(*entry->key, prompt), entry->length, most});
    const int64_t place = PlaceAt(prompt, shared);
    if (place > match.length) match.branch = std::max(match.branch, place);
  }
  for (const Dropped& dropped : dropped_) {
    const size_t length = static_cast<size_t>(dropped.length);
    if (dropped.length <= match.length || length >= hashes.size() || dropped.domain != domain) continue;
    if (dropped.hash == hashes[length]) match.dropped = std::max(match.dropped, dropped.length);
  }
  return match;
}

PrefixStore::Live PrefixStore::Keep(MaskRule mask_rule, const std::shared_ptr<const PrefixKey>& key,
                                    int64_t length, const KvCache& cache, Place place) {
  if (cap_ == 0 || length == 0 || length > cache.length()) return nullptr;
  Result<Live> kept = WithinMemory("a snapshot", "", [&]() -> Result<Live> {
    const std::vector<uint64_t> hashes = RunningHashes(*key, length);
    const PrefixDomain domain{cache.pool().get(), mask_rule};
    Entry* const longest = Longest(domain, *key, hashes);
    if (longest != nullptr && longest->length == length) {
      Use(longest);
      return longest->live;
    }
    if (length < cache.shortest()) return nullptr;  // before anything is dropped for it
    auto entry = std::make_unique<Entry>();
    entry->domain = domain;
    entry->key = key;
    entry->length = length;
    entry->hash = hashes.back();
    entry->live = std::make_shared<char>();
    return Add(std::move(entry), hashes, cache, place);
  });
  return kept ? std::move(*kept) : nullptr;
}

PrefixStore::Live PrefixStore::Add(std::unique_ptr<Entry> entry, std::span<const uint64_t> hashes,
                                   const KvCache& cache, Place place) {
  // What is to be dropped goes before the copy is made, so that the cap is that of the memory.
  const uint64_t about = static_cast<uint64_t>(cache.RingBytes(entry->length)) +
                         static_cast<uint64_t>(entry->length) * (sizeof(int32_t) + 1);
  if (!MakeRoom(about, place == Place::kEnd ? kShared : kPassed)) return nullptr;
  auto snapshot = std::make_shared<PrefixSnapshot>();
  snapshot->prefix = cache.Prefix(entry->length);
  snapshot->rings = AlignedBuffer<uint8_t>(static_cast<size_t>(cache.RingBytes(entry->length)));
  if (!cache.SaveRings(entry->length, snapshot->rings)) return nullptr;
  GrowPool(UseOf(cache.pool()), snapshot->prefix);
  entries_.reserve(entries_.size() + 1);

  entry->snapshot = std::move(snapshot);
  entry->parent = Longest(entry->domain, *entry->key, hashes);
  for (const auto& other : entries_) {
    if (other->parent != entry->parent || other->length <= entry->length) continue;
    if (!Begins(*entry, other->domain, *other->key)) continue;
    if (other->parent != nullptr) --other->parent->children;
    other->parent = entry.get();
    ++entry->children;
  }
  if (entry->parent != nullptr) ++entry->parent->children;
  Share(*entry, 1);
  Use(entry.get());
  entries_.push_back(std::move(entry));
  return entries_.back()->live;
}

void PrefixStore::Use(Entry* entry) {
  ++clock_;
  for (; entry != nullptr; entry = entry->parent) entry->used = clock_;
}

bool PrefixStore::MakeRoom(uint64_t bytes, Kind dearest) {
  if (bytes > cap_) return false;
  while (this->bytes() + bytes > cap_) {
    if (!DropOne(dearest)) return false;
  }
  return true;
}

void PrefixStore::Trim() {
  const size_t before = entries_.size();
  MakeRoom(0, kLive);
  if (entries_.size() == before) return;
  for (const PoolUse& use : pools_) use.pool->DiscardFree();
}

bool PrefixStore::DropOne(Kind dearest) {
  const auto order = [](const std::unique_ptr<Entry>& entry) {
    return std::tuple(KindOf(*entry), entry->used, entry->more_than_parent());
  };
  const auto first = std::ranges::min_element(entries_, {}, order);
  if (first == entries_.end() || KindOf(**first) > dearest) return false;
  Drop(static_cast<size_t>(first - entries_.begin()));
  return true;
}

// Allocates nothing: a step may need the pages.
void PrefixStore::Drop(size_t index) {
  const std::unique_ptr<Entry> entry = std::move(entries_[index]);
  entries_[index] = std::move(entries_.back());
  entries_.pop_back();
  for (const auto& other : entries_) {
    if (other->parent == entry.get()) other->parent = entry->parent;
  }
  if (entry->parent != nullptr) entry->parent->children += entry->children - 1;
  Share(*entry, -1);
  dropped_[next_dropped_] = {entry->domain, entry->hash, entry->length};
  next_dropped_ = (next_dropped_ + 1) % dropped_.size();
}

void PrefixStore::Share(const Entry& entry, int32_t by) {
  const auto use =
      std::ranges::find(pools_, entry.domain.pool, [](const PoolUse& u) { return u.pool.get(); });
  for (const KvPage& page : entry.snapshot->prefix.pages)
    use->shares[static_cast<size_t>(page.index())] += by;
}

PrefixStore::PoolUse& PrefixStore::UseOf(const std::shared_ptr<KvPagePool>& pool) {
  const auto found = std::ranges::find(pools_, pool, &PoolUse::pool);
  if (found != pools_.end()) return *found;
  pools_.push_back({pool, {}, 0});
  pool->SetReclaim([this] { return DropOne(kLive); });
  return pools_.back();
}

// Room for the pages that the store would hold alone if all sequences let go of them: as many as the cap
// allows, so that sequences can always have what they have reserved.
void PrefixStore::GrowPool(PoolUse& use, const KvPrefix& prefix) {
  const int64_t page_bytes = use.pool->page_bytes();
  int64_t held = PagesHeld(use.shares);
  for (const KvPage& page : prefix.pages) {
    const size_t index = static_cast<size_t>(page.index());
    if (index >= use.shares.size()) use.shares.resize(index + 1);
    held += use.shares[index] == 0;
  }
  if (page_bytes == 0) return;
  const int64_t most = static_cast<int64_t>(cap_ / static_cast<uint64_t>(page_bytes));
  const int64_t wanted = std::min(std::max(held, use.room + use.room / 4), most);
  if (std::min(held, most) <= use.room) return;
  use.pool->Grow(wanted - use.room);
  use.room = wanted;
}

}  // namespace linnet
