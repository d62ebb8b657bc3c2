#include "media/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <png.h>

#include "base/check.h"
#include "media/video.h"

namespace linnet {
namespace {

constexpr int64_t kColumnsPerSecond = 20;
constexpr int64_t kColumnSamples = 16000 / kColumnsPerSecond;
constexpr int64_t kRowHeight = 80, kRowGap = 8, kLabelWidth = 60;
constexpr int64_t kMostRows = 120;
constexpr uint32_t kPaper = 0xffffff, kShade = 0xd8e8d0, kEdge = 0x60a050, kWave = 0x203060,
                   kLabel = 0x505050;

// Rows of three dots from the top, highest bit left, for "0".."9", ":", ".", "-", "A".."Z".
constexpr std::array<uint16_t, 39> kGlyphs = {
    075557, 026227, 071747, 071717, 055711, 074717, 074757, 071122, 075757, 075717,  // 0-9
    002020, 000002, 000700,                                                          // : . -
    025755, 065656, 034443, 065556, 074647, 074644, 034553, 055755, 072227, 011152,  // A-J
    055655, 044447, 057755, 065555, 025552, 065644, 025563, 065655, 034216, 072222,  // K-T
    055557, 055552, 055775, 055255, 055222, 071247};                                 // U-Z

int GlyphIndex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'Z') return 13 + c - 'A';
  if (c >= 'a' && c <= 'z') return 13 + c - 'a';
  return c == ':' ? 10 : c == '.' ? 11 : c == '-' ? 12 : -1;
}

Picture Blank(int64_t width, int64_t height) {
  Picture picture;
  picture.width = width;
  picture.height = height;
  picture.rgb.assign(static_cast<size_t>(3 * width * height), 0xff);
  return picture;
}

void Set(Picture& picture, int64_t x, int64_t y, uint32_t rgb) {
  if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) return;
  uint8_t* at = &picture.rgb[static_cast<size_t>(3 * (y * picture.width + x))];
  at[0] = static_cast<uint8_t>(rgb >> 16);
  at[1] = static_cast<uint8_t>(rgb >> 8);
  at[2] = static_cast<uint8_t>(rgb);
}

// Yellow on dark, dark blue on bright.
void Stand(Picture& picture, int64_t x, int64_t y) {
  const uint8_t* at = &picture.rgb[static_cast<size_t>(3 * (y * picture.width + x))];
  const int brightness = 3 * at[0] + 6 * at[1] + at[2];
  Set(picture, x, y, brightness < 1280 ? 0xffe000 : 0x1020a0);
}

}  // namespace

Result<std::vector<uint8_t>> EncodePng(const Picture& picture) {
  LINNET_CHECK(picture.rgb.size() == static_cast<size_t>(3 * picture.width * picture.height));
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  image.flags = PNG_IMAGE_FLAG_FAST;
  std::vector<uint8_t> bytes(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = bytes.size();
  const int done = png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.rgb.data(), 0, nullptr);
  if (done == 0) {
    const std::string message = image.message;
    png_image_free(&image);
    return Fail(ErrorCode::kInternal, "the PNG cannot be written: " + message);
  }
  bytes.resize(size);
  return bytes;
}

void DrawGrid(Picture& picture, int64_t cell) {
  LINNET_CHECK(cell > 0);
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = y % cell == 0 && y > 0 ? 0 : cell; x < picture.width;
         x += y % cell == 0 && y > 0 ? 1 : cell) {
      Stand(picture, x, y);
    }
  }
}

Picture ContactSheet(std::span<const Picture> frames, int64_t columns) {
  LINNET_CHECK(!frames.empty() && columns > 0);
  // A film may change its size.
  const int64_t width = std::ranges::max(frames, {}, &Picture::width).width;
  const int64_t height = std::ranges::max(frames, {}, &Picture::height).height;
  const auto count = static_cast<int64_t>(frames.size());
  const int64_t across = std::min(columns, count), down = (count + columns - 1) / columns;
  Picture sheet = Blank(across * (width + kRowGap) - kRowGap, down * (height + kRowGap) - kRowGap);
  for (int64_t i = 0; i < count; ++i) {
    const Picture& frame = frames[static_cast<size_t>(i)];
    const int64_t left = i % columns * (width + kRowGap), top = i / columns * (height + kRowGap);
    for (int64_t y = 0; y < frame.height; ++y) {
      std::memcpy(&sheet.rgb[static_cast<size_t>(3 * ((top + y) * sheet.width + left))],
                  &frame.rgb[static_cast<size_t>(3 * y * frame.width)], static_cast<size_t>(3 * frame.width));
    }
  }
  return sheet;
}

void DrawText(Picture& picture, Point at, std::string_view text, int64_t scale, uint32_t rgb) {
  for (const char c : text) {
    const int glyph = GlyphIndex(c);
    for (int64_t dot = 0; glyph >= 0 && dot < 15; ++dot) {
      if ((kGlyphs[static_cast<size_t>(glyph)] >> (14 - dot) & 1) == 0) continue;
      for (int64_t i = 0; i < scale * scale; ++i) {
        Set(picture, at.x + dot % 3 * scale + i % scale, at.y + dot / 3 * scale + i / scale, rgb);
      }
    }
    at.x += 4 * scale;
  }
}

void WaveformDrawer::Push(std::span<const float> samples) {
  for (const float sample : samples) {
    if (in_column_ == 0) columns_.push_back({sample, sample});
    Column& column = columns_.back();
    column.low = std::min(column.low, sample);
    column.high = std::max(column.high, sample);
    in_column_ = (in_column_ + 1) % kColumnSamples;
  }
}

void WaveformDrawer::AddPiece(double begin_seconds, double end_seconds) {
  pieces_.emplace_back(begin_seconds, end_seconds);
}

Picture WaveformDrawer::Draw() const {
  // A minute a row; longer sounds get longer minutes, so that the picture keeps a size one can look at.
  const auto total = static_cast<int64_t>(columns_.size());
  const int64_t minute = 60 * kColumnsPerSecond;
  const int64_t merged = std::max<int64_t>(1, (total + minute * kMostRows - 1) / (minute * kMostRows));
  const int64_t shown = (total + merged - 1) / merged;
  const int64_t rows = std::max<int64_t>(1, (shown + minute - 1) / minute);
  const int64_t width = rows > 1 ? minute : std::max<int64_t>(shown, kColumnsPerSecond);
  Picture picture = Blank(kLabelWidth + width, rows * (kRowHeight + kRowGap));
  const double per_second = static_cast<double>(kColumnsPerSecond) / static_cast<double>(merged);
  const auto paint = [&](int64_t column, int64_t from, int64_t to, uint32_t rgb) {
    const int64_t top = column / minute * (kRowHeight + kRowGap);
    for (int64_t y = from; y < to; ++y) Set(picture, kLabelWidth + column % minute, top + y, rgb);
  };
  for (const auto& [begin, end] : pieces_) {
    const auto first = static_cast<int64_t>(begin * per_second),
               last = static_cast<int64_t>(end * per_second);
    for (int64_t column = first; column <= last; ++column) {
      paint(column, 0, kRowHeight, column == first || column == last ? kEdge : kShade);
    }
  }
  for (int64_t column = 0; column < shown; ++column) {
    float low = 0, high = 0;
    for (int64_t i = column * merged; i < std::min((column + 1) * merged, total); ++i) {
      low = std::min(low, columns_[static_cast<size_t>(i)].low);
      high = std::max(high, columns_[static_cast<size_t>(i)].high);
    }
    const auto place = [](float value) {
      return static_cast<int64_t>(
          std::lround((0.5f - 0.5f * std::clamp(value, -1.0f, 1.0f)) * (kRowHeight - 1)));
    };
    paint(column, place(high), place(low) + 1, kWave);
  }
  for (int64_t row = 0; row < rows; ++row) {
    DrawText(picture, {4, row * (kRowHeight + kRowGap) + kRowHeight / 2 - 5},
             TimestampText(static_cast<double>(row * minute) / per_second), 2, kLabel);
  }
  return picture;
}

}  // namespace linnet
