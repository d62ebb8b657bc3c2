// Scalar encode and decode of every number format: the definition all kernels are tested against.
// Layouts and the order of float32 operations: GGUF block formats (docs/formats.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace linnet {

// Decodes `out.size()` elements from the start of `blocks`. REQUIRES: out.size() is a multiple of the block
// size and `blocks` holds RowBytes(dtype, out.size()) bytes; dtype is not an integer type.
void DecodeRow(Dtype dtype, const uint8_t* blocks, std::span<float> out);

// The same values in the format that GetDtypeInfo(dtype).held names, without loss: `out` gets
// RowBytes(held, elements) bytes. REQUIRES: elements is a multiple of the block size; `held` is another
// format.
void RecodeRow(Dtype dtype, const uint8_t* blocks, size_t elements, uint8_t* out);

// Encodes with the reference quantiser. REQUIRES: dtype is one of f32, f16, bf16, q8_0, q4_0 (CanEncode).
void EncodeRow(Dtype dtype, std::span<const float> values, uint8_t* blocks);
bool CanEncode(Dtype dtype);

}  // namespace linnet
