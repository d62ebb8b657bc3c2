// WebP through libwebp. An animation gives its first frame on a transparent canvas.
#include <cstring>
#include <memory>

#include <webp/decode.h>
#include <webp/demux.h>

#include "media/exif.h"
#include "media/picture_formats.h"

namespace linnet::media_internal {
namespace {

// EXIF is a RIFF chunk, usually the last.
int FindOrientation(Bytes bytes) {
  size_t at = 12;  // "RIFF" size "WEBP"
  while (at <= bytes.size() && bytes.size() - at >= 8) {
    const size_t length = bytes[at + 4] | static_cast<size_t>(bytes[at + 5]) << 8 |
                          static_cast<size_t>(bytes[at + 6]) << 16 | static_cast<size_t>(bytes[at + 7]) << 24;
    if (length > bytes.size() - at - 8) return 1;
    if (std::memcmp(&bytes[at], "EXIF", 4) == 0) return ExifOrientation(bytes.subspan(at + 8, length));
    at += 8 + length + (length & 1);
  }
  return 1;
}

// The RIFF header says how long the file is meant to be.
bool CutOff(Bytes bytes) {
  const uint64_t riff = bytes[4] | static_cast<uint64_t>(bytes[5]) << 8 |
                        static_cast<uint64_t>(bytes[6]) << 16 | static_cast<uint64_t>(bytes[7]) << 24;
  return riff + 8 > bytes.size();
}

std::unexpected<Error> DecodingFailed(Bytes bytes) {
  if (CutOff(bytes)) return EndsEarly("WebP", bytes.size());
  return Damaged("WebP", "the decoder cannot read it");
}

Status DecodeAnimation(Bytes bytes, Picture& picture) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0)
    return Fail(ErrorCode::kInternal, "libwebp has another version");
  options.color_mode = MODE_RGBA;
  const WebPData data = {bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  uint8_t* rgba = nullptr;
  int timestamp = 0;
  if (decoder == nullptr || WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp) == 0) {
    return DecodingFailed(bytes);
  }
  for (int64_t i = 0; i < picture.width * picture.height; ++i)
    std::memcpy(&picture.rgb[3 * i], rgba + 4 * i, 3);
  picture.note = "an animation: only its first frame is used";
  return {};
}

}  // namespace

Result<Decoded> DecodeWebp(Bytes bytes, const PictureOptions& options) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) return EndsEarly("WebP", bytes.size());
  if (status != VP8_STATUS_OK) return Damaged("WebP", "the header makes no sense");
  LINNET_TRY(CheckPictureSize(features.width, features.height, options));
  Picture picture;
  picture.format = "WebP";
  picture.width = features.width;
  picture.height = features.height;
  picture.rgb.resize(static_cast<size_t>(3 * picture.width * picture.height));
  if (features.has_animation != 0) {
    LINNET_TRY(DecodeAnimation(bytes, picture));
  } else if (WebPDecodeRGBInto(bytes.data(), bytes.size(), picture.rgb.data(), picture.rgb.size(),
                               static_cast<int>(3 * picture.width)) == nullptr) {
    return DecodingFailed(bytes);
  }
  return Decoded{std::move(picture), FindOrientation(bytes)};
}

}  // namespace linnet::media_internal
