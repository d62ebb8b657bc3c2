// Row-wise operations of the decoder and the embedders. Each row is computed alone; rows are shared out over
// threads.
#pragma once

#include <cstdint>
#include <span>

#include "ops/context.h"

namespace linnet {

// Calls body(row) for every row, on all threads where there are enough values for it to pay.
template <typename Body>
void ForRows(OpContext& context, Rows x, const Body& body) {
  constexpr int64_t kParallelFrom = 16384;
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) body(r);
  };
  if (x.rows * x.width < kParallelFrom || x.rows == 1) return range(0, x.rows, 0);
  context.pool().For(x.rows, range);
}

// out = x * (mean(x²) + eps)^-0.5 * weight; an empty weight leaves the factor out. May run in place.
void RmsNorm(OpContext& context, Rows x, std::span<const float> weight, float eps, Rows out);

// The same in place for each of the `heads` parts of a row: x is (T, heads * E), weight is (E).
void HeadNorm(OpContext& context, Rows x, int64_t heads, std::span<const float> weight, float eps);

// out = (x - mean) / sqrt(variance + eps) * weight + bias, population variance. May run in place.
struct LayerNormWeights {
  std::span<const float> weight, bias;
};
void LayerNorm(OpContext& context, Rows x, const LayerNormWeights& w, float eps, Rows out);

// gate = gelu_tanh(gate) * up.
void GeluMul(OpContext& context, Rows gate, Rows up);

// x = (x + y) * factor.
void AddScaled(OpContext& context, Rows x, Rows y, float factor);

// out = x.
void CopyRows(OpContext& context, Rows x, Rows out);

// x += bias.
void AddBias(OpContext& context, Rows x, std::span<const float> bias);

// x = cap * tanh(x / cap).
void Softcap(OpContext& context, Rows x, float cap);

}  // namespace linnet
