// What a file is by its first bytes, where a person does not say and where it turns out to be something else.
#pragma once

#include <cstdint>
#include <span>

#include "linnet/media.h"

namespace linnet {

// An MP4-like file that holds pictures: HEIC, AVIF and their relatives.
bool IsHeif(std::span<const uint8_t> start);

}  // namespace linnet
