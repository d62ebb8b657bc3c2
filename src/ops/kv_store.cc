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

KvStore::KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity, const KeyNorm& norm)
    : type_(type),
      kv_heads_(kv_heads),
      head_dim_(head_dim),
      row_width_(head_dim),
      group_(GroupOf(type)),
      norm_(norm) {
  capacity_ = (capacity + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  LINNET_CHECK(head_dim % group_ == 0 && rotated() % group_ == 0);
  LINNET_CHECK(norm.weight.empty() ? !norm.from_values
                                   : static_cast<int64_t>(norm.weight.size()) == head_dim);
  PrepareScores();
  row_width_ += rotated();
  const auto allocate = [&](int64_t width) {
    return AlignedBuffer<uint8_t>(
        static_cast<size_t>(kv_heads_ * capacity_ * width * element_bytes() + kOverread));
  };
  if (type == KvType::kInt8) {
    key_scales_ = AlignedBuffer<float>(static_cast<size_t>(kv_heads_ * capacity_));
    value_scales_ = AlignedBuffer<float>(static_cast<size_t>(kv_heads_ * capacity_));
  }
  if (!shared()) keys_ = allocate(head_dim_);
  values_ = allocate(row_width_);
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

int64_t KvStore::KeyIndex(int64_t head, int64_t slot, int64_t e) const {
  return (head * capacity_ + slot / kPanel * kPanel) * head_dim_ + e / group_ * group_ * kPanel +
         slot % kPanel * group_ + e % group_;
}

int64_t KvStore::ValueIndex(int64_t head, int64_t slot, int64_t e) const {
  return (head * capacity_ + slot / group_ * group_) * row_width_ + e * group_ + slot % group_;
}

template <typename Element>
void KvStore::WriteAs(int64_t slot, const float* key, const float* value) {
  constexpr bool kBytes = sizeof(Element) == 1;
  Element* keys = reinterpret_cast<Element*>(keys_.data());
  Element* values = reinterpret_cast<Element*>(values_.data());
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
      key_scales_[static_cast<size_t>(ScaleIndex(h, slot))] = ScaleOf(largest_key);
      value_scales_[static_cast<size_t>(ScaleIndex(h, slot))] = ScaleOf(largest_value);
    }
    const float key_inverse = Inverse(largest_key), value_inverse = Inverse(largest_value);
    Element* row = values + ValueIndex(h, slot, 0);
    for (int64_t i = 0; i < head_dim_; ++i)
      Put(row, i * group_, v[order_[static_cast<size_t>(i)]], value_inverse);
    for (int64_t i = 0; i < key_count; ++i) {
      const float stored = stored_key(k, static_cast<size_t>(order_[static_cast<size_t>(i)]));
      if (shared()) {
        Put(row, (head_dim_ + i) * group_, stored, key_inverse);
      } else {
        Put(keys, KeyIndex(h, slot, i), stored, key_inverse);
      }
    }
  }
}

void KvStore::Write(int64_t position, const float* key, const float* value) {
  WithElement(type_, [&]<typename Element>(Element*) { WriteAs<Element>(position % capacity_, key, value); });
}

void KvStore::Write(OpContext& context, int64_t position, Rows keys, Rows values) {
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) Write(position + r, keys.row(r), values.row(r));
  };
  context.pool().For(keys.rows, range, 8 * keys.rows * keys.width);
}

void KvStore::Read(int64_t position, int64_t head, float* key, float* value) const {
  const int64_t slot = position % capacity_;
  const bool bytes = type_ == KvType::kInt8;
  const float key_scale = bytes ? key_scales_[static_cast<size_t>(ScaleIndex(head, slot))] : 1.0f;
  const float value_scale = bytes ? value_scales_[static_cast<size_t>(ScaleIndex(head, slot))] : 1.0f;
  WithElement(type_, [&]<typename Element>(Element*) {
    const Element* keys = reinterpret_cast<const Element*>(keys_.data());
    const Element* row = reinterpret_cast<const Element*>(values_.data()) + ValueIndex(head, slot, 0);
    for (int64_t i = 0; i < head_dim_; ++i) {
      const size_t e = static_cast<size_t>(order_[static_cast<size_t>(i)]);
      const float divisor = key_divisor_.empty() ? 1.0f : key_divisor_[e];
      value[e] = Get(row, i * group_) * value_scale;
      if (!shared()) {
        key[e] = Get(keys, KeyIndex(head, slot, i)) * key_scale * divisor;
      } else if (i < rotated()) {
        key[e] = Get(row, (head_dim_ + i) * group_) * key_scale * divisor;
      } else {
        key[e] = value[e] * norm_.weight[e];
      }
    }
  });
}

template <typename Element>
void KvStore::CopyAs(const KvStore& other, int64_t from, int64_t to) {
  const Element* keys = reinterpret_cast<const Element*>(other.keys_.data());
  const Element* values = reinterpret_cast<const Element*>(other.values_.data());
  for (int64_t h = 0; h < kv_heads_; ++h) {
    for (int64_t e = 0; e < row_width_; ++e) {
      reinterpret_cast<Element*>(values_.data())[ValueIndex(h, to, e)] = values[other.ValueIndex(h, from, e)];
    }
    for (int64_t e = 0; e < (shared() ? 0 : head_dim_); ++e) {
      reinterpret_cast<Element*>(keys_.data())[KeyIndex(h, to, e)] = keys[other.KeyIndex(h, from, e)];
    }
    if (type_ != KvType::kInt8) continue;
    const size_t source = static_cast<size_t>(other.ScaleIndex(h, from)),
                 target = static_cast<size_t>(ScaleIndex(h, to));
    key_scales_[target] = other.key_scales_[source];
    value_scales_[target] = other.value_scales_[source];
  }
}

void KvStore::CopyFrom(const KvStore& other, int64_t first, int64_t last) {
  LINNET_CHECK(type_ == other.type_ && kv_heads_ == other.kv_heads_ && row_width_ == other.row_width_);
  for (int64_t p = first; p < last; ++p) {
    WithElement(type_, [&]<typename Element>(Element*) {
      CopyAs<Element>(other, p % other.capacity_, p % capacity_);
    });
  }
}

const void* KvStore::KeyBlock(int64_t head, int64_t position) const {
  return keys_.data() + KeyIndex(head, position % capacity_ / kKeyBlock * kKeyBlock, 0) * element_bytes();
}

const void* KvStore::ValueBlock(int64_t head, int64_t position) const {
  return values_.data() + ValueIndex(head, position % capacity_ / kKeyBlock * kKeyBlock, 0) * element_bytes();
}

const float* KvStore::KeyScales(int64_t head, int64_t position) const {
  return key_scales_.data() + ScaleIndex(head, position % capacity_ / kKeyBlock * kKeyBlock);
}

const float* KvStore::ValueScales(int64_t head, int64_t position) const {
  return value_scales_.data() + ScaleIndex(head, position % capacity_ / kKeyBlock * kKeyBlock);
}

}  // namespace linnet
