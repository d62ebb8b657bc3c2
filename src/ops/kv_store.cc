#include "ops/kv_store.h"

#include <cstring>
#include <vector>

#include "base/bf16.h"
#include "base/check.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

// A vector load of the last value row may read this many elements beyond it.
constexpr int64_t kOverread = kPanel;

void Put(float* data, int64_t index, float value) { data[index] = value; }
void Put(uint16_t* data, int64_t index, float value) { data[index] = FloatToBf16(value); }

float Get(const uint8_t* data, KvType type, int64_t index) {
  if (type == KvType::kF32) return reinterpret_cast<const float*>(data)[index];
  return Bf16ToFloat(reinterpret_cast<const uint16_t*>(data)[index]);
}

// The rotated dimensions first, each part ascending.
std::vector<int32_t> RotatedFirst(int64_t head_dim, int64_t pairs) {
  std::vector<int32_t> order;
  for (const bool rotated : {true, false}) {
    for (int64_t e = 0; e < head_dim; ++e) {
      if ((e % (head_dim / 2) < pairs) == rotated) order.push_back(static_cast<int32_t>(e));
    }
  }
  return order;
}

}  // namespace

KvStore::KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity, KeysFromValues keys)
    : type_(type), kv_heads_(kv_heads), head_dim_(head_dim), row_width_(head_dim) {
  capacity_ = (capacity + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  if (!keys.weight.empty()) {
    LINNET_CHECK(static_cast<int64_t>(keys.weight.size()) == head_dim && head_dim % 2 == 0);
    shared_ = keys;
    order_ = RotatedFirst(head_dim, keys.rotated_pairs);
    row_width_ += rotated();
  }
  const auto allocate = [&](int64_t width) {
    const int64_t elements = kv_heads_ * capacity_ * width + kOverread;
    return AlignedBuffer<uint8_t>(static_cast<size_t>(elements * element_bytes()));
  };
  if (!shared()) {
    keys_ = allocate(head_dim_);
    if (keys_.size() == 0) return;
  }
  values_ = allocate(row_width_);
}

int64_t KvStore::KeyIndex(int64_t head, int64_t slot) const {
  return (head * capacity_ + slot / kPanel * kPanel) * head_dim_ + slot % kPanel;
}

int64_t KvStore::ValueIndex(int64_t head, int64_t slot) const { return (head * capacity_ + slot) * row_width_; }

template <typename Element>
void KvStore::WriteAs(int64_t slot, const float* key, const float* value) {
  for (int64_t h = 0; h < kv_heads_; ++h) {
    const float* k = key + h * head_dim_;
    const float* v = value + h * head_dim_;
    Element* row = reinterpret_cast<Element*>(values_.data()) + ValueIndex(h, slot);
    if (shared()) {
      for (int64_t i = 0; i < head_dim_; ++i) Put(row, i, v[order_[static_cast<size_t>(i)]]);
      for (int64_t i = 0; i < rotated(); ++i) Put(row, head_dim_ + i, k[order_[static_cast<size_t>(i)]]);
      continue;
    }
    Element* panel = reinterpret_cast<Element*>(keys_.data()) + KeyIndex(h, slot);
    for (int64_t e = 0; e < head_dim_; ++e) Put(panel, e * kPanel, k[e]);
    for (int64_t e = 0; e < head_dim_; ++e) Put(row, e, v[e]);
  }
}

void KvStore::Write(int64_t position, const float* key, const float* value) {
  const int64_t slot = position % capacity_;
  type_ == KvType::kF32 ? WriteAs<float>(slot, key, value) : WriteAs<uint16_t>(slot, key, value);
}

void KvStore::Write(OpContext& context, int64_t position, Rows keys, Rows values) {
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) Write(position + r, keys.row(r), values.row(r));
  };
  context.pool().For(keys.rows, range, 8 * keys.rows * keys.width);
}

void KvStore::Read(int64_t position, int64_t head, float* key, float* value) const {
  const int64_t slot = position % capacity_;
  const int64_t row = ValueIndex(head, slot);
  if (!shared()) {
    for (int64_t e = 0; e < head_dim_; ++e) {
      key[e] = Get(keys_.data(), type_, KeyIndex(head, slot) + e * kPanel);
      value[e] = Get(values_.data(), type_, row + e);
    }
    return;
  }
  for (int64_t i = 0; i < head_dim_; ++i) {
    const size_t e = static_cast<size_t>(order_[static_cast<size_t>(i)]);
    value[e] = Get(values_.data(), type_, row + i);
    key[e] = i < rotated() ? Get(values_.data(), type_, row + head_dim_ + i) : value[e] * shared_.weight[e];
  }
}

void KvStore::CopyFrom(const KvStore& other, int64_t first, int64_t last) {
  std::vector<float> key(static_cast<size_t>(kv_heads_ * head_dim_)), value(key.size());
  for (int64_t p = first; p < last; ++p) {
    for (int64_t h = 0; h < kv_heads_; ++h) other.Read(p, h, &key[h * head_dim_], &value[h * head_dim_]);
    Write(p, key.data(), value.data());
  }
}

const void* KvStore::KeyBlock(int64_t head, int64_t position) const {
  const int64_t slot = position % capacity_ / kKeyBlock * kKeyBlock;
  if (shared()) return values_.data() + (ValueIndex(head, slot) + rotated()) * element_bytes();
  return keys_.data() + KeyIndex(head, slot) * element_bytes();
}

const void* KvStore::ValueBlock(int64_t head, int64_t position) const {
  const int64_t slot = position % capacity_ / kKeyBlock * kKeyBlock;
  return values_.data() + ValueIndex(head, slot) * element_bytes();
}

}  // namespace linnet
