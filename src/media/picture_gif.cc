// The first frame of a GIF. Format: "Graphics Interchange Format, version 89a" (CompuServe, 1990).
#include <algorithm>
#include <array>
#include <cstring>

#include "media/byte_reader.h"
#include "media/picture_formats.h"

namespace linnet::media_internal {
namespace {

constexpr int kMaxCodes = 4096;

struct Palette {
  // A colour that the file does not define is grey, as in a file without any palette.
  Palette() {
    for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i / 3);
  }
  void Read(ByteReader& in, int size_field) {
    const auto stored = in.Take(size_t{3} << (size_field + 1));
    std::copy(stored.begin(), stored.end(), rgb.begin());
  }
  std::array<uint8_t, 768> rgb;
};

struct Frame {
  int64_t left = 0, top = 0, width = 0, height = 0;
  bool interlaced = false;
  Palette palette;
  int transparent = -1;
  std::vector<uint8_t> indices;  // (height, width) in stored order
};

// The bits of a chain of sub-blocks, lowest first.
class CodeReader {
 public:
  explicit CodeReader(ByteReader& in) : in_(in) {}

  // -1 at the end of the chain or of the file.
  int Next(int bits) {
    while (held_ < bits) {
      if (block_left_ == 0) {
        block_left_ = in_.U8();
        if (block_left_ == 0 || in_.ended()) return -1;
      }
      buffer_ |= static_cast<uint32_t>(in_.U8()) << held_;
      if (in_.ended()) return -1;
      --block_left_;
      held_ += 8;
    }
    const int code = static_cast<int>(buffer_ & ((1u << bits) - 1));
    buffer_ >>= bits;
    held_ -= bits;
    return code;
  }
  void SkipRest() {
    in_.Take(static_cast<size_t>(block_left_));
    for (int size = in_.U8(); size != 0 && !in_.ended(); size = in_.U8()) in_.Take(static_cast<size_t>(size));
  }

 private:
  ByteReader& in_;
  int block_left_ = 0;
  uint32_t buffer_ = 0;
  int held_ = 0;
};

// Fills `out` completely; false when the data ends early or makes no sense.
bool DecodeLzw(CodeReader& codes, int literal_bits, std::span<uint8_t> out) {
  const int clear = 1 << literal_bits, end = clear + 1;
  std::array<uint16_t, kMaxCodes> prefix;
  std::array<uint8_t, kMaxCodes> suffix;
  std::array<uint8_t, kMaxCodes> stack;
  int next = end + 1, bits = literal_bits + 1, previous = -1;
  uint8_t first = 0;
  size_t at = 0;
  while (at < out.size()) {
    const int code = codes.Next(bits);
    if (code < 0 || code == end) return false;
    if (code == clear) {
      next = end + 1;
      bits = literal_bits + 1;
      previous = -1;
      continue;
    }
    if (code > next || (code == next && previous < 0) || (previous < 0 && code >= clear)) return false;
    size_t depth = 0;
    int walk = code;
    if (code == next) {  // the string just being defined: the previous one and its own first value
      stack[depth++] = first;
      walk = previous;
    }
    while (walk >= clear) {
      stack[depth++] = suffix[walk];
      walk = prefix[walk];
    }
    first = static_cast<uint8_t>(walk);
    stack[depth++] = first;
    while (depth > 0 && at < out.size()) out[at++] = stack[--depth];
    if (previous >= 0 && next < kMaxCodes) {
      prefix[next] = static_cast<uint16_t>(previous);
      suffix[next] = first;
      ++next;
      if (next == 1 << bits && bits < 12) ++bits;
    }
    previous = code;
  }
  return true;
}

void SkipBlocks(ByteReader& in) { CodeReader(in).SkipRest(); }

// Leaves the reader behind the introducer of the next image; false when there is none.
bool FindImage(ByteReader& in, Frame& frame) {
  while (!in.ended()) {
    const uint8_t kind = in.U8();
    if (kind == 0x2c) return !in.ended();
    if (kind == 0x3b) return false;
    if (kind != 0x21) continue;  // stray bytes between blocks are skipped, as other readers do
    if (in.U8() == 0xf9) {
      const auto control = in.Take(in.U8());
      if (control.size() >= 4 && (control[0] & 1) != 0) frame.transparent = control[3];
    }
    SkipBlocks(in);
  }
  return false;
}

// The order in which interlaced rows are stored: every 8th, then the rows between.
std::vector<int64_t> RowOrder(int64_t height, bool interlaced) {
  std::vector<int64_t> rows;
  rows.reserve(static_cast<size_t>(height));
  constexpr std::array<std::array<int64_t, 2>, 4> kPasses = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  if (interlaced) {
    for (const auto& [start, step] : kPasses) {
      for (int64_t y = start; y < height; y += step) rows.push_back(y);
    }
  } else {
    for (int64_t y = 0; y < height; ++y) rows.push_back(y);
  }
  return rows;
}

Picture Draw(const Frame& frame, int64_t width, int64_t height) {
  Picture picture;
  picture.format = "GIF";
  picture.width = width;
  picture.height = height;
  picture.rgb.resize(static_cast<size_t>(3 * width * height));
  const uint8_t* around = &frame.palette.rgb[3 * static_cast<size_t>(std::max(frame.transparent, 0))];
  if (frame.width != width || frame.height != height) {
    for (int64_t i = 0; i < width * height; ++i) std::memcpy(&picture.rgb[3 * i], around, 3);
  }
  const std::vector<int64_t> rows = RowOrder(frame.height, frame.interlaced);
  for (size_t stored = 0; stored < rows.size(); ++stored) {
    const uint8_t* index = &frame.indices[stored * static_cast<size_t>(frame.width)];
    uint8_t* out = &picture.rgb[3 * ((frame.top + rows[stored]) * width + frame.left)];
    for (int64_t x = 0; x < frame.width; ++x) std::memcpy(out + 3 * x, &frame.palette.rgb[3 * index[x]], 3);
  }
  return picture;
}

}  // namespace

Result<Decoded> DecodeGif(Bytes bytes, const PictureOptions& options) {
  ByteReader in(bytes, 6);
  const int64_t screen_width = in.U16(), screen_height = in.U16();
  const uint8_t flags = in.U8();
  in.Take(2);  // background colour, aspect ratio: not used by the reference
  Frame frame;
  if ((flags & 0x80) != 0) frame.palette.Read(in, flags & 7);
  if (!FindImage(in, frame)) {
    return in.ended() ? EndsEarly("GIF", bytes.size()) : Damaged("GIF", "it holds no picture");
  }
  frame.left = in.U16();
  frame.top = in.U16();
  frame.width = in.U16();
  frame.height = in.U16();
  const uint8_t image_flags = in.U8();
  frame.interlaced = (image_flags & 0x40) != 0;
  if ((image_flags & 0x80) != 0) frame.palette.Read(in, image_flags & 7);
  const int literal_bits = in.U8();
  if (in.ended()) return EndsEarly("GIF", bytes.size());
  if (frame.width == 0 || frame.height == 0) return Damaged("GIF", "its first frame has no pixels");
  if (literal_bits < 1 || literal_bits > 8) return Damaged("GIF", "code size beyond 8 bits");
  const int64_t width = std::max(screen_width, frame.left + frame.width);
  const int64_t height = std::max(screen_height, frame.top + frame.height);
  LINNET_TRY(CheckPictureSize(width, height, options));
  // One code of at least 2 bits stands for at most 4096 pixels.
  const uint64_t pixels = static_cast<uint64_t>(frame.width * frame.height);
  if (pixels / (4 * kMaxCodes) > bytes.size()) return EndsEarly("GIF", bytes.size());
  frame.indices.resize(pixels);
  CodeReader codes(in);
  if (!DecodeLzw(codes, literal_bits, frame.indices)) {
    return in.left() == 0 ? EndsEarly("GIF", bytes.size())
                          : Damaged("GIF", "the compressed pixels make no sense");
  }
  codes.SkipRest();
  Decoded decoded{Draw(frame, width, height), 1};
  if (FindImage(in, frame)) decoded.picture.note = "an animation: only its first frame is used";
  return decoded;
}

}  // namespace linnet::media_internal
