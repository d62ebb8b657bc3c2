// The exact shape of a model with made-up numbers, for measuring speed and memory.
#pragma once

#include <memory>
#include <string_view>

#include "io/tensor_source.h"
#include "linnet/error.h"
#include "model/config.h"
#include "model/generated_source.h"

namespace linnet {

struct SyntheticModel {
  ModelConfig config;
  std::unique_ptr<TensorSource> source;
  uint64_t file_bytes = 0;  // what a file of these tensors would hold
};

// `spec` is SHAPE[@LAYERS]:FORMAT, for instance "12b:q4_0", "12b@6:q4_k_m". Shapes: 12b. Formats: every
// format of tensor/dtype.h for all matrices (q4_0 with the embedding in q6_k, as the published files have it)
// and q4_k_m, the usual mix. `multimodal` adds the vision and audio embedders.
Result<SyntheticModel> MakeSynthetic(std::string_view spec, bool multimodal);

struct SyntheticDrafter {
  DrafterConfig config;
  std::unique_ptr<TensorSource> source;
};

// The drafter of the published size for the same spec; every matrix in the spec's format, as the published
// files have it (q4_k for q4_k_m).
Result<SyntheticDrafter> MakeSyntheticDrafter(std::string_view spec);

}  // namespace linnet
