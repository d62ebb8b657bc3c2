#include "media/media_kind.h"

#include "media/golden_test_util.h"

namespace linnet {
namespace {

TEST(MediaKind, IsToldByTheContent) {
  const auto kind = [](const std::filesystem::path& path) { return GuessMediaKind(path).value(); };
  for (const char* name : {"rgb.png", "grey.jpg", "q80.webp", "still.gif", "rgb.bmp", "rgb.tiff"}) {
    EXPECT_EQ(kind(GoldenPath("formats") / name), MediaKind::kPicture) << name;
  }
  const std::filesystem::path media = LINNET_SOURCE_DIR "/tests/data/media";
  for (const char* name : {"tone.flac", "tone.mp3", "tone.ogg", "tone.opus", "tone.m4a"}) {
    EXPECT_EQ(kind(media / name), MediaKind::kSound) << name;
  }
  for (const char* name : {"clip.mp4", "clip-h264.mp4", "clip.webm"})
    EXPECT_EQ(kind(media / name), MediaKind::kVideo) << name;
  EXPECT_EQ(kind(GoldenPath("wav/mono-16k-u8.wav")), MediaKind::kSound);
  EXPECT_EQ(kind(GoldenPath("formats/not-an-image.png")), MediaKind::kUnknown);
  EXPECT_EQ(kind(GoldenPath("formats/empty.png")), MediaKind::kUnknown);
  EXPECT_FALSE(GuessMediaKind(std::filesystem::path("/nowhere/a.png")).has_value());
}

TEST(MediaKind, ContainersOfBothAreToldApart) {
  const auto kind = [](std::string start) {
    start.resize(1000, '\0');
    return GuessMediaKind(std::span(reinterpret_cast<const uint8_t*>(start.data()), start.size()));
  };
  EXPECT_EQ(kind("OggS" + std::string(24, '\1') + "\x80theora"), MediaKind::kVideo);
  EXPECT_EQ(kind("OggS" + std::string(24, '\1') + "OpusHead"), MediaKind::kSound);
  std::string stream(1000, 'x');
  for (size_t at = 0; at < 1000; at += 188) stream[at] = 0x47;
  EXPECT_EQ(kind(stream), MediaKind::kVideo);
  EXPECT_EQ(kind("G" + std::string(187, 'x') + "GIF"), MediaKind::kUnknown);
}

}  // namespace
}  // namespace linnet
