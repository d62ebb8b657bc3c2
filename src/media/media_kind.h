// What a file is by its first bytes, where a person does not say.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "linnet/error.h"

namespace linnet {

enum class MediaKind { kUnknown, kPicture, kSound, kVideo };

// Containers that hold both (MP4, WebM, Ogg …) count as what they usually are: a video may turn out to have
// no frames.
MediaKind GuessMediaKind(std::span<const uint8_t> start);
// Errors: kNotFound, kBadFile (not a readable file).
Result<MediaKind> GuessMediaKind(const std::filesystem::path& file);

}  // namespace linnet
