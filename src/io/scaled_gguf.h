// The factors that GGUFs with NVFP4 weights store beside them.
#pragma once

#include <memory>

#include "io/gguf.h"
#include "io/tensor_source.h"

namespace linnet {

// A file in which the product of a matrix `X.weight` is to be multiplied by `X.scale` appears as one whose
// matrices hold that factor, as float32: nothing is lost. `X.input_scale`, which is for activations, is left
// out. Other files come back as they are. Errors: kBadFile (a scale that is no number, or of a packed
// matrix).
Result<std::unique_ptr<TensorSource>> WithScales(std::unique_ptr<Gguf> file);

}  // namespace linnet
