// From stored rows to panels of sixteen outputs. All sixteen rows are read forward side by side, a block at a
// time, and the panel is written forward, so that memory sets the pace. The layouts are those of
// kernels/panel_formats.inc and of kPackedLayout: a change needs another name there.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "kernels/kernels.h"
#include "ops/matrix.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

// What rows that are not there read: longer than any block.
constexpr std::array<uint8_t, 256> kZeros{};

// Sixteen rows being read forward.
struct SourceRows {
  std::array<const uint8_t*, kPanel> at;
  int count;  // the rest stand at kZeros and stay there

  void Advance(int64_t bytes) {
    for (int r = 0; r < count; ++r) at[static_cast<size_t>(r)] += bytes;
  }
};

SourceRows RowsOf(std::span<const uint8_t> bytes, int64_t row_bytes) {
  const int64_t count = static_cast<int64_t>(bytes.size()) / row_bytes;
  LINNET_CHECK(count >= 1 && count <= kPanel);
  SourceRows rows{{}, static_cast<int>(count)};
  rows.at.fill(kZeros.data());
  for (int64_t r = 0; r < count; ++r) rows.at[static_cast<size_t>(r)] = bytes.data() + r * row_bytes;
  return rows;
}

// Copies kBytes at `offset` of every row as vectors of kWord bytes a row. The sizes are known to the
// compiler, which makes of it a few moves instead of calls.
template <int kWord, int kBytes = kWord>
void Interleave(const SourceRows& rows, int64_t offset, uint8_t* out) {
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* row = rows.at[static_cast<size_t>(r)] + offset;
    for (int i = 0; i < kBytes; i += kWord) std::memcpy(out + i * kPanel + r * kWord, row + i, kWord);
  }
}

template <int kBytes>
void InterleaveQuants(const SourceRows& rows, int64_t offset, uint8_t* out) {
  Interleave<kGroup, kBytes>(rows, offset, out);
}

// Bits i, i + 4, … i + 28 of a word as a byte.
uint32_t EveryFourthBit(uint32_t bits, int i) {
  uint32_t x = (bits >> i) & 0x11111111u;
  x = (x | x >> 3) & 0x03030303u;
  x = (x | x >> 6) & 0x000f000fu;
  return (x | x >> 12) & 0xffu;
}

// The fifth bits of 32 inputs: from bit j of a word to bit j / 4 of byte j % 4, so that a shift and a mask
// give the bits of four neighbouring inputs.
void InterleaveFifthBits(const SourceRows& rows, int64_t offset, uint8_t* out) {
  for (int r = 0; r < kPanel; ++r) {
    uint32_t bits;
    std::memcpy(&bits, rows.at[static_cast<size_t>(r)] + offset, sizeof(bits));
    for (int i = 0; i < kGroup; ++i) out[kGroup * r + i] = static_cast<uint8_t>(EveryFourthBit(bits, i));
  }
}

// Six-bit scales and minima of eight sub-blocks (layout of Q4_K and Q5_K), a byte each.
void InterleaveScales(const SourceRows& rows, uint8_t* out) {
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* s = rows.at[static_cast<size_t>(r)] + 4;
    for (int b = 0; b < 8; ++b) {
      const int scale = b < 4 ? s[b] & 63 : (s[b + 4] & 15) | ((s[b - 4] >> 6) << 4);
      const int min = b < 4 ? s[b + 4] & 63 : (s[b + 4] >> 4) | ((s[b] >> 6) << 4);
      out[kPanel * b + r] = static_cast<uint8_t>(scale);
      out[128 + kPanel * b + r] = static_cast<uint8_t>(min);
    }
  }
}

void PackQ6K(const SourceRows& rows, uint8_t* out) {
  Interleave<2>(rows, 208, out);
  Interleave<1, 16>(rows, 192, out + 32);
  for (int half = 0; half < 2; ++half) {
    InterleaveQuants<64>(rows, 64 * half, out + 288 + 1536 * half);
    InterleaveQuants<32>(rows, 128 + 32 * half, out + 288 + 1536 * half + 1024);
  }
}

void PackQ8_0(const SourceRows& rows, uint8_t* out) {
  Interleave<2>(rows, 0, out);
  InterleaveQuants<32>(rows, 2, out + 32);
  for (int i = 0; i < 512; ++i) out[32 + i] ^= 0x80;
}

// Of IQ4_XS: eight scales of six bits, 32 more than the signed numbers, as bytes.
void PackIq4Xs(const SourceRows& rows, uint8_t* out) {
  Interleave<2>(rows, 0, out);
  for (int r = 0; r < kPanel; ++r) {
    const uint8_t* block = rows.at[static_cast<size_t>(r)];
    for (int b = 0; b < 8; ++b) {
      const int low = block[4 + b / 2] >> (4 * (b % 2)) & 15, high = block[2 + b / 4] >> (2 * (b % 4)) & 3;
      out[32 + kPanel * b + r] = static_cast<uint8_t>((low | high << 4) - 32);
    }
  }
  for (int b = 0; b < 8; ++b) InterleaveQuants<16>(rows, 8 + 16 * b, out + 160 + 256 * b);
}

// Scales that are no numbers count as zero, and none has a sign.
void PackNvfp4(const SourceRows& rows, uint8_t* out) {
  Interleave<1, 4>(rows, 0, out);
  for (int i = 0; i < 64; ++i) out[i] = (out[i] & 127) == 127 ? 0 : out[i] & 127;
  InterleaveQuants<32>(rows, 4, out + 64);
}

// One block of sixteen rows.
template <PanelFormat kFormat>
void PackBlock(const SourceRows& rows, uint8_t* out) {
  if constexpr (kFormat == PanelFormat::kQ6K) return PackQ6K(rows, out);
  if constexpr (kFormat == PanelFormat::kQ8_0) return PackQ8_0(rows, out);
  if constexpr (kFormat == PanelFormat::kIq4Xs) return PackIq4Xs(rows, out);
  if constexpr (kFormat == PanelFormat::kNvfp4) return PackNvfp4(rows, out);
  if constexpr (kFormat == PanelFormat::kMxfp4) {
    Interleave<1>(rows, 0, out);
    return InterleaveQuants<16>(rows, 1, out + 16);
  }
  Interleave<2>(rows, 0, out);
  if constexpr (kFormat == PanelFormat::kQ4_0 || kFormat == PanelFormat::kIq4Nl) {
    InterleaveQuants<16>(rows, 2, out + 32);
  } else if constexpr (kFormat == PanelFormat::kQ4_1) {
    Interleave<2>(rows, 2, out + 32);
    InterleaveQuants<16>(rows, 4, out + 64);
  } else if constexpr (kFormat == PanelFormat::kQ5_0) {
    InterleaveFifthBits(rows, 2, out + 32);
    InterleaveQuants<16>(rows, 6, out + 96);
  } else if constexpr (kFormat == PanelFormat::kQ5_1) {
    Interleave<2>(rows, 2, out + 32);
    InterleaveFifthBits(rows, 4, out + 64);
    InterleaveQuants<16>(rows, 8, out + 128);
  } else if constexpr (kFormat == PanelFormat::kQ4K) {
    Interleave<2>(rows, 2, out + 32);
    InterleaveScales(rows, out + 64);
    InterleaveQuants<128>(rows, 16, out + 320);
  } else if constexpr (kFormat == PanelFormat::kQ5K) {
    Interleave<2>(rows, 2, out + 32);
    InterleaveScales(rows, out + 64);
    InterleaveQuants<32>(rows, 16, out + 320);
    InterleaveQuants<128>(rows, 48, out + 832);
  }
}

struct PanelShape {
  int64_t blocks;       // a row
  int64_t row_bytes;    // a block of a row
  int64_t panel_bytes;  // a block of sixteen
};

template <PanelFormat kFormat>
void PackBlocks(SourceRows rows, const PanelShape& shape, uint8_t* out) {
  for (int64_t b = 0; b < shape.blocks; ++b) {
    PackBlock<kFormat>(rows, out + b * shape.panel_bytes);
    rows.Advance(shape.row_bytes);
  }
}

// Elements [first, first + n) of the rows, n at most kTile.
constexpr int64_t kTile = 16;

template <typename T>
void PackTile(const SourceRows& rows, int64_t n, T* out) {
  T tile[kPanel][kTile];
  for (int r = 0; r < kPanel; ++r)
    std::memcpy(tile[r], rows.at[static_cast<size_t>(r)], static_cast<size_t>(n) * sizeof(T));
  for (int64_t i = 0; i < n; ++i) {
    for (int r = 0; r < kPanel; ++r) out[i * kPanel + r] = tile[r][i];
  }
}

template <typename T>
void PackPlain(SourceRows rows, int64_t k, T* out) {
  int64_t i = 0;
  for (; i + kTile <= k; i += kTile) {
    PackTile(rows, kTile, out + i * kPanel);
    rows.Advance(kTile * static_cast<int64_t>(sizeof(T)));
  }
  if (i < k) PackTile(rows, k - i, out + i * kPanel);
}

void PackDecoded(Dtype dtype, const SourceRows& rows, int64_t k, float* out) {
  std::vector<float> values(static_cast<size_t>(k * rows.count));
  for (int r = 0; r < rows.count; ++r) {
    DecodeRow(dtype, rows.at[static_cast<size_t>(r)],
              std::span(values).subspan(static_cast<size_t>(r * k), static_cast<size_t>(k)));
  }
  const std::span bytes(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float));
  PackPlain(RowsOf(bytes, k * static_cast<int64_t>(sizeof(float))), k, out);
}

std::vector<uint8_t> Recoded(Dtype dtype, Dtype held, std::span<const uint8_t> rows, int64_t k) {
  const size_t elements = rows.size() / RowBytes(dtype, static_cast<uint64_t>(k)) * static_cast<size_t>(k);
  std::vector<uint8_t> recoded(RowBytes(held, elements));
  RecodeRow(dtype, rows.data(), elements, recoded.data());
  return recoded;
}

}  // namespace

void PackRows(Dtype dtype, std::span<const uint8_t> bytes, PanelFormat format, int64_t k, uint8_t* out) {
  if (const Dtype held = GetDtypeInfo(dtype).held; held != dtype && format != PanelFormat::kF32) {
    return PackRows(held, Recoded(dtype, held, bytes, k), format, k, out);
  }
  const SourceRows rows = RowsOf(bytes, static_cast<int64_t>(RowBytes(dtype, static_cast<uint64_t>(k))));
  const DtypeInfo& info = GetDtypeInfo(dtype);
  const PanelShape shape{k / info.block_elements, info.block_bytes, info.panel_bytes};
  switch (format) {
    case PanelFormat::kF32:
      if (dtype != Dtype::kF32) return PackDecoded(dtype, rows, k, reinterpret_cast<float*>(out));
      return PackPlain(rows, k, reinterpret_cast<float*>(out));
    case PanelFormat::kF16:
    case PanelFormat::kBf16:
      return PackPlain(rows, k, reinterpret_cast<uint16_t*>(out));
    case PanelFormat::kQ4_0:
      return PackBlocks<PanelFormat::kQ4_0>(rows, shape, out);
    case PanelFormat::kQ4_1:
      return PackBlocks<PanelFormat::kQ4_1>(rows, shape, out);
    case PanelFormat::kQ5_0:
      return PackBlocks<PanelFormat::kQ5_0>(rows, shape, out);
    case PanelFormat::kQ5_1:
      return PackBlocks<PanelFormat::kQ5_1>(rows, shape, out);
    case PanelFormat::kQ8_0:
      return PackBlocks<PanelFormat::kQ8_0>(rows, shape, out);
    case PanelFormat::kQ4K:
      return PackBlocks<PanelFormat::kQ4K>(rows, shape, out);
    case PanelFormat::kQ5K:
      return PackBlocks<PanelFormat::kQ5K>(rows, shape, out);
    case PanelFormat::kQ6K:
      return PackBlocks<PanelFormat::kQ6K>(rows, shape, out);
    case PanelFormat::kIq4Nl:
      return PackBlocks<PanelFormat::kIq4Nl>(rows, shape, out);
    case PanelFormat::kIq4Xs:
      return PackBlocks<PanelFormat::kIq4Xs>(rows, shape, out);
    case PanelFormat::kMxfp4:
      return PackBlocks<PanelFormat::kMxfp4>(rows, shape, out);
    case PanelFormat::kNvfp4:
      return PackBlocks<PanelFormat::kNvfp4>(rows, shape, out);
  }
}

void PackPanel(Dtype dtype, std::span<const uint8_t> rows, int64_t panel, Matrix& out) {
  LINNET_CHECK(panel < PanelCount(out.n));
  PackRows(dtype, rows, out.format, out.k, out.panels.writable() + panel * PanelBytes(out.format, out.k));
}

}  // namespace linnet
