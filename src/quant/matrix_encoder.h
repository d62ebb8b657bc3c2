// Rows of a matrix in a number format, on all threads, and what that loses.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "quant/error_feedback.h"
#include "tensor/block_search.h"
#include "tensor/dtype.h"

namespace linnet {

// Formats that EncodeRow or SearchRow write.
bool CanWrite(Dtype dtype);

// What encoding has cost.
struct EncodingLoss {
  double error = 0, total = 0;     // sums of squares: of what was lost, of all
  uint64_t blocks = 0, exact = 0;  // those whose error is at the level of bfloat16's rounding

  double weighted_error = 0, weighted_total = 0;  // by importance, where there is one

  // Relative squared error.
  double relative() const { return total > 0 ? error / total : 0.0; }
  double weighted() const { return weighted_total > 0 ? weighted_error / weighted_total : 0.0; }
  void Add(const EncodingLoss& other);
};

// What is known of the inputs of a matrix.
struct InputKnowledge {
  std::span<const float> importance;   // a number for each column; empty: all alike
  const Feedback* feedback = nullptr;  // how errors of columns are made good by others
};

// Whole rows in a GroupFormat, each kind of number by itself.
struct EncodedGroups {
  std::span<const uint8_t> levels;
  std::span<const uint16_t> steps, offsets;
};

class MatrixEncoder {
 public:
  explicit MatrixEncoder(ThreadPool& pool) : pool_(pool) {}

  // Encodes whole rows of `row` values: by search (tensor/block_search.h) where there is one, with feedback
  // where it is known. The result is valid until the next call; the loss of the rows is added to `loss`. The
  // bits do not depend on how many rows come at once.
  std::span<const uint8_t> Encode(Dtype dtype, std::span<const float> values, int64_t row,
                                  const InputKnowledge& inputs, EncodingLoss& loss);
  // The same for a checkpoint's groups.
  EncodedGroups EncodeGroups(const GroupFormat& format, std::span<const float> values, int64_t row,
                             const InputKnowledge& inputs, EncodingLoss& loss);

 private:
  // What the loss of a row is measured by.
  struct LossShape {
    std::span<const float> importance;
    size_t block;
  };
  void ForRows(std::span<const float> values, size_t width,
               const std::function<void(size_t, std::span<const float>, std::span<float>)>& encode,
               const LossShape& shape, EncodingLoss& loss);

  ThreadPool& pool_;
  std::vector<uint8_t> encoded_;
  std::vector<uint16_t> steps_, offsets_;
  std::vector<EncodingLoss> losses_;         // one a row
  std::vector<std::vector<float>> scratch_;  // one a thread
};

}  // namespace linnet
