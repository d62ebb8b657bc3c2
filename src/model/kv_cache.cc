#include "model/kv_cache.h"

#include <algorithm>
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

}  // namespace

int64_t KvCache::RingCapacity(int64_t rows_at_once) const {
  return std::min(window_ + rows_at_once + kRollBack, std::max(context_, rows_at_once) + kKeyBlock);
}

Result<KvCache> KvCache::Create(const ModelConfig& config, const Weights& weights,
                                const KvCacheOptions& options) {
  LINNET_TRY(CheckHeads(config, options.type));
  KvCache cache;
  cache.type_ = options.type;
  cache.context_ = options.context;
  cache.rows_per_call_ = options.rows_per_call;
  cache.rows_at_once_ = std::min(options.rows_per_call, kRowsAtOnce);
  return WithinMemory(kWhat, kShorter, [&]() -> Result<KvCache> {
    cache.plan_ = config.layers;
    for (const LayerPlan& plan : config.layers) cache.window_ = std::max(cache.window_, plan.window);
    for (size_t l = 0; l < config.layers.size(); ++l) {
      const LayerPlan& plan = config.layers[l];
      const int64_t capacity = plan.window > 0 ? cache.RingCapacity(cache.rows_at_once_) : options.context;
      const KeyNorm norm = NormOf(config, plan, weights.layers[l].k_norm, options.type);
      cache.layers_.emplace_back(options.type, plan.kv_heads, plan.head_dim, capacity, norm);
    }
    return std::move(cache);
  });
}

uint64_t KvCache::bytes() const {
  uint64_t total = 0;
  for (const KvStore& store : layers_) total += store.bytes();
  return total;
}

Status KvCache::ReserveBlock(int64_t rows) {
  if (rows <= rows_at_once_) return {};
  return WithinMemory(kWhat, kShorter, [&]() -> Status {
    std::vector<KvStore> grown;
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (plan_[l].window == 0) {
        grown.emplace_back();
        continue;
      }
      KvStore store(type_, plan_[l].kv_heads, plan_[l].head_dim, RingCapacity(rows), layers_[l].norm());
      store.CopyFrom(layers_[l], oldest_, length_);
      grown.push_back(std::move(store));
    }
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (plan_[l].window > 0) layers_[l] = std::move(grown[l]);
    }
    rows_at_once_ = rows;
    rows_per_call_ = std::max(rows_per_call_, rows);
    return {};
  });
}

void KvCache::BeginRows(int64_t rows) {
  LINNET_CHECK(rows <= rows_per_call_ && length_ + rows <= context_);
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (plan_[l].window > 0) oldest_ = std::max(oldest_, length_ + rows - layers_[l].capacity());
  }
}

void KvCache::Advance(int64_t rows) {
  BeginRows(rows);
  length_ += rows;
}

void KvCache::FillForTiming(int64_t length) {
  LINNET_CHECK(length <= context_);
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
  return {};
}

}  // namespace linnet
