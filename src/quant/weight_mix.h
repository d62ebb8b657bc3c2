// Which number format each matrix of a file gets: the mixes that people know by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/block_search.h"
#include "tensor/dtype.h"

namespace linnet {

struct WeightMix {
  std::string_view name;  // "q4_k_m"
  Dtype bulk = Dtype::kBf16;
  Dtype table = Dtype::kBf16;  // the embedding, which is also the head
  uint32_t file_type = 0;      // general.file_type of the ecosystem
};

// How the matrices of a Hugging Face directory are stored.
struct DirectoryForm {
  std::string_view name;  // "mlx-4bit-g64"
  bool mlx = false;       // MLX's affine mode; else compressed-tensors' pack-quantized
  GroupFormat groups;
};

std::span<const DirectoryForm> DirectoryForms();
const DirectoryForm* DirectoryFormOf(std::string_view name);  // nullptr if there is none

// By the bits of a weight.
std::span<const WeightMix> Mixes();
const WeightMix* MixOf(std::string_view name);  // nullptr if there is none

// The formats of matrices by their names in GGUF, in file order. `importance`: they will be chosen with it,
// which changes some.
std::vector<Dtype> TypesIn(const WeightMix& mix, std::span<const std::string> names, bool importance);

// The format that stands in for `dtype` where rows are no multiple of its block: the next larger with blocks
// of 32, then bf16.
Dtype TypeForRow(Dtype dtype, int64_t row);

}  // namespace linnet
