// Weights in the layout the kernels read: panels of sixteen outputs (kernels/kernels.h). Repacked once at
// load.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/aligned.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace linnet {

// The bytes of panels: owned, or a view of a mapped file. The kernels ask up to 5 KiB beyond the end for
// prefetching, which no page needs to back.
class PackedPanels {
 public:
  PackedPanels() = default;
  explicit PackedPanels(size_t bytes) : owned_(bytes), view_(owned_.data(), owned_.size()) {}
  // `view` must outlive this.
  explicit PackedPanels(std::span<const uint8_t> view) : view_(view) {}

  const uint8_t* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  size_t bytes() const { return view_.size(); }
  // REQUIRES: they are owned.
  uint8_t* writable() { return owned_.data(); }

 private:
  AlignedBuffer<uint8_t> owned_;
  std::span<const uint8_t> view_;  // of all bytes, whoever owns them; moving keeps the address
};

// A matrix (N, K): N outputs, K inputs.
struct Matrix {
  PanelFormat format = PanelFormat::kF32;
  int64_t n = 0;
  int64_t k = 0;
  PackedPanels panels;

  bool empty() const { return n == 0; }
  bool blocks() const { return format >= kFirstBlockFormat; }
};

// The packed form of a stored format: of one without kernels, of what it is held as (tensor/dtype.h); nothing
// for whole numbers.
std::optional<PanelFormat> PanelFormatOf(Dtype dtype);
int64_t PanelBytes(PanelFormat format, int64_t k);
inline int64_t PanelCount(int64_t n) { return (n + kPanel - 1) / kPanel; }
inline int64_t MatrixBytes(PanelFormat format, int64_t n, int64_t k) {
  return PanelCount(n) * PanelBytes(format, k);
}

// Room for a matrix, zeroed. Throws std::bad_alloc.
Matrix AllocateMatrix(PanelFormat format, int64_t n, int64_t k);

// A matrix that lies packed somewhere else, which must outlive it.
// REQUIRES: `panels` is exactly that long and begins at a multiple of kAlignment.
Matrix ViewMatrix(PanelFormat format, int64_t n, int64_t k, std::span<const uint8_t> panels);

// Packs up to sixteen consecutive rows of k elements, stored one after another in `dtype`, as the
// PanelBytes(format, k) bytes at `out`; missing rows become zero. If `format` is float32 and `dtype` is not,
// the values are decoded. REQUIRES: `rows` holds whole rows; `format` is PanelFormatOf(dtype) or kF32.
void PackRows(Dtype dtype, std::span<const uint8_t> rows, PanelFormat format, int64_t k, uint8_t* out);
// The same as panel `panel` of `out`, which owns its panels.
void PackPanel(Dtype dtype, std::span<const uint8_t> rows, int64_t panel, Matrix& out);

// Row `index` as float32, bit for bit what tensor/block_format.h decodes. out has K elements.
void UnpackRow(const Matrix& matrix, int64_t index, std::span<float> out);

}  // namespace linnet
