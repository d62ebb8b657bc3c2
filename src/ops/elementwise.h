// Row-wise operations of the decoder and the embedders. Each row is computed alone; rows are shared out over threads.
#pragma once

#include <cstdint>
#include <span>

#include "ops/context.h"

namespace linnet {

// out = x * (mean(x²) + eps)^-0.5 * weight; an empty weight leaves the factor out. May run in place.
void RmsNorm(OpContext& context, Rows x, std::span<const float> weight, float eps, Rows out);

// The same for each of the `heads` parts of a row: x is (T, heads * E), weight is (E).
void HeadNorm(OpContext& context, Rows x, int64_t heads, std::span<const float> weight, float eps, Rows out);

// out = (x - mean) / sqrt(variance + eps) * weight + bias, population variance. May run in place.
void LayerNorm(OpContext& context, Rows x, std::span<const float> weight, std::span<const float> bias, float eps,
               Rows out);

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
