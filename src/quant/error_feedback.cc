#include "quant/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace linnet {
namespace {

// In eight lanes, always in the same order.
double Dot(const double* a, const double* b, size_t n) {
  double lanes[8] = {};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (size_t l = 0; l < 8; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (; i < n; ++i) lanes[0] += a[i] * b[i];
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// a becomes its lower Cholesky factor. REQUIRES: it is positive definite.
void Factorise(std::vector<double>& a, size_t n, ThreadPool& pool) {
  for (size_t j = 0; j < n; ++j) {
    double* row = &a[j * n];
    row[j] = std::sqrt(row[j] - Dot(row, row, j));
    const int64_t below = static_cast<int64_t>(n - j - 1);
    pool.For(
        below,
        [&](int64_t begin, int64_t end, int) {
          for (size_t i = j + 1 + static_cast<size_t>(begin); i < j + 1 + static_cast<size_t>(end); ++i) {
            a[i * n + j] = (a[i * n + j] - Dot(&a[i * n], row, j)) / row[j];
          }
        },
        below * static_cast<int64_t>(j));
  }
}

// Row j of the result is column j of the inverse of the lower triangle l.
std::vector<double> InverseColumns(const std::vector<double>& l, size_t n, ThreadPool& pool) {
  std::vector<double> columns(n * n, 0.0);
  pool.For(static_cast<int64_t>(n), [&](int64_t begin, int64_t end, int) {
    for (size_t j = static_cast<size_t>(begin); j < static_cast<size_t>(end); ++j) {
      double* m = &columns[j * n];
      m[j] = 1 / l[j * n + j];
      for (size_t i = j + 1; i < n; ++i) m[i] = -Dot(&l[i * n + j], m + j, i - j) / l[i * n + i];
    }
  });
  return columns;
}

}  // namespace

// With the columns in reverse order, products = L Lᵀ; in the order itself they are R Rᵀ with R upper, and the
// factor of their inverse, which the method needs, is R⁻¹.
FeedbackFactor::FeedbackFactor(std::span<const float> products, int64_t count, double damping,
                               ThreadPool& pool)
    : columns_(static_cast<size_t>(count)) {
  const size_t n = columns_;
  LINNET_CHECK(products.size() == n * n);
  double mean = 0;
  for (size_t i = 0; i < n; ++i) mean += products[i * n + i] / static_cast<double>(n);
  if (!(mean > 0) || !std::isfinite(mean)) return;
  order_.resize(n);
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::stable_sort(order_,
                           [&](size_t a, size_t b) { return products[a * n + a] > products[b * n + b]; });
  std::vector<double> l(n * n);
  for (size_t i = 0; i < n; ++i) {
    const size_t from = order_[n - 1 - i];
    for (size_t j = 0; j < n; ++j) l[i * n + j] = products[from * n + order_[n - 1 - j]];
    l[i * n + i] += damping * mean;
  }
  Factorise(l, n, pool);
  const std::vector<double> columns = InverseColumns(l, n, pool);
  upper_.assign(n * n, 0.0f);
  for (size_t a = 0; a < n; ++a) {
    const double own = columns[(n - 1 - a) * n + n - 1 - a];
    for (size_t b = a; b < n; ++b) {
      upper_[a * n + b] = static_cast<float>(columns[(n - 1 - b) * n + n - 1 - a] / own);
    }
  }
}

void FeedbackFactor::Round(std::span<SearchedRow> rows, size_t first, float* values, size_t stride) const {
  const size_t n = order_.size();
  std::vector<float> ordered(rows.size() * n);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t j = 0; j < n; ++j) ordered[r * n + j] = values[r * stride + order_[j]];
  }
  for (size_t j = 0; j < n; ++j) {
    const float* spread = &upper_[j * n];
    for (size_t r = 0; r < rows.size(); ++r) {
      float* row = &ordered[r * n];
      const float error = row[j] - rows[r].Choose(first + order_[j], row[j]);
      for (size_t k = j + 1; k < n; ++k) row[k] -= error * spread[k];
    }
  }
}

void Feedback::Round(std::span<SearchedRow> rows, std::span<float> values) const {
  if (rows.empty()) return;
  const size_t stride = values.size() / rows.size();
  size_t first = 0;
  for (const FeedbackFactor& factor : factors) {
    if (!factor.empty()) factor.Round(rows, first, values.data() + first, stride);
    first += factor.columns();
  }
}

}  // namespace linnet
