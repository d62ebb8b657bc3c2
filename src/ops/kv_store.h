// The key/value store of one layer and one sequence, in the layout attention reads.
//
//   keys    [KV head][slot / 16][E][16]   sixteen keys side by side, so that a score is one accumulator over E
//   values  [KV head][slot][E]
//
// A slot is an absolute position modulo the capacity, which is a multiple of kKeyBlock: blocks of absolute positions
// are contiguous in memory. Position p is intact as long as no position p + capacity has been written.
#pragma once

#include <cstdint>

#include "base/aligned.h"
#include "linnet/options.h"

namespace linnet {

inline constexpr int64_t kKeyBlock = 64;  // absolute positions that one step of the online softmax covers

class KvStore {
 public:
  KvStore() = default;
  // `capacity` is rounded up to whole blocks. empty() when the system has no memory.
  KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity);

  // key and value are (K, E) of one token.
  void Write(int64_t position, const float* key, const float* value);
  // Copies positions [first, last) from another store of the same shape.
  void CopyFrom(const KvStore& other, int64_t first, int64_t last);
  // One head of one position, for probes and the drafter's checks.
  void Read(int64_t position, int64_t head, float* key, float* value) const;

  // The sixteen-key panels and the value rows of the block that holds absolute position `position`.
  const void* KeyBlock(int64_t head, int64_t position) const;
  const void* ValueBlock(int64_t head, int64_t position) const;

  KvType type() const { return type_; }
  int64_t kv_heads() const { return kv_heads_; }
  int64_t head_dim() const { return head_dim_; }
  int64_t capacity() const { return capacity_; }
  bool empty() const { return keys_.size() == 0; }
  uint64_t bytes() const { return keys_.bytes() + values_.bytes(); }

 private:
  int64_t KeyIndex(int64_t head, int64_t slot) const;    // of element 0; element e is e * 16 further
  int64_t ValueIndex(int64_t head, int64_t slot) const;  // of element 0
  int64_t element_bytes() const { return type_ == KvType::kF32 ? 4 : 2; }

  KvType type_ = KvType::kF32;
  int64_t kv_heads_ = 0, head_dim_ = 0, capacity_ = 0;
  AlignedBuffer<uint8_t> keys_, values_;
};

}  // namespace linnet
