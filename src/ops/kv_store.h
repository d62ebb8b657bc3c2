// The key/value store of one layer and one sequence, in the layout attention reads. A group of G elements
// lies side by side: one float32, two bfloat16 or four bytes (kernels/cache_kernels.h).
//
//   keys    [KV head][slot / 16][E / G][16][G]   sixteen keys side by side, so that a score is one
//   accumulator over E values  [KV head][slot / G][E][G]
//
// Where keys can be computed from values (KeyNorm), one row serves both:
//
//   rows    [KV head][slot / G][E + R][G]        values of the R rotated dimensions, of the others, keys of
//   the rotated ones
//
// so that the first E elements are the value in the order of `order()`, and the last E what scores need.
//
// Bytes have one scale a head for its value and one for its key. Keys are divided, dimension by dimension, by
// what the weight of their norm makes of it (the larger of a rotated pair's two): the channels that training
// has made large would else leave few steps for the others. Queries are multiplied by the same factors.
//
// A slot is an absolute position modulo the capacity, which is a multiple of kKeyBlock: blocks of absolute
// positions are contiguous in memory. Position p is intact as long as no position p + capacity has been
// written.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "linnet/options.h"
#include "ops/context.h"

namespace linnet {

inline constexpr int64_t kKeyBlock = 64;  // absolute positions that one step of the online softmax covers

// The norm that keys have been through: key = rotate(norm(k) * weight) with pairs (i, i + E / 2), i <
// rotated_pairs.
struct KeyNorm {
  int64_t rotated_pairs = 0;
  std::span<const float> weight;  // (E), not owned; may be empty where keys are stored as they are
  bool from_values = false;       // value = norm(k): store both as one row
};

class KvStore {
 public:
  KvStore() = default;
  // `capacity` is rounded up to whole blocks. Throws std::bad_alloc.
  // REQUIRES: E is a multiple of GroupOf(type); of from_values, so is twice rotated_pairs.
  KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity, const KeyNorm& norm = {});

  // Elements that lie side by side.
  static constexpr int64_t GroupOf(KvType type) {
    return type == KvType::kF32 ? 1 : type == KvType::kBf16 ? 2 : 4;
  }

  // key and value are (K, E) of one token.
  void Write(int64_t position, const float* key, const float* value);
  // Rows of consecutive tokens, shared out over the threads. keys and values are (T, K, E).
  void Write(OpContext& context, int64_t position, Rows keys, Rows values);
  // What is stored, as float32: (E) each.
  void Read(int64_t position, int64_t head, float* key, float* value) const;
  // Positions [first, last), bit for bit. REQUIRES: `other` holds them and has the same shape and type.
  void CopyFrom(const KvStore& other, int64_t first, int64_t last);

  // The block of kKeyBlock positions that holds absolute position `position`: its keys (not of a shared
  // store) and its values or shared rows.
  const void* KeyBlock(int64_t head, int64_t position) const;
  const void* ValueBlock(int64_t head, int64_t position) const;
  int64_t row_width() const { return row_width_; }  // elements of a value row
  // Of bytes: the scales of that block, kKeyBlock each.
  const float* KeyScales(int64_t head, int64_t position) const;
  const float* ValueScales(int64_t head, int64_t position) const;

  bool shared() const { return norm_.from_values; }
  // The dimensions in the order in which values are stored, and those that scores run over with the factor on
  // each query element: (E) each.
  std::span<const int32_t> order() const { return order_; }
  std::span<const int32_t> score_order() const { return score_order_; }
  std::span<const float> score_factor() const { return score_factor_; }
  int64_t rotated() const { return shared() ? 2 * norm_.rotated_pairs : 0; }  // R

  const KeyNorm& norm() const { return norm_; }
  KvType type() const { return type_; }
  int64_t kv_heads() const { return kv_heads_; }
  int64_t head_dim() const { return head_dim_; }
  int64_t capacity() const { return capacity_; }
  int64_t block_bytes(int64_t width) const { return kKeyBlock * width * element_bytes(); }
  uint64_t bytes() const {
    return keys_.bytes() + values_.bytes() + key_scales_.bytes() + value_scales_.bytes();
  }

 private:
  int64_t KeyIndex(int64_t head, int64_t slot, int64_t e) const;
  int64_t ValueIndex(int64_t head, int64_t slot, int64_t e) const;
  int64_t ScaleIndex(int64_t head, int64_t slot) const { return head * capacity_ + slot; }
  int64_t element_bytes() const { return 4 / group_; }
  void PrepareScores();
  template <typename Element>
  void WriteAs(int64_t slot, const float* key, const float* value);
  template <typename Element>
  void CopyAs(const KvStore& other, int64_t from, int64_t to);

  KvType type_ = KvType::kF32;
  int64_t kv_heads_ = 0, head_dim_ = 0, capacity_ = 0, row_width_ = 0, group_ = 1;
  KeyNorm norm_;
  std::vector<int32_t> order_, score_order_;
  std::vector<float> key_divisor_;  // (E): of stored keys; empty: 1
  std::vector<float> score_factor_;
  AlignedBuffer<uint8_t> keys_, values_;
  AlignedBuffer<float> key_scales_, value_scales_;
};

}  // namespace linnet
