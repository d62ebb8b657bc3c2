// BMP: the OS/2 header and Windows headers of 40 bytes and more; 1 to 32 bits; RLE8, RLE4 and bit fields.
#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "base/checked_math.h"
#include "media/byte_reader.h"
#include "media/picture_formats.h"

namespace linnet::media_internal {
namespace {

enum Compression : uint32_t { kPlain = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaBitFields = 6 };

struct Header {
  uint64_t pixels_at = 0;
  uint32_t bytes = 0;  // of the information header
  int64_t width = 0, height = 0;
  bool top_down = false;
  int bits = 0;
  uint32_t compression = kPlain;
  std::array<uint32_t, 3> masks = {};
  std::array<uint8_t, 768> palette = {};
};

void ReadPalette(ByteReader& in, Header& header, uint32_t colours, int entry_bytes) {
  for (uint32_t i = 0; i < std::min<uint32_t>(colours, 256); ++i) {
    for (int c = 2; c >= 0; --c) header.palette[3 * i + static_cast<uint32_t>(c)] = in.U8();
    if (entry_bytes == 4) in.U8();
  }
}

Result<Header> ReadHeader(Bytes bytes) {
  ByteReader in(bytes, 10);
  Header header;
  header.pixels_at = in.U32();
  header.bytes = in.U32();
  if (header.bytes == 12) {
    header.width = in.U16();
    header.height = in.U16();
    in.U16();
    header.bits = in.U16();
    if (header.bits <= 8) ReadPalette(in, header, 1u << header.bits, 3);
    if (in.ended()) return EndsEarly("BMP", bytes.size());
    return header;
  }
  if (header.bytes < 40 || header.bytes > 256) {
    return Damaged("BMP", "information header of " + std::to_string(header.bytes) + " bytes");
  }
  header.width = static_cast<int32_t>(in.U32());
  const int64_t height = static_cast<int32_t>(in.U32());
  header.top_down = height < 0;
  header.height = height < 0 ? -height : height;
  in.U16();
  header.bits = in.U16();
  header.compression = in.U32();
  in.Take(12);  // size of the pixels, resolution
  const uint32_t colours = in.U32();
  in.U32();
  if (header.compression == kBitFields || header.compression == kAlphaBitFields) {
    for (uint32_t& mask : header.masks) mask = in.U32();
    if (header.bytes == 40 && header.compression == kAlphaBitFields) in.U32();
    if (header.bytes > 40) in.Seek(14 + header.bytes);
  } else {
    in.Seek(14 + header.bytes);
  }
  if (header.bits <= 8) ReadPalette(in, header, colours == 0 ? 1u << std::max(header.bits, 0) : colours, 4);
  if (in.ended()) return EndsEarly("BMP", bytes.size());
  return header;
}

Status CheckKind(Header& header) {
  constexpr std::array<int, 6> kDepths = {1, 4, 8, 16, 24, 32};
  if (std::find(kDepths.begin(), kDepths.end(), header.bits) == kDepths.end()) {
    return Fail(ErrorCode::kUnsupported, "a BMP of " + std::to_string(header.bits) + " bits a pixel",
                "convert it to PNG");
  }
  const bool fields = header.compression == kBitFields || header.compression == kAlphaBitFields;
  const bool fits = header.compression == kPlain || (header.compression == kRle8 && header.bits == 8) ||
                    (header.compression == kRle4 && header.bits == 4) || (fields && header.bits >= 16);
  if (!fits) {
    return Fail(ErrorCode::kUnsupported,
                "a BMP with compression " + std::to_string(header.compression) + " at " +
                    std::to_string(header.bits) + " bits",
                "convert it to PNG");
  }
  if (!fields && header.bits == 16) header.masks = {0x7c00, 0x03e0, 0x001f};
  if (!fields && header.bits >= 24) header.masks = {0xff0000, 0x00ff00, 0x0000ff};
  return {};
}

// A field of n bits scaled to 0..255.
uint8_t Field(uint32_t value, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const uint64_t top = mask >> shift;
  return static_cast<uint8_t>(uint64_t{(value & mask) >> shift} * 255 / top);
}

void PlainRow(const Header& header, Bytes row, uint8_t* rgb) {
  ByteReader in(row);
  if (header.bits <= 8) {
    const int per_byte = 8 / header.bits;
    for (int64_t x = 0; x < header.width; ++x) {
      const uint8_t byte = row[static_cast<size_t>(x / per_byte)];
      const int shift = 8 - header.bits * (static_cast<int>(x % per_byte) + 1);
      const size_t index = (byte >> shift) & ((1 << header.bits) - 1);
      std::copy_n(&header.palette[3 * index], 3, rgb + 3 * x);
    }
    return;
  }
  for (int64_t x = 0; x < header.width; ++x) {
    uint32_t value = in.U16();
    if (header.bits == 24) value |= static_cast<uint32_t>(in.U8()) << 16;
    if (header.bits == 32) value |= static_cast<uint32_t>(in.U16()) << 16;
    for (size_t c = 0; c < 3; ++c) rgb[3 * x + static_cast<int64_t>(c)] = Field(value, header.masks[c]);
  }
}

Status ReadPlain(const Header& header, Bytes bytes, Picture& picture) {
  const uint64_t row_bytes =
      (static_cast<uint64_t>(header.width) * static_cast<uint64_t>(header.bits) + 31) / 32 * 4;
  const auto total = CheckedMul(row_bytes, static_cast<uint64_t>(header.height));
  const auto end = total ? CheckedAdd(*total, header.pixels_at) : std::nullopt;
  if (!end || *end > bytes.size()) return EndsEarly("BMP", bytes.size());
  picture.rgb.resize(static_cast<size_t>(3 * picture.width * picture.height));
  for (int64_t y = 0; y < header.height; ++y) {
    const int64_t row = header.top_down ? y : header.height - 1 - y;
    PlainRow(header, bytes.subspan(header.pixels_at + row_bytes * static_cast<uint64_t>(y), row_bytes),
             &picture.rgb[static_cast<size_t>(3 * row * header.width)]);
  }
  return {};
}

// Run-length rows, bottom first. Pixels the runs leave out have colour 0.
Status ReadRuns(const Header& header, Bytes bytes, Picture& picture) {
  std::vector<uint8_t> indices(static_cast<size_t>(header.width * header.height));
  ByteReader in(bytes, header.pixels_at);
  int64_t x = 0, y = 0;
  const auto put = [&](int index) {
    if (x < header.width && y < header.height)
      indices[static_cast<size_t>(y * header.width + x)] = static_cast<uint8_t>(index);
    ++x;
  };
  const bool nibbles = header.bits == 4;
  while (y < header.height) {
    const int count = in.U8(), value = in.U8();
    if (in.ended()) return EndsEarly("BMP", bytes.size());
    if (count > 0) {
      for (int i = 0; i < count; ++i) put(!nibbles ? value : i % 2 == 0 ? value >> 4 : value & 15);
    } else if (value == 0) {
      x = 0;
      ++y;
    } else if (value == 1) {
      break;
    } else if (value == 2) {
      x += in.U8();
      y += in.U8();
    } else {
      const auto literal = in.Take(static_cast<size_t>(nibbles ? (value + 1) / 2 : value));
      if (in.ended()) return EndsEarly("BMP", bytes.size());
      for (int i = 0; i < value; ++i) {
        const int byte = literal[static_cast<size_t>(nibbles ? i / 2 : i)];
        put(!nibbles ? byte : i % 2 == 0 ? byte >> 4 : byte & 15);
      }
      if (literal.size() % 2 != 0) in.U8();
    }
  }
  picture.rgb.resize(3 * indices.size());
  for (int64_t row = 0; row < header.height; ++row) {
    const uint8_t* from = &indices[static_cast<size_t>((header.height - 1 - row) * header.width)];
    uint8_t* to = &picture.rgb[static_cast<size_t>(3 * row * header.width)];
    for (int64_t i = 0; i < header.width; ++i)
      std::copy_n(&header.palette[3 * size_t{from[i]}], 3, to + 3 * i);
  }
  return {};
}

}  // namespace

Result<Decoded> DecodeBmp(Bytes bytes, const PictureOptions& options) {
  LINNET_ASSIGN(Header header, ReadHeader(bytes));
  if (header.width < 0) return Damaged("BMP", "negative width");
  LINNET_TRY(
      CheckPictureSize(static_cast<uint64_t>(header.width), static_cast<uint64_t>(header.height), options));
  LINNET_TRY(CheckKind(header));
  Decoded decoded;
  decoded.picture.format = "BMP";
  decoded.picture.width = header.width;
  decoded.picture.height = header.height;
  const bool runs = header.compression == kRle8 || header.compression == kRle4;
  LINNET_TRY(runs ? ReadRuns(header, bytes, decoded.picture) : ReadPlain(header, bytes, decoded.picture));
  return decoded;
}

}  // namespace linnet::media_internal
