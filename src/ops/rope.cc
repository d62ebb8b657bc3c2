#include "ops/rope.h"

#include <cmath>

namespace linnet {

std::vector<float> InverseFrequencies(double theta, double linear_factor, int64_t head_dim,
                                      int64_t rotated_pairs) {
  // The reference forms exponent, power and reciprocal in float32; with positions in the thousands the last
  // bit shows.
  std::vector<float> frequencies(static_cast<size_t>(rotated_pairs));
  for (int64_t i = 0; i < rotated_pairs; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const float power = std::pow(static_cast<float>(theta), exponent);
    frequencies[static_cast<size_t>(i)] = 1.0f / power / static_cast<float>(linear_factor);
  }
  return frequencies;
}

void FillRopeTable(std::span<const float> inverse_frequencies, std::span<const int64_t> positions, Rows cos,
                   Rows sin) {
  for (size_t t = 0; t < positions.size(); ++t) {
    const float position = static_cast<float>(positions[t]);
    for (size_t i = 0; i < inverse_frequencies.size(); ++i) {
      const float angle = position * inverse_frequencies[i];
      cos.row(static_cast<int64_t>(t))[i] = std::cos(angle);
      sin.row(static_cast<int64_t>(t))[i] = std::sin(angle);
    }
  }
}

void Rope(OpContext& context, Rows x, int64_t head_dim, Rows cos, Rows sin) {
  const int64_t heads = x.width / head_dim;
  const int64_t half = head_dim / 2;
  const auto rotate = [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const float* c = cos.row(t);
      const float* s = sin.row(t);
      for (int64_t h = 0; h < heads; ++h) {
        float* low = x.row(t) + h * head_dim;
        float* high = low + half;
        for (int64_t i = 0; i < cos.width; ++i) {
          const float a = low[i], b = high[i];
          low[i] = a * c[i] - b * s[i];
          high[i] = b * c[i] + a * s[i];
        }
      }
    }
  };
  if (x.rows < 8) return rotate(0, x.rows, 0);
  context.pool().For(x.rows, rotate);
}

}  // namespace linnet
