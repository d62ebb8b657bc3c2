// Media as a file of a session keeps them: a shape in JSON, and the bytes of their arrays one after another.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "linnet/error.h"
#include "runtime/prompt.h"

namespace linnet {

// {"kind": "image", …}: how many of what the bytes are.
nlohmann::ordered_json ShapeOf(const MediaInput& medium);
// Calls `visit` with each array of a medium.
void ForArrays(const MediaInput& medium, const std::function<void(std::span<const uint8_t>)>& visit);
// ContentHash(); of a video that of its frames' and of their times.
std::string HashOf(const MediaInput& medium);

// What ShapeOf() and ForArrays() gave. Errors, kBadFile: they do not belong together.
Result<MediaInput> MediumOf(const nlohmann::ordered_json& shape, std::span<const uint8_t> bytes);

// Soft tokens of a picture or a video by its shape; 0 for a sound, whose number depends on the model.
int64_t SoftTokensOf(const nlohmann::ordered_json& shape);

}  // namespace linnet
