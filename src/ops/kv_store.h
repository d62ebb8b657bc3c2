// The key/value store of one layer and one sequence, in the layout attention reads.
//
//   keys    [KV head][slot / 16][E][16]   sixteen keys side by side, so that a score is one accumulator over E
//   values  [KV head][slot][E]
//
// Where keys can be computed from values (KeysFromValues), one row serves both:
//
//   rows    [KV head][slot][E + R]        values of the R rotated dimensions, of the others, keys of the rotated ones
//
// so that the first E elements are the value in the order of `order()`, and the last E what scores need.
//
// A slot is an absolute position modulo the capacity, which is a multiple of kKeyBlock: blocks of absolute positions
// are contiguous in memory. Position p is intact as long as no position p + capacity has been written.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "linnet/options.h"
#include "ops/context.h"

namespace linnet {

inline constexpr int64_t kKeyBlock = 64;  // absolute positions that one step of the online softmax covers

// Keys that are their values times `weight`, but for the dimensions of `rotated_pairs` rotated pairs (i, i + E / 2).
// True of layers whose values are the raw keys, normed without weight: key = rotate(norm(k) * weight), value = norm(k).
struct KeysFromValues {
  int64_t rotated_pairs = 0;
  std::span<const float> weight;  // (E), not owned; empty: keys are stored as they are
};

class KvStore {
 public:
  KvStore() = default;
  // `capacity` is rounded up to whole blocks. empty() when the system has no memory.
  KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity, KeysFromValues keys = {});

  // key and value are (K, E) of one token.
  void Write(int64_t position, const float* key, const float* value);
  // Rows of consecutive tokens, shared out over the threads. keys and values are (T, K, E).
  void Write(OpContext& context, int64_t position, Rows keys, Rows values);
  // Copies positions [first, last) from another store of the same shape.
  void CopyFrom(const KvStore& other, int64_t first, int64_t last);
  // One head of one position, for probes and the drafter's checks.
  void Read(int64_t position, int64_t head, float* key, float* value) const;

  // The sixteen-key panels and the value rows of the block that holds absolute position `position`; of a shared store,
  // where its scores and its values begin.
  const void* KeyBlock(int64_t head, int64_t position) const;
  const void* ValueBlock(int64_t head, int64_t position) const;
  int64_t row_width() const { return row_width_; }  // elements from one value row to the next

  bool shared() const { return !shared_.weight.empty(); }
  // Of a shared store: the factor that takes a value's element to the key's, and the dimensions in the order in which
  // values are stored.
  std::span<const float> key_weight() const { return shared_.weight; }
  std::span<const int32_t> order() const { return order_; }
  int64_t rotated() const { return 2 * shared_.rotated_pairs; }  // R

  KvType type() const { return type_; }
  int64_t kv_heads() const { return kv_heads_; }
  int64_t head_dim() const { return head_dim_; }
  int64_t capacity() const { return capacity_; }
  bool empty() const { return values_.size() == 0; }
  uint64_t bytes() const { return keys_.bytes() + values_.bytes(); }

 private:
  int64_t KeyIndex(int64_t head, int64_t slot) const;    // of element 0; element e is e * 16 further
  int64_t ValueIndex(int64_t head, int64_t slot) const;  // of element 0
  int64_t element_bytes() const { return type_ == KvType::kF32 ? 4 : 2; }
  template <typename Element>
  void WriteAs(int64_t slot, const float* key, const float* value);

  KvType type_ = KvType::kF32;
  int64_t kv_heads_ = 0, head_dim_ = 0, capacity_ = 0, row_width_ = 0;
  KeysFromValues shared_;
  std::vector<int32_t> order_;
  AlignedBuffer<uint8_t> keys_, values_;
};

}  // namespace linnet
