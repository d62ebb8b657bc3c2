// Number formats of stored tensors. A format is a row in a table: block size, bytes a block, name, ids in
// files. The scalar decode in block_format.h is the definition of what the bytes mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace linnet {

enum class Dtype : uint8_t {
  kF32,
  kF16,
  kBf16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4K,
  kQ5K,
  kQ6K,
  kQ2K,
  kQ3K,
  kIq2Xxs,
  kIq2Xs,
  kIq2S,
  kIq3Xxs,
  kIq3S,
  kIq1S,
  kIq1M,
  kIq4Nl,
  kIq4Xs,
  kTq1,
  kTq2,
  kMxfp4,
  kNvfp4,
  kQ1_0,
  kQ2_0,
  kF8E4m3,
  // Whole numbers from here on: no weights.
  kI8,
  kU8,
  kU32,
  kI32,
  kI64
};
inline constexpr int kDtypeCount = 34;
inline constexpr bool IsWholeNumbers(Dtype dtype) { return dtype >= Dtype::kI8; }

// The name, in packed files, of the panels of sixteen rows that the kernels read (kernels/panel_formats.inc).
// Every instruction set reads the same ones. It must change with them: files of an unknown layout are
// refused.
inline constexpr std::string_view kPackedLayout = "panels16-1";

struct DtypeInfo {
  Dtype dtype;
  std::string_view name;  // "q4_0"
  int block_elements;     // consecutive elements of a row that share a block; 1 for plain types
  int block_bytes;        // bytes a block
  int panel_bytes;  // bytes a block of sixteen rows packed for the kernels (ops/matrix.h); 0 if it cannot be
  int ggml_type;    // id in GGUF, -1 if it has none
  std::string_view safetensors;  // dtype in safetensors, empty if it has none
  // What a matrix of it is held as in memory: itself where kernels multiply it, else the smallest format with
  // kernels that loses nothing whatever the blocks hold.
  Dtype held;
};

const DtypeInfo& GetDtypeInfo(Dtype dtype);
std::optional<Dtype> DtypeFromName(std::string_view name);
std::optional<Dtype> DtypeFromGgml(uint32_t ggml_type);
// What ggml calls a type, also those that are not read here; empty where the number means nothing.
std::string_view GgmlTypeName(uint32_t ggml_type);
std::optional<Dtype> DtypeFromSafetensors(std::string_view name);

// Bytes of a row of `elements`; REQUIRES: elements is a multiple of the block and small enough not to
// overflow.
inline uint64_t RowBytes(Dtype dtype, uint64_t elements) {
  const DtypeInfo& info = GetDtypeInfo(dtype);
  return elements / static_cast<uint64_t>(info.block_elements) * static_cast<uint64_t>(info.block_bytes);
}

}  // namespace linnet
