#include "ops/matrix.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/bf16.h"
#include "base/check.h"
#include "kernels/dispatch.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

using RowPointers = std::array<const uint8_t*, kPanel>;  // nullptr for a row that is not there

// Copies `bytes` at `offset` of every row side by side; rows that are not there stay zero.
void Interleave(const RowPointers& rows, int64_t offset, int64_t bytes, uint8_t* out) {
  for (int r = 0; r < kPanel; ++r) {
    if (rows[static_cast<size_t>(r)] != nullptr) {
      std::memcpy(out + r * bytes, rows[static_cast<size_t>(r)] + offset, static_cast<size_t>(bytes));
    }
  }
}

// Sixteen rows of quants as vectors of 4 bytes a row.
void InterleaveQuants(const RowPointers& rows, int64_t offset, int64_t bytes, uint8_t* out) {
  for (int64_t i = 0; i < bytes; i += kGroup) Interleave(rows, offset + i, kGroup, out + i * kPanel);
}

// The fifth bits of 32 inputs: from bit j of a word to bit j / 4 of byte j % 4, so that a shift and a mask give the
// bits of four neighbouring inputs.
void InterleaveFifthBits(const RowPointers& rows, int64_t offset, uint8_t* out) {
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* row = rows[static_cast<size_t>(r)];
    if (row == nullptr) continue;
    uint32_t bits;
    std::memcpy(&bits, row + offset, sizeof(bits));
    for (int j = 0; j < 32; ++j) out[4 * r + j % 4] |= static_cast<uint8_t>(((bits >> j) & 1u) << (j / 4));
  }
}

// Six-bit scales and minima of eight sub-blocks (layout of Q4_K and Q5_K), a byte each.
void InterleaveScales(const RowPointers& rows, uint8_t* out) {
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* row = rows[static_cast<size_t>(r)];
    if (row == nullptr) continue;
    const uint8_t* s = row + 4;
    for (int b = 0; b < 8; ++b) {
      const int scale = b < 4 ? s[b] & 63 : (s[b + 4] & 15) | ((s[b - 4] >> 6) << 4);
      const int min = b < 4 ? s[b + 4] & 63 : (s[b + 4] >> 4) | ((s[b] >> 6) << 4);
      out[kPanel * b + r] = static_cast<uint8_t>(scale);
      out[128 + kPanel * b + r] = static_cast<uint8_t>(min);
    }
  }
}

void PackQ6K(const RowPointers& rows, uint8_t* out) {
  Interleave(rows, 208, 2, out);
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* row = rows[static_cast<size_t>(r)];
    for (int s = 0; s < 16 && row != nullptr; ++s) out[32 + kPanel * s + r] = row[192 + s];
  }
  for (int half = 0; half < 2; ++half) {
    InterleaveQuants(rows, 64 * half, 64, out + 288 + 1536 * half);
    InterleaveQuants(rows, 128 + 32 * half, 32, out + 288 + 1536 * half + 1024);
  }
}

// One block of sixteen rows; the layouts are those of kernels/panel_formats.inc.
void PackBlock(PanelFormat format, const RowPointers& rows, uint8_t* out) {
  switch (format) {
    case PanelFormat::kQ4_0:
      Interleave(rows, 0, 2, out);
      return InterleaveQuants(rows, 2, 16, out + 32);
    case PanelFormat::kQ4_1:
      Interleave(rows, 0, 2, out);
      Interleave(rows, 2, 2, out + 32);
      return InterleaveQuants(rows, 4, 16, out + 64);
    case PanelFormat::kQ5_0:
      Interleave(rows, 0, 2, out);
      InterleaveFifthBits(rows, 2, out + 32);
      return InterleaveQuants(rows, 6, 16, out + 96);
    case PanelFormat::kQ5_1:
      Interleave(rows, 0, 2, out);
      Interleave(rows, 2, 2, out + 32);
      InterleaveFifthBits(rows, 4, out + 64);
      return InterleaveQuants(rows, 8, 16, out + 128);
    case PanelFormat::kQ8_0:
      Interleave(rows, 0, 2, out);
      InterleaveQuants(rows, 2, 32, out + 32);
      for (int i = 0; i < 512; ++i) out[32 + i] ^= 0x80;
      return;
    case PanelFormat::kQ4K:
    case PanelFormat::kQ5K: {
      Interleave(rows, 0, 2, out);
      Interleave(rows, 2, 2, out + 32);
      InterleaveScales(rows, out + 64);
      const bool fifth = format == PanelFormat::kQ5K;
      if (fifth) InterleaveQuants(rows, 16, 32, out + 320);
      return InterleaveQuants(rows, fifth ? 48 : 16, 128, out + (fifth ? 832 : 320));
    }
    case PanelFormat::kQ6K:
      return PackQ6K(rows, out);
    default:
      LINNET_CHECK(false);
  }
}

template <typename T>
void PackPlain(const RowPointers& rows, int64_t k, T* out) {
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* row = rows[static_cast<size_t>(r)];
    if (row == nullptr) continue;
    for (int64_t i = 0; i < k; ++i) std::memcpy(out + i * kPanel + r, row + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  }
}

void PackDecoded(Dtype dtype, const RowPointers& rows, int64_t k, float* out) {
  std::vector<float> values(static_cast<size_t>(k));
  for (int r = 0; r < kPanel; ++r) {
    if (rows[static_cast<size_t>(r)] == nullptr) continue;
    DecodeRow(dtype, rows[static_cast<size_t>(r)], values);
    for (int64_t i = 0; i < k; ++i) out[i * kPanel + r] = values[static_cast<size_t>(i)];
  }
}

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
  switch (dtype) {
    case Dtype::kF32: return PanelFormat::kF32;
    case Dtype::kF16: return PanelFormat::kF16;
    case Dtype::kBf16: return PanelFormat::kBf16;
    case Dtype::kQ4_0: return PanelFormat::kQ4_0;
    case Dtype::kQ4_1: return PanelFormat::kQ4_1;
    case Dtype::kQ5_0: return PanelFormat::kQ5_0;
    case Dtype::kQ5_1: return PanelFormat::kQ5_1;
    case Dtype::kQ8_0: return PanelFormat::kQ8_0;
    case Dtype::kQ4K: return PanelFormat::kQ4K;
    case Dtype::kQ5K: return PanelFormat::kQ5K;
    case Dtype::kQ6K: return PanelFormat::kQ6K;
    default: return std::nullopt;
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
  matrix.panels = AlignedBuffer<uint8_t>(static_cast<size_t>(PanelCount(n) * PanelBytes(format, k)));
  return matrix;
}

void PackPanel(Dtype dtype, std::span<const uint8_t> rows, int64_t panel, Matrix& out) {
  const int64_t row_bytes = static_cast<int64_t>(RowBytes(dtype, static_cast<uint64_t>(out.k)));
  const int64_t count = static_cast<int64_t>(rows.size()) / row_bytes;
  LINNET_CHECK(count >= 1 && count <= kPanel && panel * kPanel + count <= out.n);
  RowPointers pointers{};
  for (int64_t r = 0; r < count; ++r) pointers[static_cast<size_t>(r)] = rows.data() + r * row_bytes;
  uint8_t* data = out.panels.data() + panel * PanelBytes(out.format, out.k);
  const bool decode = out.format == PanelFormat::kF32 && dtype != Dtype::kF32;
  if (decode) return PackDecoded(dtype, pointers, out.k, reinterpret_cast<float*>(data));
  if (out.format == PanelFormat::kF32) return PackPlain(pointers, out.k, reinterpret_cast<float*>(data));
  if (!out.blocks()) return PackPlain(pointers, out.k, reinterpret_cast<uint16_t*>(data));
  const FormatKernels& kernels = ScalarKernels()->formats[static_cast<int>(out.format)];
  const int64_t block_bytes = GetDtypeInfo(dtype).block_bytes;
  for (int64_t b = 0; b < out.k / kernels.block_k; ++b) {
    PackBlock(out.format, pointers, data + b * kernels.block_bytes);
    for (const uint8_t*& pointer : pointers) {
      if (pointer != nullptr) pointer += block_bytes;
    }
  }
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
    format.expand(panel, b, 1, {bytes, scales, mins, 0, 0, 0});
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
