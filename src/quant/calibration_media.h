// Pictures, sounds and videos that a model is calibrated with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/media.h"
#include "runtime/prompt.h"

namespace linnet {

// Tokens of a prompt with media at most: what is longer is reduced as `linnet run` does it, and that is told.
inline constexpr int64_t kMediaWindow = 2048;

// Whether a file is one by its content. Errors: kNotFound, kBadFile.
Result<bool> IsMedium(const std::string& path);

// A message of a user with this medium and a question that goes with it. What was reduced is added to
// `notes`. Errors: those of AddMedia; kUnsupported where the model lacks the sense.
Result<Prompt> PromptWithMedium(const Engine& engine, const MediaLoader& loader, const std::string& path,
                                std::vector<std::string>& notes);

}  // namespace linnet
