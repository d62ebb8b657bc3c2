#include "ops/elementwise.h"

#include <algorithm>

#include "base/check.h"

namespace linnet {

namespace {

const float* WeightOrNull(std::span<const float> weight, int64_t width) {
  LINNET_CHECK(weight.empty() || static_cast<int64_t>(weight.size()) == width);
  return weight.empty() ? nullptr : weight.data();
}

}  // namespace

void RmsNorm(OpContext& context, Rows x, std::span<const float> weight, float eps, Rows out) {
  const float* w = WeightOrNull(weight, x.width);
  ForRows(context, x, [&](int64_t r) { context.kernels().rms_norm(x.row(r), w, eps, x.width, out.row(r)); });
}

void HeadNorm(OpContext& context, Rows x, int64_t heads, std::span<const float> weight, float eps) {
  const int64_t width = x.width / heads;
  const float* w = WeightOrNull(weight, width);
  ForRows(context, x, [&](int64_t r) {
    for (float* head = x.row(r); head < x.row(r) + heads * width; head += width) {
      context.kernels().rms_norm(head, w, eps, width, head);
    }
  });
}

void LayerNorm(OpContext& context, Rows x, const LayerNormWeights& w, float eps, Rows out) {
  ForRows(context, x, [&](int64_t r) {
    context.kernels().layer_norm(x.row(r), {w.weight.data(), w.bias.data()}, eps, x.width, out.row(r));
  });
}

void GeluMul(OpContext& context, Rows gate, Rows up) {
  ForRows(context, gate,
          [&](int64_t r) { context.kernels().gelu_mul(gate.row(r), up.row(r), gate.width, gate.row(r)); });
}

void AddScaled(OpContext& context, Rows x, Rows y, float factor) {
  ForRows(context, x, [&](int64_t r) {
    float* a = x.row(r);
    const float* b = y.row(r);
    for (int64_t i = 0; i < x.width; ++i) a[i] = (a[i] + b[i]) * factor;
  });
}

void CopyRows(OpContext& context, Rows x, Rows out) {
  ForRows(context, x, [&](int64_t r) { std::copy(x.row(r), x.row(r) + x.width, out.row(r)); });
}

void AddBias(OpContext& context, Rows x, std::span<const float> bias) {
  ForRows(context, x, [&](int64_t r) {
    float* a = x.row(r);
    for (int64_t i = 0; i < x.width; ++i) a[i] += bias[static_cast<size_t>(i)];
  });
}

void Softcap(OpContext& context, Rows x, float cap) {
  // A single row of a large vocabulary is long: share out pieces of it. Lanes are independent, so any cut is
  // exact.
  constexpr int64_t kPiece = 16384;
  const int64_t pieces = (x.width + kPiece - 1) / kPiece;
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % pieces * kPiece;
      context.kernels().softcap(x.row(i / pieces) + first, cap, std::min(kPiece, x.width - first));
    }
  };
  context.pool().For(x.rows * pieces, range, x.rows * x.width * 8);
}

}  // namespace linnet
