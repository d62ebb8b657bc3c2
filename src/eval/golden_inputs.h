// Private to src/eval: the inputs of reference data are checked here before anything is computed with them.
#pragma once

#include <cstdint>
#include <string>

#include "eval/golden_file.h"
#include "linnet/error.h"
#include "model/config.h"

namespace linnet {

// A tensor of whole numbers in [0, below) or of finite floats. `elements` < 0: any number but none. Errors:
// kBadFile, naming the tensor and what is wrong with it.
Result<const GoldenTensor*> NeedIntegers(const GoldenFile& golden, const std::string& name, int64_t elements,
                                         int64_t below);
Result<const GoldenTensor*> NeedFloats(const GoldenFile& golden, const std::string& name, int64_t elements);

// What a case of model/cases.json gives to a model of this configuration: ids, types, chunk, pictures, sound,
// and the tokens it expects.
Status CheckInputs(const GoldenFile& golden, const ModelConfig& config);

}  // namespace linnet
