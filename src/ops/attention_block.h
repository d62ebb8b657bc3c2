// One block of keys and values against the queries of a tile, for every type of the store. Each row's
// arithmetic is its own: what shares a tile does not show in its bits.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/kernels.h"
#include "ops/kv_store.h"

namespace linnet {

// The queries of a tile and the weights they give a block, in the form the products read.
class AttentionTile {
 public:
  // Working memory in floats for up to `rows` rows of E elements.
  static int64_t ScratchFloats(int64_t rows, int64_t head_dim);

  AttentionTile(const KernelTable& kernels, const KvStore& store, int64_t rows, float* scratch);

  // Row `row` is (E), already scaled, in the order and with the factors of the store's scores.
  void SetQuery(int64_t row, const float* q);
  // Where the scores of a row stand: (kKeyBlock). AddValues() takes the weights from the same place.
  float* scores(int64_t row) const { return scores_ + row * kKeyBlock; }

  // Scores of all rows with the block that holds `position`. While it runs it asks for the keys of the next
  // block, if `next` is not negative.
  void Score(int64_t head, int64_t position, int64_t next) const;
  // sum (R, E, in the order of the store's values) += weights * values.
  void AddValues(int64_t head, int64_t position, int64_t next, float* sum) const;

 private:
  // Elements that share a scale.
  struct Part {
    int64_t index, first, count;
  };
  std::array<Part, 2> Parts() const;
  int8_t* ByteQuery(const Part& part) const;
  void ScoreFloats(int64_t head, int64_t position) const;
  void ScorePairs(int64_t head, int64_t position, Upcoming upcoming) const;
  void ScoreBytes(int64_t head, int64_t position, Upcoming upcoming) const;
  // Keys of the block that holds `position`, from its `first` one on.
  struct KeyPlace {
    int64_t head, position, first;
  };
  void MultiplyKeyBytes(const KeyPlace& place, const GroupedPanels& all, const Upcoming& upcoming) const;
  GroupedPanels Keys(int64_t head, int64_t position) const;
  RowsAsKeys KeyRows(int64_t head, int64_t position) const;
  GroupedPanels Values(int64_t head, int64_t position) const;
  Upcoming RowsOf(int64_t head, int64_t position) const;
  static Upcoming PartOf(const Upcoming& upcoming, int64_t part, int64_t parts);

  const KernelTable& kernels_;
  const KvStore& store_;
  int64_t rows_, dim_;
  // Of bytes every row is two: the low ones follow all high ones.
  float* q_;             // (R, E) float32; tiles of R rows of pairs, of 2 R rows of bytes
  float* q_scale_;       // (parts, 2 R)
  int32_t* q_sum_;       // (parts, 2 R)
  float* scores_;        // (2 R, kKeyBlock)
  float* weights_;       // tiles of R rows of kKeyBlock pairs or bytes
  float* weight_scale_;  // (R)
  int32_t* weight_sum_;  // (R)
  void* keys_;           // keys that some of a shared store's rows have been turned into
};

}  // namespace linnet
