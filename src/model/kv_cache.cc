#include "model/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/memory_guard.h"

namespace linnet {
namespace {

constexpr std::string_view kWhat = "the key/value cache", kShorter = "ask for a shorter --context";

// Both norms must divide by the same root for keys to follow from values; a wholly rotated key leaves nothing
// to share.
KeyNorm NormOf(const ModelConfig& config, const LayerPlan& plan, std::span<const float> weight, KvType type) {
  const int64_t rotated = 2 * plan.rope.rotated_pairs;
  const bool follows = plan.window == 0 && plan.k_eq_v && config.v_norm && rotated < plan.head_dim;
  return {plan.rope.rotated_pairs, weight, follows && rotated % KvStore::GroupOf(type) == 0};
}

Status CheckHeads(const ModelConfig& config, KvType type) {
  for (const LayerPlan& plan : config.layers) {
    if (plan.head_dim % KvStore::GroupOf(type) == 0) continue;
    return Fail(
        ErrorCode::kUnsupported,
        "this model's heads of " + std::to_string(plan.head_dim) + " elements do not fit this type of cache",
        "use --kv f32");
  }
  return {};
}

// Bytes of a page of so many positions of one layer. The numbers of the norms do not matter for that.
int64_t LayerBytes(const ModelConfig& config, const LayerPlan& plan, KvType type, int64_t positions) {
  return KvLayout(type, plan.kv_heads, plan.head_dim, positions, NormOf(config, plan, {}, type)).page_bytes;
}

// What pages of all full layers take.
int64_t PageBytes(const ModelConfig& config, KvType type) {
  int64_t bytes = 0;
  for (const LayerPlan& plan : config.layers) {
    if (plan.window == 0) bytes += LayerBytes(config, plan, type, kPagePositions);
  }
  return bytes;
}

int64_t RowsAtOnce(const KvCacheOptions& options) {
  return std::min(options.rows_per_call, KvCache::kRowsAtOnce);
}

int64_t LargestWindow(const ModelConfig& config) {
  int64_t window = 0;
  for (const LayerPlan& plan : config.layers) window = std::max(window, plan.window);
  return window;
}

int64_t RingCapacity(int64_t window, int64_t context, int64_t rows_at_once) {
  return std::min(window + rows_at_once + KvCache::kRollBack, std::max(context, rows_at_once) + kKeyBlock);
}

}  // namespace

Result<KvCache::Bytes> KvCache::PlannedBytes(const ModelConfig& config, const KvCacheOptions& options,
                                             int64_t block) {
  LINNET_TRY(CheckHeads(config, options.type));
  const int64_t ring =
      RingCapacity(LargestWindow(config), options.context, std::max(RowsAtOnce(options), block));
  Bytes bytes;
  for (const LayerPlan& plan : config.layers) {
    if (plan.window > 0) bytes.rings += static_cast<uint64_t>(LayerBytes(config, plan, options.type, ring));
  }
  bytes.pages = static_cast<uint64_t>(PagesOf(options.context) * PageBytes(config, options.type));
  return bytes;
}

Result<std::shared_ptr<KvPagePool>> KvCache::NewPool(const ModelConfig& config, KvType type,
                                                     int64_t positions) {
  LINNET_TRY(CheckHeads(config, type));
  return WithinMemory(kWhat, kShorter, [&]() -> Result<std::shared_ptr<KvPagePool>> {
    return std::make_shared<KvPagePool>(PagesOf(positions), PageBytes(config, type));
  });
}

Result<KvCache> KvCache::Create(const ModelConfig& config, const Weights& weights,
                                const KvCacheOptions& options) {
  LINNET_TRY(CheckHeads(config, options.type));
  KvCache cache;
  cache.type_ = options.type;
  cache.context_ = options.context;
  cache.rows_per_call_ = options.rows_per_call;
  cache.rows_at_once_ = RowsAtOnce(options);
  cache.pool_ = options.pool;
  if (cache.pool_ == nullptr) {
    LINNET_ASSIGN(cache.pool_, NewPool(config, options.type, options.context));
  }
  return WithinMemory(kWhat, kShorter, [&]() -> Result<KvCache> {
    LINNET_CHECK(cache.pool_->page_bytes() == PageBytes(config, options.type));
    cache.pages_.reserve(static_cast<size_t>(PagesOf(options.context)));
    cache.plan_ = config.layers;
    cache.window_ = LargestWindow(config);
    const int64_t ring = RingCapacity(cache.window_, options.context, cache.rows_at_once_);
    for (size_t l = 0; l < config.layers.size(); ++l) {
      const LayerPlan& plan = config.layers[l];
      const KeyNorm norm = NormOf(config, plan, weights.layers[l].k_norm, options.type);
      cache.zeros_.resize(std::max(cache.zeros_.size(), static_cast<size_t>(plan.kv_heads * plan.head_dim)));
      if (plan.window > 0) {
        cache.layers_.emplace_back(options.type, plan.kv_heads, plan.head_dim, ring, norm);
      } else {
        cache.layers_.push_back(
            KvStore::Paged(options.type, plan.kv_heads, plan.head_dim, options.context, norm));
      }
    }
    return std::move(cache);
  });
}

void KvCache::PutPage(int64_t page, KvPage held) {
  uint8_t* data = held ? held.data() : nullptr;
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (plan_[l].window > 0) continue;
    layers_[l].SetPage(page, data);
    if (data != nullptr) data += layers_[l].page_bytes();
  }
  pages_[static_cast<size_t>(page)] = std::move(held);
}

// Gives back the pages behind so many positions.
void KvCache::KeepPages(int64_t positions) {
  while (static_cast<int64_t>(pages_.size()) > PagesOf(positions)) {
    PutPage(static_cast<int64_t>(pages_.size()) - 1, {});
    pages_.pop_back();
  }
}

Status KvCache::ReserveRows(int64_t rows) {
  LINNET_CHECK(length_ + rows <= context_);
  if (rows == 0) return {};
  for (int64_t p = length_ / kPagePositions; p < PagesOf(length_ + rows); ++p) {
    const bool there = p < static_cast<int64_t>(pages_.size());
    if (there && pages_[static_cast<size_t>(p)].alone()) continue;
    KvPage page = KvPage::Take(pool_);
    if (!page) {
      return Fail(ErrorCode::kOutOfMemory, "the key/value cache has no free page for more tokens",
                  "wait until another conversation has ended, or ask for a shorter --context");
    }
    if (!there) {
      pages_.emplace_back();
      PutPage(p, std::move(page));
      continue;
    }
    std::copy_n(pages_[static_cast<size_t>(p)].data(), pool_->page_bytes(), page.data());
    PutPage(p, std::move(page));
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (plan_[l].window == 0) WriteZeros(layers_[l], length_, (p + 1) * kPagePositions);
    }
  }
  return {};
}

void KvCache::WriteZeros(KvStore& store, int64_t first, int64_t last) {
  for (int64_t p = first; p < last; ++p) store.Write(p, zeros_.data(), zeros_.data());
}

Status KvCache::ReserveBlock(int64_t rows) {
  if (rows <= rows_at_once_) return {};
  return WithinMemory(kWhat, kShorter, [&]() -> Status {
    // One after the other, so that no more than one lies twice; larger ones do no harm where another has no
    // room.
    const int64_t capacity = RingCapacity(window_, context_, rows);
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (plan_[l].window == 0 || layers_[l].capacity() >= capacity) continue;
      KvStore store(type_, plan_[l].kv_heads, plan_[l].head_dim, capacity, layers_[l].norm());
      store.CopyFrom(layers_[l], oldest_, length_);
      layers_[l] = std::move(store);
    }
    rows_at_once_ = rows;
    rows_per_call_ = std::max(rows_per_call_, rows);
    return {};
  });
}

void KvCache::BeginRows(int64_t rows) {
  LINNET_CHECK(rows <= rows_per_call_ && length_ + rows <= context_);
  LINNET_CHECK(ReserveRows(rows).has_value());
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (plan_[l].window > 0) oldest_ = std::max(oldest_, length_ + rows - layers_[l].capacity());
  }
}

void KvCache::Advance(int64_t rows) {
  BeginRows(rows);
  length_ += rows;
}

void KvCache::FillForTiming(int64_t length) {
  LINNET_CHECK(length <= context_ && Truncate(0) && ReserveRows(length));
  for (KvStore& store : layers_) {
    const size_t width = static_cast<size_t>(store.kv_heads() * store.head_dim());
    std::vector<float> key(width), value(width);
    for (int64_t p = std::max<int64_t>(0, length - store.capacity()); p < length; ++p) {
      for (size_t i = 0; i < width; ++i) {
        key[i] = static_cast<float>((static_cast<size_t>(p) * 31 + i * 17) % 97) / 970.0f - 0.05f;
        value[i] = static_cast<float>((static_cast<size_t>(p) * 13 + i * 29) % 89) / 89.0f - 0.5f;
      }
      store.Write(p, key.data(), value.data());
    }
  }
  length_ = length;
  oldest_ = 0;
  BeginRows(0);
}

int64_t KvCache::shortest() const {
  // A row at position p sees window - 1 positions before it.
  return oldest_ == 0 ? 0 : oldest_ + window_ - 1;
}

Status KvCache::Truncate(int64_t length) {
  if (length > length_ || length < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "cannot go back to position " + std::to_string(length) + " of " + std::to_string(length_),
                "give a position that has been reached");
  }
  if (length == 0) {
    length_ = oldest_ = 0;
    KeepPages(0);
    return {};
  }
  if (length < length_ && length < shortest()) {
    return Fail(ErrorCode::kInvalidArgument,
                "cannot go back to position " + std::to_string(length) +
                    ": the sliding layers keep what positions " + std::to_string(shortest()) + " to " +
                    std::to_string(length_) + " need",
                "go back less far, or to 0 and feed the text again");
  }
  length_ = length;
  KeepPages(length);
  return {};
}

KvPrefix KvCache::Prefix(int64_t length) const {
  LINNET_CHECK(0 <= length && length <= length_);
  return {std::vector<KvPage>(pages_.begin(), pages_.begin() + PagesOf(length)), length};
}

// The first position that a row at `position` sees.
int64_t KvCache::WindowStart(int64_t position) const {
  return window_ == 0 ? position : std::max<int64_t>(0, position - window_ + 1);
}

template <typename Self, typename Visit>
void KvCache::ForRingBlocks(Self& self, int64_t position, const Visit& visit) {
  for (size_t l = 0; l < self.layers_.size(); ++l) {
    if (self.plan_[l].window == 0) continue;
    const int64_t first = self.WindowStart(position) / kKeyBlock * kKeyBlock;
    for (int64_t p = first; p < position; p += kKeyBlock) visit(self.layers_[l], p);
  }
}

int64_t KvCache::RingBytes(int64_t position) const {
  int64_t bytes = sizeof(position);
  ForRingBlocks(*this, position, [&](const KvStore& store, int64_t) { bytes += store.saved_block_bytes(); });
  return bytes;
}

Status KvCache::CheckSaveRings(int64_t position) const {
  if (position >= 0 && position <= length_ && WindowStart(position) >= oldest_) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the sliding layers do not hold what position " + std::to_string(position) + " needs",
              "save one from " + std::to_string(shortest()) + " to " + std::to_string(length_));
}

Status KvCache::SaveRings(int64_t position,
                          const std::function<Status(std::span<const uint8_t>)>& take) const {
  LINNET_TRY(CheckSaveRings(position));
  std::vector<uint8_t> bytes(sizeof(position));
  std::memcpy(bytes.data(), &position, sizeof(position));
  Status taken = take(bytes);
  ForRingBlocks(*this, position, [&](const KvStore& store, int64_t block) {
    if (!taken) return;
    bytes.resize(static_cast<size_t>(store.saved_block_bytes()));
    store.SaveBlock(block, bytes.data());
    taken = take(bytes);
  });
  return taken;
}

Status KvCache::SaveRings(int64_t position, std::span<uint8_t> out) const {
  LINNET_TRY(CheckSaveRings(position));
  LINNET_CHECK(static_cast<int64_t>(out.size()) == RingBytes(position));
  std::memcpy(out.data(), &position, sizeof(position));
  uint8_t* next = out.data() + sizeof(position);
  ForRingBlocks(*this, position, [&](const KvStore& store, int64_t block) {
    store.SaveBlock(block, next);
    next += store.saved_block_bytes();
  });
  return {};
}

Status KvCache::CheckRestore(const KvPrefix& prefix, std::span<const uint8_t> rings) const {
  const auto other_pool = [&](const KvPage& page) { return page.pool() != pool_.get(); };
  if (std::ranges::any_of(prefix.pages, other_pool)) {
    return Fail(ErrorCode::kInvalidArgument, "these pages belong to another pool than the cache's");
  }
  int64_t position = -1;
  if (rings.size() >= sizeof(position)) std::memcpy(&position, rings.data(), sizeof(position));
  if (position < 0 || position > prefix.length || position > context_ ||
      PagesOf(position) > static_cast<int64_t>(prefix.pages.size())) {
    return Fail(ErrorCode::kInvalidArgument, "a snapshot at position " + std::to_string(position) +
                                                 " does not fit " + std::to_string(prefix.length) +
                                                 " positions in a context of " + std::to_string(context_));
  }
  if (static_cast<int64_t>(rings.size()) == RingBytes(position)) return {};
  return Fail(ErrorCode::kInvalidArgument, "a snapshot at position " + std::to_string(position) + " has " +
                                               std::to_string(rings.size()) + " bytes, but this cache's " +
                                               std::to_string(RingBytes(position)));
}

Status KvCache::Restore(const KvPrefix& prefix, std::span<const uint8_t> rings) {
  LINNET_TRY(CheckRestore(prefix, rings));
  int64_t position;
  std::memcpy(&position, rings.data(), sizeof(position));
  KeepPages(0);
  for (int64_t p = 0; p < PagesOf(position); ++p) {
    pages_.emplace_back();
    PutPage(p, prefix.pages[static_cast<size_t>(p)]);
  }
  const uint8_t* next = rings.data() + sizeof(position);
  ForRingBlocks(*this, position, [&](KvStore& store, int64_t block) {
    store.LoadBlock(block, next);
    WriteZeros(store, position, block + kKeyBlock);
    next += store.saved_block_bytes();
  });
  length_ = position;
  oldest_ = window_ == 0 ? 0 : WindowStart(position);
  return {};
}

}  // namespace linnet
