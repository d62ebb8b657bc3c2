#include "media/picture.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "media/media_kind.h"
#include "media/picture_formats.h"

namespace linnet {
namespace media_internal {

Status CheckPictureSize(uint64_t width, uint64_t height, const PictureOptions& options) {
  if (width == 0 || height == 0) {
    return Fail(ErrorCode::kBadFile, fmt::format("the picture is {} x {} pixels", width, height),
                "the file is damaged: export it again");
  }
  const uint64_t side = kMaxPictureSide;
  if (width > side || height > side || width * height > static_cast<uint64_t>(options.max_pixels)) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the picture is {} x {} pixels, more than {} million", width, height,
                            options.max_pixels / 1'000'000),
                "scale it down or cut it into parts");
  }
  return {};
}

std::unexpected<Error> EndsEarly(std::string_view format, size_t bytes) {
  return Fail(ErrorCode::kBadFile,
              fmt::format("the {} data ends before the picture does (the file has {} bytes)", format, bytes),
              "the file was cut off: copy or download it again");
}

std::unexpected<Error> Damaged(std::string_view format, std::string_view detail) {
  return Fail(ErrorCode::kBadFile, fmt::format("damaged {} data: {}", format, detail),
              "export or download the picture again");
}

std::unexpected<Error> NotSupported(std::string_view what) {
  return Fail(ErrorCode::kUnsupported, fmt::format("is {}: not supported", what),
              "save it as an ordinary PNG or JPEG");
}

void CmykToRgb(const uint8_t* cmyk, int64_t pixels, uint8_t* rgb) {
  for (int64_t i = 0; i < pixels; ++i) {
    const int key = 255 - cmyk[4 * i + 3];
    for (int c = 0; c < 3; ++c) {
      const int t = cmyk[4 * i + c] * key + 128;
      rgb[3 * i + c] = static_cast<uint8_t>(std::clamp(key - (((t >> 8) + t) >> 8), 0, 255));
    }
  }
}

void ApplyOrientation(int orientation, Picture& picture) {
  if (orientation < 2 || orientation > 8) return;
  const int64_t w = picture.width, h = picture.height;
  const bool swap = orientation >= 5;
  const int64_t out_w = swap ? h : w, out_h = swap ? w : h;
  // Output pixel (y, x) is the stored pixel `start + y * down + x * right`, counted in pixels.
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int64_t start = (from_bottom ? (h - 1) * w : 0) + (from_right ? w - 1 : 0);
  const int64_t row_step = from_bottom ? -w : w, column_step = from_right ? -1 : 1;
  const int64_t down = swap ? column_step : row_step, right = swap ? row_step : column_step;
  std::vector<uint8_t> turned(picture.rgb.size());
  constexpr int64_t kTile =
      32;  // keeps a tile of both pictures in the first-level cache when sides are swapped
  for (int64_t y0 = 0; y0 < out_h; y0 += kTile) {
    for (int64_t x0 = 0; x0 < out_w; x0 += kTile) {
      for (int64_t y = y0; y < std::min(y0 + kTile, out_h); ++y) {
        for (int64_t x = x0; x < std::min(x0 + kTile, out_w); ++x) {
          std::memcpy(&turned[3 * (y * out_w + x)], &picture.rgb[3 * (start + y * down + x * right)], 3);
        }
      }
    }
  }
  picture.rgb = std::move(turned);
  picture.width = out_w;
  picture.height = out_h;
}

}  // namespace media_internal

namespace {

using media_internal::Bytes;
using media_internal::Decoded;

constexpr std::string_view kReadable = "give a PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF file";

bool Has(Bytes bytes, size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

using Decoder = Result<Decoded> (*)(Bytes, const PictureOptions&);

Decoder FindDecoder(Bytes bytes) {
  using namespace std::string_view_literals;
  if (Has(bytes, 0, "\x89PNG\r\n\x1a\n")) return media_internal::DecodePng;
  if (Has(bytes, 0, "\xff\xd8\xff")) return media_internal::DecodeJpeg;
  if (Has(bytes, 0, "RIFF") && Has(bytes, 8, "WEBP")) return media_internal::DecodeWebp;
  if (Has(bytes, 0, "GIF87a") || Has(bytes, 0, "GIF89a")) return media_internal::DecodeGif;
  if (Has(bytes, 0, "BM")) return media_internal::DecodeBmp;
  if (Has(bytes, 0, "II*\0"sv) || Has(bytes, 0, "MM\0*"sv) || Has(bytes, 0, "II+\0"sv) ||
      Has(bytes, 0, "MM\0+"sv)) {
    return media_internal::DecodeTiff;
  }
  if (IsHeif(bytes)) return media_internal::DecodeHeif;
  return nullptr;
}

// Printable text to quote, or nothing when the bytes are not text.
std::optional<std::string> StartAsText(Bytes bytes) {
  std::string text;
  for (uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), 24))) {
    if (byte == '\n' || byte == '\r' || byte == '\t') byte = ' ';
    if (byte < 32 || byte > 126) return std::nullopt;
    text += static_cast<char>(byte);
  }
  return text;
}

std::unexpected<Error> NotAPicture(Bytes bytes) {
  if (const MediaFormat format = RecogniseMedia(bytes); !format.name.empty()) {
    const bool sound = format.kind == MediaKind::kSound, video = format.kind == MediaKind::kVideo;
    return Fail(ErrorCode::kUnsupported, fmt::format("is {}, not a picture Linnet reads", format.name),
                sound   ? "give it as a sound (--audio)"
                : video ? "give it as a video (--video)"
                        : std::string(kReadable));
  }
  if (const auto text = StartAsText(bytes)) {
    return Fail(ErrorCode::kBadFile, fmt::format("is not a picture but text: \"{}\"", *text),
                std::string(kReadable));
  }
  return Fail(ErrorCode::kBadFile,
              fmt::format("is not a picture (first bytes {:02x})",
                          fmt::join(bytes.first(std::min<size_t>(bytes.size(), 4)), " ")),
              std::string(kReadable));
}

Result<Picture> Decode(Bytes bytes, const PictureOptions& options) {
  if (bytes.empty()) return Fail(ErrorCode::kBadFile, "is empty (0 bytes)", "copy or download it again");
  const Decoder decoder = FindDecoder(bytes);
  if (decoder == nullptr) return NotAPicture(bytes);
  LINNET_ASSIGN(Decoded decoded, decoder(bytes, options));
  if (options.apply_orientation) media_internal::ApplyOrientation(decoded.orientation, decoded.picture);
  return std::move(decoded.picture);
}

}  // namespace

Result<Picture> DecodePicture(std::span<const uint8_t> bytes, std::string_view name,
                              const PictureOptions& options) {
  try {
    auto picture = Decode(bytes, options);
    if (!picture) return Prefixed(std::string(name), std::move(picture).error());
    return picture;
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kOutOfMemory, fmt::format("{}: not enough memory to decode the picture", name),
                "scale it down");
  }
}

Result<Picture> LoadPicture(const std::filesystem::path& path, const PictureOptions& options) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  return DecodePicture(file.bytes(), path.string(), options);
}

}  // namespace linnet
