// The case with the 12B's dimensions: weights from a hash of their names, final outputs only.
#pragma once

#include <filesystem>

#include "eval/parity.h"

namespace linnet {

// model/large.json and large.safetensors; does nothing where they are absent.
Status RunLargeCase(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink);

}  // namespace linnet
