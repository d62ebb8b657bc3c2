// The key/value store of one layer and one sequence, in the layout attention reads: a table of pages, each of
// which holds as many consecutive positions. A ring is one page that the store owns; the pages of a full
// layer are wherever their owner says (model/kv_cache.h), so that sequences can share them.
//
// In a page a group of G elements lies side by side: one float32, two bfloat16 or four bytes
// (kernels/cache_kernels.h). P positions a page, slots 0 to P - 1:
//
//   keys    [KV head][slot / 16][E / G][16][G]   sixteen keys side by side: a score is one sum over E
//   values  [KV head][slot / G][E][G]
//   scales  [KV head][slot]                      float32, of bytes only: those of the keys, of the values
//
// Where keys can be computed from values (KeyNorm), there are no keys, and one row serves both:
//
//   values  [KV head][slot / G][E + R][G]        R dimensions are rotated: their values, those of the others,
//                                                keys of the rotated ones
//
// so that the first E elements are the value in the order of `order()`, and the last E what scores need.
//
// Bytes have one scale a head for its value and one for its key. Keys are divided, dimension by dimension, by
// what the weight of their norm makes of it (the larger of a rotated pair's two): the channels that training
// has made large would else leave few steps for the others. Queries are multiplied by the same factors.
//
// Position p lies in slot p modulo P of page (p modulo the capacity) / P. P and the capacity are multiples of
// kKeyBlock: blocks of absolute positions are contiguous in memory. Position p is intact as long as no
// position p + capacity has been written.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "linnet/options.h"

namespace linnet {

inline constexpr int64_t kKeyBlock = 64;  // absolute positions that one step of the online softmax covers
inline constexpr int64_t kPagePositions = 256;  // of a page that sequences can share
static_assert(kPagePositions % kKeyBlock == 0);

// The norm that keys have been through: key = rotate(norm(k) * weight) with pairs (i, i + E / 2), i <
// rotated_pairs.
struct KeyNorm {
  int64_t rotated_pairs = 0;
  std::span<const float> weight;  // (E), not owned; may be empty where keys are stored as they are
  bool from_values = false;       // value = norm(k): store both as one row
};

// Where things lie in a page of so many positions, rounded up to whole blocks: bytes from its beginning,
// where the keys are.
struct KvLayout {
  KvLayout() = default;
  KvLayout(KvType type, int64_t kv_heads, int64_t head_dim, int64_t positions, const KeyNorm& norm);

  int64_t positions = 0;
  int64_t row_width = 0;  // elements of a value row
  int64_t values_at = 0, scales_at = 0;
  int64_t page_bytes = 0;
};

class KvStore {
 public:
  KvStore() = default;
  // One page of its own. `capacity` is rounded up to whole blocks. Throws std::bad_alloc.
  // REQUIRES: E is a multiple of GroupOf(type); of from_values, so is twice rotated_pairs.
  KvStore(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity, const KeyNorm& norm = {});
  // Pages of kPagePositions that others own; `capacity` is rounded up to whole ones. None is there yet.
  static KvStore Paged(KvType type, int64_t kv_heads, int64_t head_dim, int64_t capacity,
                       const KeyNorm& norm = {});

  // Elements that lie side by side.
  static constexpr int64_t GroupOf(KvType type) {
    return type == KvType::kF32 ? 1 : type == KvType::kBf16 ? 2 : 4;
  }

  // Of a store of others' pages: where page `page` is, null where it is no more. REQUIRES: page_bytes(),
  // aligned to kAlignment, that live until then.
  void SetPage(int64_t page, uint8_t* data) { pages_[static_cast<size_t>(page)] = data; }
  int64_t page_bytes() const { return layout_.page_bytes; }

  // The page of a position must be there for all of these. key and value are (K, E) of one token.
  void Write(int64_t position, const float* key, const float* value);
  // What is stored, as float32: (E) each.
  void Read(int64_t position, int64_t head, float* key, float* value) const;
  // The block of kKeyBlock positions that holds `position`, bit for bit: of each KV head its keys, values and
  // scales, one after another.
  void SaveBlock(int64_t position, uint8_t* out) const;
  void LoadBlock(int64_t position, const uint8_t* in);
  int64_t saved_block_bytes() const;
  // The blocks that hold positions [first, last). REQUIRES: `other` has the same shape and type, and this
  // store at least its capacity.
  void CopyFrom(const KvStore& other, int64_t first, int64_t last);

  // The block of kKeyBlock positions that holds absolute position `position`: its keys (not of a shared
  // store) and its values or shared rows.
  const void* KeyBlock(int64_t head, int64_t position) const;
  const void* ValueBlock(int64_t head, int64_t position) const;
  int64_t row_width() const { return layout_.row_width; }  // elements of a value row
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
  uint64_t bytes() const { return own_.bytes(); }  // of its own page

 private:
  // Where a position lies.
  struct Place {
    uint8_t* page;
    int64_t slot;
  };

  KvStore(KvType type, int64_t kv_heads, int64_t head_dim, const KeyNorm& norm, int64_t positions);
  void PrepareScores();
  void PreparePages(int64_t pages);
  Place PlaceOf(int64_t position) const;
  Place BlockOf(int64_t position) const;
  // A block's keys, values, and scales of both; empty where there are none.
  std::array<std::span<uint8_t>, 4> BlockParts(int64_t head, int64_t position) const;
  // Elements from the beginning of a page's keys or values, floats from that of its scales.
  int64_t KeyIndex(int64_t head, int64_t slot, int64_t e) const;
  int64_t ValueIndex(int64_t head, int64_t slot, int64_t e) const;
  int64_t ScaleIndex(int64_t head, int64_t slot) const { return head * layout_.positions + slot; }
  uint8_t* Values(const Place& place) const { return place.page + layout_.values_at; }
  float* KeyScale(int64_t head, const Place& place) const {
    return reinterpret_cast<float*>(place.page + layout_.scales_at) + ScaleIndex(head, place.slot);
  }
  float* ValueScale(int64_t head, const Place& place) const {
    return KeyScale(head, place) + kv_heads_ * layout_.positions;
  }
  int64_t element_bytes() const { return 4 / group_; }
  template <typename Element>
  void WriteAs(const Place& place, const float* key, const float* value);

  KvType type_ = KvType::kF32;
  int64_t kv_heads_ = 0, head_dim_ = 0, capacity_ = 0, group_ = 1;
  KeyNorm norm_;
  KvLayout layout_;
  std::vector<int32_t> order_, score_order_;
  std::vector<float> key_divisor_;  // (E): of stored keys; empty: 1
  std::vector<float> score_factor_;
  std::vector<uint8_t*> pages_;
  AlignedBuffer<uint8_t> own_;
};

}  // namespace linnet
