#include "model/file_format.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr FileFormat kFormats[] = {
    {"iq4_xs", Dtype::kIq4Xs, Dtype::kQ6K, false}, {"mxfp4", Dtype::kMxfp4, Dtype::kQ8_0, false},
    {"iq4_nl", Dtype::kIq4Nl, Dtype::kQ6K, false}, {"nvfp4", Dtype::kNvfp4, Dtype::kQ8_0, false},
    {"q4_0", Dtype::kQ4_0, Dtype::kQ6K, false},    {"q4_k", Dtype::kQ4K, Dtype::kQ4K, false},
    {"q4_k_m", Dtype::kQ4K, Dtype::kQ6K, true},    {"q4_1", Dtype::kQ4_1, Dtype::kQ4_1, false},
    {"q5_0", Dtype::kQ5_0, Dtype::kQ5_0, false},   {"q5_k", Dtype::kQ5K, Dtype::kQ5K, false},
    {"q5_1", Dtype::kQ5_1, Dtype::kQ5_1, false},   {"q6_k", Dtype::kQ6K, Dtype::kQ6K, false},
    {"q8_0", Dtype::kQ8_0, Dtype::kQ8_0, false},   {"f16", Dtype::kF16, Dtype::kF16, false},
    {"bf16", Dtype::kBf16, Dtype::kBf16, false},   {"f32", Dtype::kF32, Dtype::kF32, false},
};

// The usual Q4_K_M mix of this model (docs/formats.md).
bool HasMoreBits(const ExpectedTensor& tensor, int layers) {
  if (tensor.role != Role::kDown && tensor.role != Role::kV) return false;
  const int eighth = layers / 8;
  return tensor.layer < eighth || tensor.layer >= 7 * eighth || (tensor.layer - eighth) % 3 == 2;
}

}  // namespace

std::span<const FileFormat> FileFormats() { return kFormats; }

std::optional<FileFormat> FileFormatOf(std::string_view name) {
  const auto* format = std::ranges::find(kFormats, name, &FileFormat::name);
  if (format == std::end(kFormats)) return std::nullopt;
  return *format;
}

Dtype FormatIn(const FileFormat& format, const ExpectedTensor& tensor, int layers) {
  if (tensor.shape.size() == 1) return Dtype::kF32;
  Dtype dtype = tensor.role == Role::kEmbedding ? format.embedding : format.matrices;
  if (format.mix && HasMoreBits(tensor, layers)) dtype = Dtype::kQ6K;
  return tensor.shape.back() % GetDtypeInfo(dtype).block_elements == 0 ? dtype : Dtype::kBf16;
}

}  // namespace linnet
