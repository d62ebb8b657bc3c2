#include "media/draw.h"

#include <cmath>

#include <gtest/gtest.h>

namespace linnet {
namespace {

Picture Grey(int64_t width, int64_t height, uint8_t value) {
  Picture picture;
  picture.width = width;
  picture.height = height;
  picture.rgb.assign(static_cast<size_t>(3 * width * height), value);
  return picture;
}

const uint8_t* PixelAt(const Picture& picture, int64_t x, int64_t y) {
  return &picture.rgb[3 * (y * picture.width + x)];
}

TEST(EncodePng, ComesBackAsItWas) {
  Picture picture = Grey(37, 19, 0);
  for (size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = static_cast<uint8_t>(i * i);
  const auto png = EncodePng(picture);
  ASSERT_TRUE(png.has_value());
  const auto back = DecodePicture(*png, "back.png");
  ASSERT_TRUE(back.has_value()) << back.error().Message();
  EXPECT_EQ(back->rgb, picture.rgb);
}

TEST(DrawGrid, LinesLieBetweenCellsAndStandOut) {
  for (const uint8_t ground : {0, 255}) {
    Picture picture = Grey(144, 96, ground);
    DrawGrid(picture, 48);
    int changed = 0;
    for (int64_t y = 0; y < 96; ++y) {
      for (int64_t x = 0; x < 144; ++x) {
        const bool line = (x % 48 == 0 && x > 0) || (y % 48 == 0 && y > 0);
        const uint8_t* at = PixelAt(picture, x, y);
        const bool different = at[0] != ground || at[1] != ground || at[2] != ground;
        ASSERT_EQ(different, line) << x << "," << y;
        changed += different;
      }
    }
    EXPECT_EQ(changed, 2 * 96 + 144 - 2);
  }
}

TEST(ContactSheet, FramesKeepTheirPixels) {
  const std::vector<Picture> frames = {Grey(10, 6, 1), Grey(10, 6, 2), Grey(10, 6, 3)};
  const Picture sheet = ContactSheet(frames, 2);
  EXPECT_EQ(sheet.width, 28);
  EXPECT_EQ(sheet.height, 20);
  EXPECT_EQ(*PixelAt(sheet, 9, 5), 1);
  EXPECT_EQ(*PixelAt(sheet, 18, 0), 2);
  EXPECT_EQ(*PixelAt(sheet, 0, 14), 3);
  EXPECT_EQ(*PixelAt(sheet, 12, 3), 255);
  // A film may change its size: each frame has the room of the largest.
  const std::vector<Picture> mixed = {Grey(4, 6, 1), Grey(10, 2, 2)};
  const Picture other = ContactSheet(mixed, 2);
  EXPECT_EQ(other.width, 28);
  EXPECT_EQ(other.height, 6);
  EXPECT_EQ(*PixelAt(other, 3, 5), 1);
  EXPECT_EQ(*PixelAt(other, 4, 5), 255);
  EXPECT_EQ(*PixelAt(other, 27, 1), 2);
}

TEST(WaveformDrawer, ShowsPiecesWhereTheyAre) {
  WaveformDrawer drawer;
  std::vector<float> samples(16000 * 150);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.5f * std::sin(static_cast<float>(i) * 0.3f);
  drawer.Push(samples);
  drawer.AddPiece(61, 63);
  const Picture picture = drawer.Draw();
  EXPECT_EQ(picture.width, 60 + 1200);
  EXPECT_EQ(picture.height, 3 * 88);
  // The second row begins at one minute; 2 s into it lies the middle of the piece.
  EXPECT_NE(*PixelAt(picture, 60 + 40, 88 + 2), 255);
  EXPECT_EQ(*PixelAt(picture, 60 + 40, 2), 255);
  EXPECT_EQ(*PixelAt(picture, 60 + 40, 40), 0x20);  // the wave crosses the middle
}

TEST(WaveformDrawer, TenHoursAreOnePictureOfUsualSize) {
  WaveformDrawer drawer;
  const std::vector<float> minute(16000 * 60, 0.1f);
  for (int i = 0; i < 600; ++i) drawer.Push(minute);
  const Picture picture = drawer.Draw();
  EXPECT_LE(picture.height, 120 * 88);
  EXPECT_EQ(WaveformDrawer().Draw().height, 88);
}

}  // namespace
}  // namespace linnet
