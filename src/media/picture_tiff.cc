// TIFF through libtiff, first page. Grey, palette and RGB samples of up to 16 bits are read as stored (alpha
// dropped, 16-bit values keep their high byte); other kinds (YCbCr, CMYK, planar, tiles) go through libtiff's
// own RGBA conversion.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <tiffio.h>

#include "media/picture_formats.h"

namespace linnet::media_internal {
namespace {

constexpr tmsize_t kMaxOneAllocation = 1 << 30;

struct Source {
  Bytes bytes;
  uint64_t at = 0;
  std::string message;  // the first error
};

Source& SourceOf(thandle_t handle) { return *static_cast<Source*>(handle); }

tmsize_t Read(thandle_t handle, void* out, tmsize_t count) {
  Source& source = SourceOf(handle);
  if (source.at >= source.bytes.size() || count <= 0) return 0;
  const size_t there = std::min<size_t>(static_cast<size_t>(count), source.bytes.size() - source.at);
  std::memcpy(out, source.bytes.data() + source.at, there);
  source.at += there;
  return static_cast<tmsize_t>(there);
}

tmsize_t Write(thandle_t, void*, tmsize_t) { return 0; }

toff_t Seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = SourceOf(handle);
  const uint64_t base = whence == SEEK_CUR ? source.at : whence == SEEK_END ? source.bytes.size() : 0;
  source.at = base + offset;
  return source.at;
}

int Close(thandle_t) { return 0; }
toff_t Size(thandle_t handle) { return SourceOf(handle).bytes.size(); }

int OnError(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  std::string& message = static_cast<Source*>(user)->message;
  if (message.empty()) {
    char line[160];
    std::vsnprintf(line, sizeof(line), format, arguments);
    message = line;
  }
  return 1;
}

int OnWarning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using TiffHandle = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

TiffHandle Open(Source& source) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (options == nullptr) return {nullptr, TIFFClose};
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, kMaxOneAllocation);
  TIFFOpenOptionsSetErrorHandlerExtR(options, OnError, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options, OnWarning, &source);
  // "m": no memory mapping, every read is checked by Read().
  TIFF* tiff =
      TIFFClientOpenExt("picture", "rm", &source, Read, Write, Seek, Close, Size, nullptr, nullptr, options);
  TIFFOpenOptionsFree(options);
  return {tiff, TIFFClose};
}

// Of a pixel. Pictures of many bands exist; a row of them shall not take gigabytes.
constexpr uint16_t kMostSamples = 64;

struct Layout {
  uint32_t width = 0, height = 0;
  uint16_t bits = 1, samples = 1, photometric = PHOTOMETRIC_MINISBLACK, planar = PLANARCONFIG_CONTIG;
  uint16_t orientation = 1, format = SAMPLEFORMAT_UINT, compression = COMPRESSION_NONE;
  uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;  // palette, 16-bit
};

Layout GetLayout(TIFF* tiff) {
  Layout layout;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &layout.width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &layout.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &layout.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &layout.samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &layout.planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &layout.orientation);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &layout.format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &layout.compression);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &layout.photometric);
  TIFFGetField(tiff, TIFFTAG_COLORMAP, &layout.red, &layout.green, &layout.blue);
  return layout;
}

bool CanReadDirectly(TIFF* tiff, const Layout& layout) {
  if (TIFFIsTiled(tiff) != 0 || layout.planar != PLANARCONFIG_CONTIG || layout.format != SAMPLEFORMAT_UINT)
    return false;
  switch (layout.photometric) {
    case PHOTOMETRIC_RGB:
      return layout.samples >= 3 && (layout.bits == 8 || layout.bits == 16);
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
      return layout.bits == 16 || layout.bits == 8 || (layout.bits < 8 && layout.samples == 1);
    case PHOTOMETRIC_PALETTE:
      return layout.red != nullptr && layout.bits <= 8 && layout.samples == 1;
    default:
      return false;
  }
}

// An intact file may hold what libtiff cannot turn into colours.
Status CheckKind(TIFF* tiff, const Layout& layout, bool direct) {
  if (layout.format == SAMPLEFORMAT_IEEEFP) {
    return NotSupported(fmt::format("a TIFF of {}-bit floating-point samples", layout.bits));
  }
  if (layout.format == SAMPLEFORMAT_COMPLEXINT || layout.format == SAMPLEFORMAT_COMPLEXIEEEFP) {
    return NotSupported("a TIFF of complex numbers");
  }
  if (TIFFIsCODECConfigured(layout.compression) != 1) {
    const TIFFCodec* codec = TIFFFindCODEC(layout.compression);
    return NotSupported(codec == nullptr ? fmt::format("a TIFF with compression {}", layout.compression)
                                         : fmt::format("a TIFF with {} compression", codec->name));
  }
  if (layout.bits > 16) return NotSupported(fmt::format("a TIFF of {}-bit samples", layout.bits));
  if (layout.samples > kMostSamples) {
    return NotSupported(fmt::format("a TIFF of {} samples a pixel", layout.samples));
  }
  char why[1024] = {};
  if (!direct && TIFFRGBAImageOK(tiff, why) != 1)
    return NotSupported(fmt::format("a TIFF of a rare kind ({})", why));
  return {};
}

// Sample i of a row in its own depth. 16-bit rows are already in the machine's byte order.
unsigned Sample(const uint8_t* row, size_t i, int bits) {
  if (bits == 16) {
    uint16_t value;
    std::memcpy(&value, row + 2 * i, 2);
    return value;
  }
  if (bits == 8) return row[i];
  const size_t bit = i * static_cast<size_t>(bits);
  unsigned value = 0;
  for (size_t b = bit; b < bit + static_cast<size_t>(bits); ++b)
    value = value << 1 | ((row[b / 8] >> (7 - b % 8)) & 1u);
  return value;
}

void ConvertRow(const Layout& layout, const uint8_t* row, uint8_t* rgb) {
  const unsigned top = (1u << std::min<int>(layout.bits, 8)) - 1;
  for (size_t x = 0; x < layout.width; ++x) {
    const size_t first = x * layout.samples;
    if (layout.photometric == PHOTOMETRIC_PALETTE) {
      const unsigned index = Sample(row, first, layout.bits);
      rgb[3 * x] = static_cast<uint8_t>(layout.red[index] >> 8);
      rgb[3 * x + 1] = static_cast<uint8_t>(layout.green[index] >> 8);
      rgb[3 * x + 2] = static_cast<uint8_t>(layout.blue[index] >> 8);
      continue;
    }
    for (size_t c = 0; c < 3; ++c) {
      unsigned value = Sample(row, first + (layout.photometric == PHOTOMETRIC_RGB ? c : 0), layout.bits);
      if (layout.bits == 16) value >>= 8;
      value = value * 255 / top;
      if (layout.photometric == PHOTOMETRIC_MINISWHITE) value = 255 - value;
      rgb[3 * x + c] = static_cast<uint8_t>(value);
    }
  }
}

bool ReadRows(TIFF* tiff, const Layout& layout, Picture& picture) {
  const tmsize_t row_bytes = TIFFScanlineSize(tiff);
  const uint64_t needed = (uint64_t{layout.width} * layout.samples * layout.bits + 7) / 8;
  if (row_bytes <= 0 || static_cast<uint64_t>(row_bytes) < needed) return false;
  std::vector<uint8_t> row(static_cast<size_t>(row_bytes));
  for (uint32_t y = 0; y < layout.height; ++y) {
    if (TIFFReadScanline(tiff, row.data(), y) != 1) return false;
    ConvertRow(layout, row.data(), &picture.rgb[size_t{3} * layout.width * y]);
  }
  return true;
}

bool ReadConverted(TIFF* tiff, const Layout& layout, Picture& picture) {
  const size_t pixels = size_t{layout.width} * layout.height;
  std::vector<uint32_t> rgba(pixels);
  if (TIFFReadRGBAImageOriented(tiff, layout.width, layout.height, rgba.data(), layout.orientation, 1) != 1)
    return false;
  for (size_t i = 0; i < pixels; ++i) {
    picture.rgb[3 * i] = static_cast<uint8_t>(TIFFGetR(rgba[i]));
    picture.rgb[3 * i + 1] = static_cast<uint8_t>(TIFFGetG(rgba[i]));
    picture.rgb[3 * i + 2] = static_cast<uint8_t>(TIFFGetB(rgba[i]));
  }
  return true;
}

}  // namespace

Result<Decoded> DecodeTiff(Bytes bytes, const PictureOptions& options) {
  Source source{bytes, 0, {}};
  const TiffHandle tiff = Open(source);
  if (tiff == nullptr) return Damaged("TIFF", source.message);
  const Layout layout = GetLayout(tiff.get());
  LINNET_TRY(CheckPictureSize(layout.width, layout.height, options));
  const bool direct = CanReadDirectly(tiff.get(), layout);
  LINNET_TRY(CheckKind(tiff.get(), layout, direct));
  Decoded decoded;
  decoded.picture.format = "TIFF";
  decoded.picture.width = layout.width;
  decoded.picture.height = layout.height;
  decoded.picture.rgb.resize(size_t{3} * layout.width * layout.height);
  decoded.orientation = layout.orientation;
  const bool done = direct ? ReadRows(tiff.get(), layout, decoded.picture)
                           : ReadConverted(tiff.get(), layout, decoded.picture);
  if (!done) return Damaged("TIFF", source.message.empty() ? "the pixels cannot be read" : source.message);
  if (TIFFLastDirectory(tiff.get()) == 0) decoded.picture.note = "several pages: only the first is used";
  return decoded;
}

}  // namespace linnet::media_internal
