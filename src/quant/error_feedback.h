// Rounding a row so that the error of each column is made good by the columns after it, as far as the inputs
// of the matrix go together: GPTQ (Frantar et al., 2022) on blocks whose steps are chosen already.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/block_search.h"

namespace linnet {

// Of the inputs to be added to every one's own square, as a share of the mean: what is not in the calibration
// has to go well too (docs/quality.md).
inline constexpr double kDamping = 0.3;

// The columns in the order in which they are rounded, and how the error of one is spread over those after it.
class FeedbackFactor {
 public:
  // `products` (n, n): sums of products of the inputs. Empty where they are all zero.
  FeedbackFactor(std::span<const float> products, int64_t n, double damping, ThreadPool& pool);

  bool empty() const { return order_.empty(); }
  size_t columns() const { return columns_; }
  // Rounds rows, of which `values` (rows, stride) are these columns from `first` on. Overwrites them.
  void Round(std::span<SearchedRow> rows, size_t first, float* values, size_t stride) const;

 private:
  size_t columns_;
  std::vector<size_t> order_;
  std::vector<float> upper_;  // (n, n): row j is what column j of the order spreads, by its own
};

// The factors of one input: of all columns, or of blocks of them one after another.
struct Feedback {
  std::vector<FeedbackFactor> factors;

  // Rounds rows whose steps have been chosen. `values` (rows, width) are what they are to become, and are
  // overwritten.
  void Round(std::span<SearchedRow> rows, std::span<float> values) const;
};

}  // namespace linnet
