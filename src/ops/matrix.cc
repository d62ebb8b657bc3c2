#include "ops/matrix.h"

#include <cstring>

#include "base/bf16.h"
#include "base/check.h"
#include "kernels/dispatch.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

float PlainValue(PanelFormat format, const uint8_t* panel, int64_t index) {
  uint16_t half;
  if (format != PanelFormat::kF32) std::memcpy(&half, panel + 2 * index, sizeof(half));
  switch (format) {
    case PanelFormat::kF16:
      return HalfToFloat(half);
    case PanelFormat::kBf16:
      return Bf16ToFloat(half);
    default: {
      float value;
      std::memcpy(&value, panel + 4 * index, sizeof(value));
      return value;
    }
  }
}

}  // namespace

std::optional<PanelFormat> PanelFormatOf(Dtype dtype) {
  switch (GetDtypeInfo(dtype).held) {
    case Dtype::kF32:
      return PanelFormat::kF32;
    case Dtype::kF16:
      return PanelFormat::kF16;
    case Dtype::kBf16:
      return PanelFormat::kBf16;
    case Dtype::kQ4_0:
      return PanelFormat::kQ4_0;
    case Dtype::kQ4_1:
      return PanelFormat::kQ4_1;
    case Dtype::kQ5_0:
      return PanelFormat::kQ5_0;
    case Dtype::kQ5_1:
      return PanelFormat::kQ5_1;
    case Dtype::kQ8_0:
      return PanelFormat::kQ8_0;
    case Dtype::kQ4K:
      return PanelFormat::kQ4K;
    case Dtype::kQ5K:
      return PanelFormat::kQ5K;
    case Dtype::kQ6K:
      return PanelFormat::kQ6K;
    case Dtype::kIq4Nl:
      return PanelFormat::kIq4Nl;
    case Dtype::kIq4Xs:
      return PanelFormat::kIq4Xs;
    case Dtype::kMxfp4:
      return PanelFormat::kMxfp4;
    case Dtype::kNvfp4:
      return PanelFormat::kNvfp4;
    default:
      return std::nullopt;
  }
}

int64_t PanelBytes(PanelFormat format, int64_t k) {
  const FormatKernels& kernels = ScalarKernels()->formats[static_cast<int>(format)];
  return k / kernels.block_k * kernels.block_bytes;
}

Matrix AllocateMatrix(PanelFormat format, int64_t n, int64_t k) {
  Matrix matrix;
  matrix.format = format;
  matrix.n = n;
  matrix.k = k;
  matrix.panels = PackedPanels(static_cast<size_t>(MatrixBytes(format, n, k)));
  return matrix;
}

Matrix ViewMatrix(PanelFormat format, int64_t n, int64_t k, std::span<const uint8_t> panels) {
  LINNET_CHECK(panels.size() == static_cast<size_t>(MatrixBytes(format, n, k)));
  LINNET_CHECK(reinterpret_cast<uintptr_t>(panels.data()) % kAlignment == 0);
  Matrix matrix;
  matrix.format = format;
  matrix.n = n;
  matrix.k = k;
  matrix.panels = PackedPanels(panels);
  return matrix;
}

void UnpackRow(const Matrix& matrix, int64_t index, std::span<float> out) {
  const uint8_t* panel = matrix.panels.data() + index / kPanel * PanelBytes(matrix.format, matrix.k);
  const int64_t lane = index % kPanel;
  if (!matrix.blocks()) {
    for (int64_t i = 0; i < matrix.k; ++i) {
      out[static_cast<size_t>(i)] = PlainValue(matrix.format, panel, i * kPanel + lane);
    }
    return;
  }
  const FormatKernels& format = Kernels().formats[static_cast<int>(matrix.format)];
  const int64_t group = Kernels().wide_group;
  for (int64_t b = 0; b < matrix.k / kActBlock; ++b) {
    alignas(64) uint8_t bytes[kWideBytes];
    alignas(64) float scales[2 * kPanel];
    alignas(64) float mins[kPanel];
    format.expand(panel, b, {bytes, scales, mins});
    for (int64_t i = 0; i < kActBlock; ++i) {
      const float q = static_cast<float>(bytes[(i / group * kPanel + lane) * group + i % group]) -
                      static_cast<float>(format.zero);
      const float scale = scales[i / (kActBlock / format.scales_per_block) * kPanel + lane];
      const float value = q * scale;
      out[static_cast<size_t>(b * kActBlock + i)] = format.has_min ? value + mins[lane] : value;
    }
  }
}

}  // namespace linnet
