// Which frame of a video is on screen when, and how it is turned.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "media/av.h"
#include "media/golden_test_util.h"
#include "media/picture_formats.h"
#include "media/video_clip.h"

namespace linnet {
namespace {

Picture FirstFrame(const std::vector<uint8_t>& bytes) {
  const auto clip = DecodeVideo(bytes, "x", {.max_frames = 1, .sound = false});
  EXPECT_TRUE(clip.has_value()) << clip.error().Message();
  return clip ? clip->frames.front().picture : Picture();
}

// The display matrix of the first track is the same file's but for these four numbers.
std::vector<uint8_t> WithMatrix(std::vector<uint8_t> mp4, int a, int b, int c, int d) {
  constexpr std::string_view kHeader = "tkhd";
  const auto header = std::search(mp4.begin(), mp4.end(), kHeader.begin(), kHeader.end()) - mp4.begin();
  const auto put = [&](ptrdiff_t at, int value) {
    const auto fixed = static_cast<uint32_t>(value * 65536);
    for (int i = 0; i < 4; ++i)
      mp4[static_cast<size_t>(header + 44 + at + i)] = static_cast<uint8_t>(fixed >> (24 - 8 * i));
  };
  put(0, a), put(4, b), put(12, c), put(16, d);
  return mp4;
}

TEST(AvVideo, AllEightDisplayMatrices) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto file = ReadFile(FieldPath("displaymatrix_hflip.mp4"));
  struct Case {
    int orientation, a, b, c, d;
  };
  const Case cases[] = {{1, 1, 0, 0, 1}, {2, -1, 0, 0, 1}, {3, -1, 0, 0, -1}, {4, 1, 0, 0, -1},
                        {5, 0, 1, 1, 0}, {6, 0, 1, -1, 0}, {7, 0, -1, -1, 0}, {8, 0, -1, 1, 0}};
  const auto stored = OpenAvVideo(file);
  ASSERT_TRUE(stored.has_value());
  const auto raw = (*stored)->At(0);
  ASSERT_TRUE(raw && *raw);
  for (const auto& [orientation, a, b, c, d] : cases) {
    const auto bytes = WithMatrix(file, a, b, c, d);
    const auto video = OpenAvVideo(bytes);
    ASSERT_TRUE(video.has_value());
    EXPECT_EQ((*video)->info().orientation, orientation);
    // The matrix' own words: the stored pixel (x, y) is shown at (a x + c y, b x + d y), from the edge it
    // falls off.
    const Picture& from = (*raw)->picture;
    Picture shown = from;
    media_internal::ApplyOrientation(orientation, shown);
    for (const auto& [x, y] : {std::pair<int64_t, int64_t>{0, 0}, {5, 9}, {100, 30}}) {
      int64_t to_x = a * x + c * y, to_y = b * x + d * y;
      if (to_x < 0 || (a + c < 0)) to_x += shown.width - 1;
      if (to_y < 0 || (b + d < 0)) to_y += shown.height - 1;
      EXPECT_EQ(std::memcmp(&shown.rgb[static_cast<size_t>(3 * (to_y * shown.width + to_x))],
                            &from.rgb[static_cast<size_t>(3 * (y * from.width + x))], 3),
                0)
          << orientation;
    }
  }
  EXPECT_EQ((*OpenAvVideo(file))->info().orientation, 2);
  const auto turned = ReadFile(FieldPath("displaymatrix_rot90_hflip.mp4"));
  EXPECT_EQ((*OpenAvVideo(turned))->info().orientation, 7);
  EXPECT_GT(Difference(FirstFrame(file), FirstFrame(WithMatrix(file, 1, 0, 0, 1))), 1);
}

// A still picture for 20 s, then 30 frames a second: 22 s.
TEST(AvVideo, FramesAreThoseOnScreen) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto clip = LoadVideo(FieldPath("vfr_still_20s_then_30fps.mp4"), {.sound = false});
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  ASSERT_EQ(clip->frames.size(), 22u);
  for (size_t second = 0; second < 22; ++second) {
    EXPECT_NEAR(clip->frames[second].seconds, static_cast<double>(second), 0.01);
    if (second < 20) {
      EXPECT_EQ(clip->frames[second].picture.rgb, clip->frames[0].picture.rgb) << second;
    } else {
      EXPECT_NE(clip->frames[second].picture.rgb, clip->frames[second - 1].picture.rgb) << second;
    }
  }
}

// A Matroska file of JPEG pictures, each from its millisecond on.
class Matroska {
 public:
  void Frame(int milliseconds, const std::vector<uint8_t>& jpeg) {
    std::string block = "\x81";
    block += static_cast<char>(milliseconds >> 8);
    block += static_cast<char>(milliseconds);
    block += '\x80';
    block.append(jpeg.begin(), jpeg.end());
    blocks_ += Element("\xa3", block);
  }
  // Degrees, as phones' programs write them: a turn against the clock, and a mirror of 180.
  void Turn(float roll, float yaw) {
    projection_ = Element("\x76\x70", Element("\x76\x71", Number(0)) +
                                          Element("\x76\x73", Number(std::bit_cast<uint32_t>(yaw))) +
                                          Element("\x76\x75", Number(std::bit_cast<uint32_t>(roll))));
  }
  std::vector<uint8_t> File(double length_milliseconds) const {
    const std::string size = Element("\xb0", Number(kWidth)) + Element("\xba", Number(kHeight)) + projection_;
    const std::string track = Element("\xd7", Number(1)) + Element("\x73\xc5", Number(1)) +
                              Element("\x83", Number(1)) + Element("\x86", "V_MJPEG") + Element("\xe0", size);
    std::string length;
    for (int i = 7; i >= 0; --i)
      length += static_cast<char>(std::bit_cast<uint64_t>(length_milliseconds) >> (8 * i));
    const std::string info = Element("\x2a\xd7\xb1", Number(1'000'000)) + Element("\x44\x89", length);
    const std::string segment = Element("\x15\x49\xa9\x66", info) +
                                Element("\x16\x54\xae\x6b", Element("\xae", track)) +
                                Element("\x1f\x43\xb6\x75", Element("\xe7", Number(0)) + blocks_);
    const std::string file =
        Element("\x1a\x45\xdf\xa3", Element("\x42\x82", "matroska")) + Element("\x18\x53\x80\x67", segment);
    return {file.begin(), file.end()};
  }
  static constexpr int kWidth = 50, kHeight = 33;  // of the pictures

 private:
  static std::string Number(uint32_t value) {
    std::string text;
    for (int i = 3; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
    return text;
  }
  static std::string Element(const std::string& id, const std::string& content) {
    return id + std::string("\x01\0\0\0", 4) + Number(static_cast<uint32_t>(content.size())) + content;
  }

  std::string blocks_, projection_;
};

// The names of the pictures that are seen, by what they look like.
std::string Seen(const VideoClip& clip, const std::vector<Picture>& pictures) {
  std::string names;
  for (const ClipFrame& frame : clip.frames) {
    const auto nearest = std::ranges::min_element(
        pictures, {}, [&](const Picture& picture) { return Difference(picture, frame.picture); });
    names += static_cast<char>('a' + (nearest - pictures.begin()));
  }
  return names;
}

std::vector<double> Times(const VideoClip& clip) {
  std::vector<double> times;
  for (const ClipFrame& frame : clip.frames) times.push_back(std::round(frame.seconds * 1000) / 1000);
  return times;
}

class Screen : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
    const auto jpeg = ReadFile(GoldenPath("formats/q90-444.jpg"));
    const std::array<uint8_t, 5> table = {0xff, 0xdb, 0, 0x43, 0};
    const auto first = std::search(jpeg.begin(), jpeg.end(), table.begin(), table.end()) - jpeg.begin() + 5;
    for (const uint8_t step : {1, 3, 6, 10}) {  // of the brightness: four pictures that differ in it
      jpegs_.push_back(jpeg);
      jpegs_.back()[static_cast<size_t>(first)] = step;
      Matroska alone;
      alone.Frame(0, jpegs_.back());
      pictures_.push_back(FirstFrame(alone.File(100)));
    }
  }
  VideoClip Clip(const std::vector<std::pair<int, size_t>>& frames, double length,
                 const VideoOptions& options = {}) {
    Matroska film;
    for (const auto& [time, picture] : frames) film.Frame(time, jpegs_[picture]);
    const auto clip = DecodeVideo(film.File(length), "x", options);
    EXPECT_TRUE(clip.has_value()) << clip.error().Message();
    return clip.value_or(VideoClip{});
  }

  std::vector<std::vector<uint8_t>> jpegs_;
  std::vector<Picture> pictures_;
};

TEST_F(Screen, MatroskaHasTurnsOfItsOwn) {
  struct Case {
    float roll, yaw;
    int orientation;
  };
  for (const auto& [roll, yaw, orientation] : {Case{0, 0, 1},
                                               {0, 180, 2},
                                               {180, 0, 3},
                                               {180, 180, 4},
                                               {90, 180, 5},
                                               {-90, 0, 6},
                                               {-90, 180, 7},
                                               {90, 0, 8}}) {
    Matroska film;
    film.Turn(roll, yaw);
    film.Frame(0, jpegs_[0]);
    const auto bytes = film.File(100);
    const auto video = OpenAvVideo(bytes);
    ASSERT_TRUE(video.has_value());
    EXPECT_EQ((*video)->info().orientation, orientation) << roll << " " << yaw;
  }
}

TEST_F(Screen, AFrameStaysUntilTheNextOneBegins) {
  const VideoClip clip = Clip({{0, 0}, {900, 1}, {2100, 2}, {2950, 3}}, 6000);
  EXPECT_EQ(Seen(clip, pictures_), "abbddd");  // c is never on screen at a full second; d is held to the end
  EXPECT_EQ(Times(clip), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(Seen(Clip({{0, 0}, {900, 1}, {2100, 2}, {2950, 3}}, 4000, {.frames_per_second = 2}), pictures_),
            "aabbbcdd");
}

TEST_F(Screen, AVideoMayStartLate) {
  const VideoClip late = Clip({{4300, 0}, {5500, 1}}, 8000);
  EXPECT_EQ(Times(late), (std::vector<double>{4.3, 5, 6, 7}));
  EXPECT_EQ(Seen(late, pictures_), "aabb");
  const VideoClip hardly = Clip({{67, 0}, {1067, 1}, {2067, 2}}, 3067);
  EXPECT_EQ(Times(hardly), (std::vector<double>{0.067, 1, 2, 3}));
  EXPECT_EQ(Seen(hardly, pictures_), "aabc");
}

TEST_F(Screen, WhatWasCutOffIsNotHeld) {
  Matroska film;
  for (const int i : {0, 1, 2, 3}) film.Frame(1000 * i, jpegs_[static_cast<size_t>(i)]);
  const auto bytes = film.File(60'000);
  EXPECT_EQ(DecodeVideo(bytes, "x")->frames.size(), 60u);
  const auto cut = DecodeVideo(std::span(bytes).first(bytes.size() - jpegs_[3].size() / 2), "x");
  ASSERT_TRUE(cut.has_value()) << cut.error().Message();
  EXPECT_GE(cut->frames.size(), 3u);
  EXPECT_LE(cut->frames.size(), 4u);
}

TEST_F(Screen, TheLimitSpreadsOverTheWholeLength) {
  const VideoClip clip = Clip({{0, 0}, {5000, 1}, {10000, 2}, {15000, 3}}, 20000, {.max_frames = 4});
  EXPECT_EQ(Seen(clip, pictures_), "abcd");
  EXPECT_NE(clip.note.find("one every 5.0 s"), std::string::npos) << clip.note;
}

TEST(AvVideo, WindowsMediaIsRead) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto clip = LoadVideo(FieldPath("video.wmv"));
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  EXPECT_EQ(clip->info.format, "Windows Media");
}

TEST(AvVideo, PicturesAreNamed) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  for (const auto& path : {GoldenPath("formats/rgb.png"), FieldPath("x.heic")}) {
    const auto clip = LoadVideo(path);
    ASSERT_FALSE(clip.has_value());
    EXPECT_NE(clip.error().Message().find("picture, no sound or video; give it as a picture"),
              std::string::npos)
        << clip.error().Message();
  }
}

}  // namespace
}  // namespace linnet
