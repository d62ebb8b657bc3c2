#include "ops/kv_store.h"

#include <cstring>
#include <vector>

#include "base/bf16.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

// A vector load of the last value row may read this many elements beyond it.
constexpr int64_t kOverread = kPanel;

void Put(uint8_t* data, KvType type, int64_t index, float value) {
  if (type == KvType::kF32) {
    std::memcpy(data + 4 * index, &value, 4);
  } else {
    const uint16_t bits = FloatToBf16(value);
    std::memcpy(data + 2 * index, &bits, 2);
  }
}

float Get(const uint8_t* data, KvType type, int64_t index) {
  if (type == KvType::kF32) {
    float value;
    std::memcpy(&value, data + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, data + 2 * index, 2);
  return Bf16ToFloat(bits);
}

}  // namespace

KvStore::KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity)
    : type_(type), kv_heads_(kv_heads), head_dim_(head_dim) {
  capacity_ = (capacity + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  const int64_t elements = kv_heads_ * capacity_ * head_dim_ + kOverread;
  keys_ = AlignedBuffer<uint8_t>(static_cast<size_t>(elements * element_bytes()));
  values_ = AlignedBuffer<uint8_t>(static_cast<size_t>(elements * element_bytes()));
  if (values_.size() == 0) keys_ = {};
}

int64_t KvStore::KeyIndex(int64_t head, int64_t slot) const {
  return (head * capacity_ + slot / kPanel * kPanel) * head_dim_ + slot % kPanel;
}

int64_t KvStore::ValueIndex(int64_t head, int64_t slot) const { return (head * capacity_ + slot) * head_dim_; }

void KvStore::Write(int64_t position, const float* key, const float* value) {
  const int64_t slot = position % capacity_;
  for (int64_t h = 0; h < kv_heads_; ++h) {
    const int64_t key_index = KeyIndex(h, slot);
    const int64_t value_index = ValueIndex(h, slot);
    for (int64_t e = 0; e < head_dim_; ++e) {
      Put(keys_.data(), type_, key_index + e * kPanel, key[h * head_dim_ + e]);
      Put(values_.data(), type_, value_index + e, value[h * head_dim_ + e]);
    }
  }
}

void KvStore::Read(int64_t position, int64_t head, float* key, float* value) const {
  const int64_t slot = position % capacity_;
  for (int64_t e = 0; e < head_dim_; ++e) {
    key[e] = Get(keys_.data(), type_, KeyIndex(head, slot) + e * kPanel);
    value[e] = Get(values_.data(), type_, ValueIndex(head, slot) + e);
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
  return keys_.data() + KeyIndex(head, slot) * element_bytes();
}

const void* KvStore::ValueBlock(int64_t head, int64_t position) const {
  const int64_t slot = position % capacity_ / kKeyBlock * kKeyBlock;
  return values_.data() + ValueIndex(head, slot) * element_bytes();
}

}  // namespace linnet
