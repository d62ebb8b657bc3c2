#include "media/av.h"

#include <algorithm>
#include <cmath>

#include "media/audio.h"
#include "media/golden_test_util.h"
#include "media/video_clip.h"

namespace linnet {
namespace {

// Made by tools/make_test_media.cc, which says what they hold.
std::filesystem::path MediaPath(const std::string& name) {
  return LINNET_SOURCE_DIR "/tests/data/media/" + name;
}

double Loudness(const std::vector<float>& samples, double from, double to) {
  double sum = 0;
  const auto begin = static_cast<size_t>(from * 16000), end = static_cast<size_t>(to * 16000);
  for (size_t i = begin; i < end; ++i) sum += static_cast<double>(samples[i]) * samples[i];
  return std::sqrt(sum / static_cast<double>(end - begin));
}

// The channels are averaged: (0.5 + 0.25) / 2 of a sine, silence in the even seconds.
TEST(Av, EverySoundFormatHasItsToneWhereItBelongs) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  for (const std::string name : {"tone.flac", "tone.mp3", "tone.ogg", "tone.opus", "tone.m4a", "clip.mp4",
                                 "clip-h264.mp4", "clip.webm"}) {
    const auto clip = LoadAudio(MediaPath(name));
    ASSERT_TRUE(clip.has_value()) << clip.error().Message();
    EXPECT_EQ(clip->info.channels, 2) << name;
    EXPECT_NEAR(static_cast<double>(clip->samples.size()) / 16000, 6.0, 0.1) << name;
    for (int second = 0; second < 5; ++second) {
      const double loudness = Loudness(clip->samples, second + 0.1, second + 0.9);
      EXPECT_NEAR(loudness, second % 2 == 1 ? 0.375 / std::sqrt(2.0) : 0.0, 0.02)
          << name << " second " << second;
    }
  }
}

TEST(Av, FlacEqualsTheReference) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto clip = LoadAudio(GoldenPath("wav/stereo-44k1.flac"));
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  EXPECT_EQ(clip->samples.size(), 3200u);
  EXPECT_EQ(clip->info.rate, 44100);
}

TEST(Av, FramesComeAtTheirTimes) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  for (const std::string name : {"clip.mp4", "clip-h264.mp4", "clip.webm"}) {
    const auto bytes = ReadFile(MediaPath(name));
    auto source = OpenAvVideo(bytes);
    ASSERT_TRUE(source.has_value()) << name << ": " << source.error().Message();
    const VideoInfo& info = (*source)->info();
    EXPECT_EQ(info.width, 64);
    EXPECT_EQ(info.height, 48);
    EXPECT_NEAR(info.fps, 10.0, 0.01);
    EXPECT_NEAR(info.seconds, 6.0, 0.15) << name;
    EXPECT_TRUE(info.has_sound);
    for (int second = 0; second < 6; ++second) {
      const auto frame = (*source)->At(second);
      ASSERT_TRUE(frame.has_value() && frame->has_value()) << name << " second " << second;
      EXPECT_NEAR((*frame)->seconds, second, 0.01);
      EXPECT_EQ((*frame)->index, 10 * second);
      const Picture& picture = (*frame)->picture;
      ASSERT_EQ(picture.rgb.size(), 64u * 48 * 3);
      const size_t middle = 24 * 64 * 3;
      EXPECT_NEAR(picture.rgb[middle + 3 * 16], 40 * second + 20, 12) << name;
      EXPECT_NEAR(picture.rgb[middle + 3 * 48], 0, 12) << name;
    }
    const auto end = (*source)->At(100);
    ASSERT_TRUE(end.has_value());
    EXPECT_FALSE(end->has_value());
  }
}

TEST(Av, SeekingAheadFindsTheSameFrames) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto bytes = ReadFile(MediaPath("clip-h264.mp4"));
  auto source = OpenAvVideo(bytes);
  ASSERT_TRUE(source.has_value());
  const auto frame = (*source)->At(5.0);
  ASSERT_TRUE(frame.has_value() && frame->has_value());
  EXPECT_NEAR((*frame)->seconds, 5.0, 0.01);
  EXPECT_NEAR((*frame)->picture.rgb[24 * 64 * 3 + 48], 220, 12);
}

TEST(Av, TheTurnOfAPhoneVideoIsTold) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto bytes = ReadFile(MediaPath("turned.mp4"));
  const auto source = OpenAvVideo(bytes);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ((*source)->info().orientation, 6);
  EXPECT_FALSE((*source)->info().has_sound);
  const auto sound = OpenAvAudio(bytes);
  ASSERT_FALSE(sound.has_value());
  EXPECT_EQ(sound.error().code, ErrorCode::kUnsupported);
}

TEST(Av, ClipsAreSampledByTimeAndKeepTheirSound) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto clip = LoadVideo(MediaPath("clip.mp4"));
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  ASSERT_EQ(clip->frames.size(), 6u);
  EXPECT_EQ(clip->note, "");
  EXPECT_EQ(clip->frames[3].picture.height % 48, 0);
  EXPECT_NEAR(clip->frames[3].seconds, 3.0, 0.01);
  EXPECT_NEAR(static_cast<double>(clip->sound.size()) / 16000, 6.0, 0.1);

  const auto dense = LoadVideo(MediaPath("clip.mp4"), {.frames_per_second = 5, .sound = false});
  ASSERT_TRUE(dense.has_value());
  EXPECT_EQ(dense->frames.size(), 30u);
  EXPECT_TRUE(dense->sound.empty());

  const auto few = LoadVideo(MediaPath("clip.mp4"), {.max_frames = 3});
  ASSERT_TRUE(few.has_value());
  ASSERT_EQ(few->frames.size(), 3u);
  EXPECT_NEAR(few->frames[1].seconds, 2.0, 0.11);
  EXPECT_NE(few->note.find("are 6 frames: 3 are used"), std::string::npos) << few->note;

  const auto turned = LoadVideo(MediaPath("turned.mp4"));
  ASSERT_TRUE(turned.has_value());
  EXPECT_GT(turned->frames[0].picture.height, turned->frames[0].picture.width);
  EXPECT_EQ(turned->note, "it has no sound track");
  EXPECT_FALSE(LoadVideo(MediaPath("tone.mp3")).has_value());
}

TEST(Av, OtherFilesAreRefused) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  for (const std::string file : {"formats/rgb.png", "formats/not-an-image.png", "formats.jsonl"}) {
    const auto bytes = ReadFile(GoldenPath(file));
    EXPECT_FALSE(OpenAvAudio(bytes).has_value()) << file;
    EXPECT_FALSE(OpenAvVideo(bytes).has_value()) << file;
  }
  EXPECT_FALSE(OpenAvVideo(ReadFile(MediaPath("tone.mp3"))).has_value());
  // A playlist would name other files.
  const std::string playlist = "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n";
  EXPECT_FALSE(OpenAvAudio({reinterpret_cast<const uint8_t*>(playlist.data()), playlist.size()}).has_value());
}

}  // namespace
}  // namespace linnet
