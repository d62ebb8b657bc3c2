// Antialiased bicubic resize of 8-bit RGB, bit for bit what torchvision's functional resize gives on a uint8
// tensor.
#pragma once

#include <cstdint>

#include "media/picture.h"

namespace linnet {

// REQUIRES: both sizes are at least 1 and at most kMaxPictureSide; `picture` holds width * height * 3 values.
// Keeps format and note.
Picture Resize(const Picture& picture, int64_t height, int64_t width);

}  // namespace linnet
