// Private to src/media: one decoder per format. Messages name no file; DecodePicture puts the name in front.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "media/picture.h"

namespace linnet::media_internal {

struct Decoded {
  Picture picture;
  int orientation = 1;  // EXIF value 1..8, not yet applied
};

using Bytes = std::span<const uint8_t>;

Result<Decoded> DecodePng(Bytes bytes, const PictureOptions& options);
Result<Decoded> DecodeJpeg(Bytes bytes, const PictureOptions& options);
Result<Decoded> DecodeWebp(Bytes bytes, const PictureOptions& options);
Result<Decoded> DecodeGif(Bytes bytes, const PictureOptions& options);
Result<Decoded> DecodeBmp(Bytes bytes, const PictureOptions& options);
Result<Decoded> DecodeTiff(Bytes bytes, const PictureOptions& options);
Result<Decoded> DecodeHeif(Bytes bytes, const PictureOptions& options);  // HEIC, AVIF

// Refuses sides of 0 and pictures beyond the limits.
Status CheckPictureSize(uint64_t width, uint64_t height, const PictureOptions& options);

// The file ends before its picture does.
std::unexpected<Error> EndsEarly(std::string_view format, size_t bytes);
// Intact data of a kind that its library does not read; `what` begins with an article.
std::unexpected<Error> NotSupported(std::string_view what);
std::unexpected<Error> Damaged(std::string_view format, std::string_view detail);

// CMYK to RGB as Pillow does it: k = 255 - K, R = k - C*k/255 (rounded).
void CmykToRgb(const uint8_t* cmyk, int64_t pixels, uint8_t* rgb);

// Swaps, turns and mirrors as EXIF orientation 2..8 says; 1 and anything else leaves the picture as it is.
void ApplyOrientation(int orientation, Picture& picture);

}  // namespace linnet::media_internal
