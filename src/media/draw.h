// Pictures that show a person what the model gets: the grid of soft tokens over a picture, the pieces of a
// sound.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "linnet/error.h"
#include "media/picture.h"

namespace linnet {

// 8-bit RGB as a PNG file. Errors: kOutOfMemory, kInternal.
Result<std::vector<uint8_t>> EncodePng(const Picture& picture);

// The lines between cells, one pixel wide, in a colour that stands out from what lies below.
void DrawGrid(Picture& picture, int64_t cell);

// Frames beside each other in rows of `columns`, with a gap; each has the room of the largest. REQUIRES:
// there is at least one.
Picture ContactSheet(std::span<const Picture> frames, int64_t columns);

struct Point {
  int64_t x, y;
};

// Text in capitals, digits and ":.-" of 3 x 5 dots, `scale` pixels each. What lies outside is left out.
void DrawText(Picture& picture, Point at, std::string_view text, int64_t scale, uint32_t rgb);

// A sound as rows of waveform, a minute or more each, with its pieces shaded. Memory grows by 160 bytes a
// second.
class WaveformDrawer {
 public:
  void Push(std::span<const float> samples);  // 16 kHz
  void AddPiece(double begin_seconds, double end_seconds);
  Picture Draw() const;

 private:
  struct Column {
    float low = 0, high = 0;
  };
  std::vector<Column> columns_;
  int64_t in_column_ = 0;  // samples of the last column so far
  std::vector<std::pair<double, double>> pieces_;
};

}  // namespace linnet
