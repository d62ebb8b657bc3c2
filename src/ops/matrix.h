// Weights in the layout the kernels read: panels of sixteen outputs (kernels/kernels.h). Repacked once at load.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/aligned.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace linnet {

// A matrix (N, K): N outputs, K inputs.
struct Matrix {
  PanelFormat format = PanelFormat::kF32;
  int64_t n = 0;
  int64_t k = 0;
  AlignedBuffer<uint8_t> panels;

  bool empty() const { return n == 0; }
  bool blocks() const { return format >= kFirstBlockFormat; }
};

// The packed form of a stored format; nothing for integer types.
std::optional<PanelFormat> PanelFormatOf(Dtype dtype);
int64_t PanelBytes(PanelFormat format, int64_t k);
inline int64_t PanelCount(int64_t n) { return (n + kPanel - 1) / kPanel; }

// Room for a matrix, zeroed; `panels` is empty when the system has no memory.
Matrix AllocateMatrix(PanelFormat format, int64_t n, int64_t k);

// Packs up to sixteen consecutive rows, stored one after another in `dtype`, as panel `panel` of `out`; missing rows
// of the last panel become zero. If `out` is float32 and `dtype` is not, the values are decoded.
// REQUIRES: `rows` holds whole rows of out.k elements; out.format is PanelFormatOf(dtype) or kF32.
void PackPanel(Dtype dtype, std::span<const uint8_t> rows, int64_t panel, Matrix& out);

// Row `index` as float32, bit for bit what tensor/block_format.h decodes. out has K elements.
void UnpackRow(const Matrix& matrix, int64_t index, std::span<float> out);

}  // namespace linnet
