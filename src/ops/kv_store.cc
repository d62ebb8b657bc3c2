#include "ops/kv_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/bf16.h"
#include "base/check.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

// A vector load of the last value row may read this many bytes beyond it.
constexpr int64_t kOverread = 64;
constexpr int64_t kScalesOfBlock = kKeyBlock * static_cast<int64_t>(sizeof(float));
constexpr float kSteps = 127.0f;
constexpr int kByteZero = 128;

float Get(const float* data, int64_t index) { return data[index]; }
float Get(const uint16_t* data, int64_t index) { return Bf16ToFloat(data[index]); }
float Get(const uint8_t* data, int64_t index) { return static_cast<float>(data[index] - kByteZero); }

// `inverse` is one over the scale of a byte.
void Put(float* data, int64_t index, float value, float) { data[index] = value; }
void Put(uint16_t* data, int64_t index, float value, float) {
  const bool tiny = std::fabs(value) < std::numeric_limits<float>::min();  // see cache_kernels.h
  data[index] = tiny ? uint16_t{0} : FloatToBf16(value);
}
void Put(uint8_t* data, int64_t index, float value, float inverse) {
  const float q = std::nearbyint(value * inverse);
  // The comparisons also catch what is no number.
  data[index] =
      static_cast<uint8_t>(kByteZero + static_cast<int>(q > -kSteps ? (q < kSteps ? q : kSteps) : -kSteps));
}

// The scale of bytes that stand for numbers of up to `largest`, and one over it; zeros have the scale 0.
float ScaleOf(float largest) { return largest / kSteps; }
float Inverse(float largest) { return largest > 0.0f ? kSteps / largest : 0.0f; }

// Calls visit(Element*) with the type that elements are stored as.
template <typename Visit>
void WithElement(KvType type, const Visit& visit) {
  switch (type) {
    case KvType::kF32:
      return visit(static_cast<float*>(nullptr));
    case KvType::kBf16:
      return visit(static_cast<uint16_t*>(nullptr));
    case KvType::kInt8:
      return visit(static_cast<uint8_t*>(nullptr));
  }
}

}  // namespace

KvLayout::KvLayout(KvType type, int64_t kv_heads, int64_t head_dim, int64_t wanted, const KeyNorm& norm) {
  positions = (wanted + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  row_width = head_dim + (norm.from_values ? 2 * norm.rotated_pairs : 0);
  const auto bytes = [&](int64_t width) { return kv_heads * positions * width * 4 / KvStore::GroupOf(type); };
  const int64_t scales = type == KvType::kInt8 ? 2 * kv_heads * positions : 0;
  values_at = norm.from_values ? 0 : bytes(head_dim);
  scales_at = values_at + bytes(row_width);
  page_bytes = scales_at + scales * static_cast<int64_t>(sizeof(float)) + kOverread;
}

KvStore::KvStore(KvType type, int64_t kv_heads, int64_t head_dim, const KeyNorm& norm, int64_t positions)
    : type_(type),
      kv_heads_(kv_heads),
      head_dim_(head_dim),
      group_(GroupOf(type)),
      norm_(norm),
      layout_(type, kv_heads, head_dim, positions, norm) {
  LINNET_CHECK(head_dim % group_ == 0 && rotated() % group_ == 0);
  LINNET_CHECK(norm.weight.empty() ? !norm.from_values
                                   : static_cast<int64_t>(norm.weight.size()) == head_dim);
  PrepareScores();
}

KvStore::KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity, const KeyNorm& norm)
    : KvStore(type, kv_heads, head_dim, norm, capacity) {
  PreparePages(1);
  own_ = AlignedBuffer<uint8_t>(static_cast<size_t>(layout_.page_bytes));
  SetPage(0, own_.data());
}

KvStore KvStore::Paged(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity,
                       const KeyNorm& norm) {
  KvStore store(type, kv_heads, head_dim, norm, kPagePositions);
  store.PreparePages((capacity + kPagePositions - 1) / kPagePositions);
  return store;
}

void KvStore::PreparePages(int64_t pages) {
  capacity_ = pages * layout_.positions;
  pages_.resize(static_cast<size_t>(pages));
}

// Orders and factors. A shared store's values have the rotated dimensions first, its scores last; each part
// ascending.
void KvStore::PrepareScores() {
  const int64_t half = head_dim_ / 2;
  const auto is_rotated = [&](int32_t e) { return shared() && e % half < norm_.rotated_pairs; };
  order_.resize(static_cast<size_t>(head_dim_));
  std::iota(order_.begin(), order_.end(), 0);
  score_order_ = order_;
  std::stable_partition(order_.begin(), order_.end(), is_rotated);
  std::stable_partition(score_order_.begin(), score_order_.end(), [&](int32_t e) { return !is_rotated(e); });
  if (type_ == KvType::kInt8 && !norm_.weight.empty()) {
    key_divisor_.assign(static_cast<size_t>(head_dim_), 1.0f);
    for (int64_t e = 0; e < head_dim_; ++e) {
      const bool paired = e % half < norm_.rotated_pairs && head_dim_ % 2 == 0;
      const float own = std::fabs(norm_.weight[static_cast<size_t>(e)]);
      const float other = paired ? std::fabs(norm_.weight[static_cast<size_t>((e + half) % head_dim_)]) : own;
      const float largest = std::max(own, other);
      if (std::isnormal(largest)) key_divisor_[static_cast<size_t>(e)] = largest;
    }
  }
  for (const int32_t e : score_order_) {
    const size_t i = static_cast<size_t>(e);
    const bool from_value = shared() && !is_rotated(e);
    score_factor_.push_back(from_value ? norm_.weight[i] : key_divisor_.empty() ? 1.0f : key_divisor_[i]);
  }
}

KvStore::Place KvStore::PlaceOf(int64_t position) const {
  const int64_t slot = position % capacity_;
  return {pages_[static_cast<size_t>(slot / layout_.positions)], slot % layout_.positions};
}

KvStore::Place KvStore::BlockOf(int64_t position) const { return PlaceOf(position / kKeyBlock * kKeyBlock); }

int64_t KvStore::KeyIndex(int64_t head, int64_t slot, int64_t e) const {
  return (head * layout_.positions + slot / kPanel * kPanel) * head_dim_ + e / group_ * group_ * kPanel +
         slot % kPanel * group_ + e % group_;
}

int64_t KvStore::ValueIndex(int64_t head, int64_t slot, int64_t e) const {
  return (head * layout_.positions + slot / group_ * group_) * layout_.row_width + e * group_ + slot % group_;
}

template <typename Element>
void KvStore::WriteAs(const Place& place, const float* key, const float* value) {
  constexpr bool kBytes = sizeof(Element) == 1;
  Element* keys = reinterpret_cast<Element*>(place.page);
  Element* values = reinterpret_cast<Element*>(Values(place));
  const auto stored_key = [&](const float* k, size_t e) {
    return key_divisor_.empty() ? k[e] : k[e] / key_divisor_[e];
  };
  const int64_t key_count = shared() ? rotated() : head_dim_;
  for (int64_t h = 0; h < kv_heads_; ++h) {
    const float* k = key + h * head_dim_;
    const float* v = value + h * head_dim_;
    float largest_key = 0, largest_value = 0;
    if constexpr (kBytes) {
      for (int64_t i = 0; i < key_count; ++i) {
        largest_key = std::max(largest_key,
                               std::fabs(stored_key(k, static_cast<size_t>(order_[static_cast<size_t>(i)]))));
      }
      for (int64_t e = 0; e < head_dim_; ++e) largest_value = std::max(largest_value, std::fabs(v[e]));
      *KeyScale(h, place) = ScaleOf(largest_key);
      *ValueScale(h, place) = ScaleOf(largest_value);
    }
    const float key_inverse = Inverse(largest_key), value_inverse = Inverse(largest_value);
    Element* row = values + ValueIndex(h, place.slot, 0);
    for (int64_t i = 0; i < head_dim_; ++i)
      Put(row, i * group_, v[order_[static_cast<size_t>(i)]], value_inverse);
    for (int64_t i = 0; i < key_count; ++i) {
      const float stored = stored_key(k, static_cast<size_t>(order_[static_cast<size_t>(i)]));
      if (shared()) {
        Put(row, (head_dim_ + i) * group_, stored, key_inverse);
      } else {
        Put(keys, KeyIndex(h, place.slot, i), stored, key_inverse);
      }
    }
  }
}

void KvStore::Write(int64_t position, const float* key, const float* value) {
  const Place place = PlaceOf(position);
  LINNET_CHECK(place.page != nullptr);
  WithElement(type_, [&]<typename Element>(Element*) { WriteAs<Element>(place, key, value); });
}

void KvStore::Read(int64_t position, int64_t head, float* key, float* value) const {
  const Place place = PlaceOf(position);
  const bool bytes = type_ == KvType::kInt8;
  const float key_scale = bytes ? *KeyScale(head, place) : 1.0f;
  const float value_scale = bytes ? *ValueScale(head, place) : 1.0f;
  WithElement(type_, [&]<typename Element>(Element*) {
    const Element* keys = reinterpret_cast<const Element*>(place.page);
    const Element* row = reinterpret_cast<const Element*>(Values(place)) + ValueIndex(head, place.slot, 0);
    for (int64_t i = 0; i < head_dim_; ++i) {
      const size_t e = static_cast<size_t>(order_[static_cast<size_t>(i)]);
      const float divisor = key_divisor_.empty() ? 1.0f : key_divisor_[e];
      value[e] = Get(row, i * group_) * value_scale;
      if (!shared()) {
        key[e] = Get(keys, KeyIndex(head, place.slot, i)) * key_scale * divisor;
      } else if (i < rotated()) {
        key[e] = Get(row, (head_dim_ + i) * group_) * key_scale * divisor;
      } else {
        key[e] = value[e] * norm_.weight[e];
      }
    }
  });
}

std::array<std::span<uint8_t>, 4> KvStore::BlockParts(int64_t head, int64_t position) const {
  const Place block = BlockOf(position);
  const auto part = [](void* data, int64_t bytes) {
    return std::span(static_cast<uint8_t*>(data), static_cast<size_t>(bytes));
  };
  std::array<std::span<uint8_t>, 4> parts{
      part(block.page + KeyIndex(head, block.slot, 0) * element_bytes(),
           shared() ? 0 : block_bytes(head_dim_)),
      part(Values(block) + ValueIndex(head, block.slot, 0) * element_bytes(),
           block_bytes(layout_.row_width))};
  if (type_ == KvType::kInt8) {
    parts[2] = part(KeyScale(head, block), kScalesOfBlock);
    parts[3] = part(ValueScale(head, block), kScalesOfBlock);
  }
  return parts;
}

int64_t KvStore::saved_block_bytes() const {
  return (layout_.page_bytes - kOverread) / (layout_.positions / kKeyBlock);
}

void KvStore::SaveBlock(int64_t position, uint8_t* out) const {
  for (int64_t h = 0; h < kv_heads_; ++h) {
    for (const std::span<uint8_t> part : BlockParts(h, position)) out = std::ranges::copy(part, out).out;
  }
}

void KvStore::LoadBlock(int64_t position, const uint8_t* in) {
  for (int64_t h = 0; h < kv_heads_; ++h) {
    for (const std::span<uint8_t> part : BlockParts(h, position)) {
      std::copy_n(in, part.size(), part.data());
      in += part.size();
    }
  }
}

void KvStore::CopyFrom(const KvStore& other, int64_t first, int64_t last) {
  LINNET_CHECK(type_ == other.type_ && kv_heads_ == other.kv_heads_ &&
               layout_.row_width == other.row_width() && capacity_ >= other.capacity_);
  for (int64_t p = first / kKeyBlock * kKeyBlock; p < last; p += kKeyBlock) {
    for (int64_t h = 0; h < kv_heads_; ++h) {
      const auto from = other.BlockParts(h, p), to = BlockParts(h, p);
      for (size_t i = 0; i < from.size(); ++i) std::ranges::copy(from[i], to[i].begin());
    }
  }
}

const void* KvStore::KeyBlock(int64_t head, int64_t position) const {
  return BlockParts(head, position)[0].data();
}

const void* KvStore::ValueBlock(int64_t head, int64_t position) const {
  return BlockParts(head, position)[1].data();
}

const float* KvStore::KeyScales(int64_t head, int64_t position) const {
  return KeyScale(head, BlockOf(position));
}

const float* KvStore::ValueScales(int64_t head, int64_t position) const {
  return ValueScale(head, BlockOf(position));
}

}  // namespace linnet
