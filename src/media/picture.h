// Pictures from files: PNG, JPEG, WebP, GIF (first frame), BMP, TIFF, HEIC and AVIF as 8-bit RGB, the way the
// reference's preprocessing sees them.
//
//  1. The format is told by the content, never by the name.
//  2. Alpha is dropped, not blended; transparent colour keys, gAMA and colour profiles are ignored.
//  3. 16-bit samples keep their high byte, grey ones too. (The reference clips grey at 255: nearly all
//     white.)
//  4. Sizes are checked against the limit, and where a format bounds its compression also against the length
//     of the file, before memory is taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "linnet/error.h"
#include "linnet/media.h"

namespace linnet {

struct PictureOptions {
  // Turns and mirrors the picture as its EXIF orientation says, as a photograph needs. Off: pixels as stored,
  // what the reference does with a path.
  bool apply_orientation = true;
  // 200 million pixels are the largest phone sensors; 3 bytes each are held while decoding.
  int64_t max_pixels = 200'000'000;
};

// No side may be longer, whatever the number of pixels.
inline constexpr int64_t kMaxPictureSide = 1'000'000;

// `name` is for messages only. Errors: kBadFile (not a picture, damaged, ends early), kUnsupported (a kind of
// picture that Linnet cannot read, or too large), kOutOfMemory.
Result<Picture> DecodePicture(std::span<const uint8_t> bytes, std::string_view name,
                              const PictureOptions& options = {});

// The same for a file; also kNotFound.
Result<Picture> LoadPicture(const std::filesystem::path& path, const PictureOptions& options = {});

// Loads the parts of the picture libraries that they would open later as files of their own; for a process
// that gives up the right to open files.
void PreparePictureLibraries();

}  // namespace linnet
