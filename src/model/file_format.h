// The formats that model files are written in: which of them each matrix has. One table for made-up weights
// and for plans of files that are not there.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "model/tensor_names.h"
#include "tensor/dtype.h"

namespace linnet {

struct FileFormat {
  std::string_view name;  // "q4_0"
  Dtype matrices = Dtype::kF32;
  Dtype embedding =
      Dtype::kF32;   // the table, which is also the head: of more bits where the published files have it so
  bool mix = false;  // q4_k_m: some matrices in q6_k
};

// By the bits of a weight.
std::span<const FileFormat> FileFormats();
std::optional<FileFormat> FileFormatOf(std::string_view name);

// The format of a tensor of the text model with so many layers, in a file of this format. Vectors are
// float32, rows that are no multiple of the block bf16.
Dtype FormatIn(const FileFormat& format, const ExpectedTensor& tensor, int layers);

}  // namespace linnet
