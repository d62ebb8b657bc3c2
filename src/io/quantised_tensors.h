// The one place that knows how quantised safetensors checkpoints store a matrix: MLX, compressed-tensors
// (with ModelOpt and fp8), GPTQ, AWQ (docs/formats.md). Their matrices appear as ordinary tensors `X.weight`:
// in the smallest format with kernels that holds every value, else as bfloat16 or float32. No value is
// rounded.
#pragma once

#include <memory>

#include "io/quantisation.h"
#include "io/safetensors.h"
#include "io/tensor_source.h"

namespace linnet {

// A file that is not quantised comes back as it is. Errors: kBadFile, kUnsupported; the message names the
// module or tensor.
Result<std::unique_ptr<TensorSource>> Dequantised(std::unique_ptr<Safetensors> file,
                                                  const Quantisation& quantisation);

}  // namespace linnet
