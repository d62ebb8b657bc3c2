// The one EXIF field that changes what a picture shows.
#pragma once

#include <cstdint>
#include <span>

namespace linnet {

// Orientation 1..8 from an EXIF block: a TIFF header, with or without "Exif\0\0" in front. 1 when the block
// has none or cannot be understood.
int ExifOrientation(std::span<const uint8_t> exif);

}  // namespace linnet
