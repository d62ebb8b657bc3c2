#include "media/media_kind.h"

#include "media/golden_test_util.h"

namespace linnet {
namespace {

TEST(MediaKind, IsToldByTheContent) {
  const auto kind = [](const std::filesystem::path& path) { return RecogniseMedia(ReadFile(path)).kind; };
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
}

TEST(MediaKind, EveryNameOfAKindCounts) {
  const std::filesystem::path field = LINNET_SOURCE_DIR "/tests/data/field";
  const auto format = [&](const char* name) { return RecogniseMedia(ReadFile(field / name)); };
  EXPECT_EQ(format("x.heic").name, "a HEIC picture");
  EXPECT_EQ(format("x.avif").name, "an AVIF picture");
  EXPECT_EQ(format("x.heic").kind, MediaKind::kPicture);
  EXPECT_EQ(format("video.wmv").kind, MediaKind::kVideo);
  EXPECT_EQ(format("newline_before_pdf.pdf").kind, MediaKind::kPdf);

  const auto of = [](const std::string& start) {
    return RecogniseMedia(std::span(reinterpret_cast<const uint8_t*>(start.data()), start.size()));
  };
  using namespace std::string_literals;
  EXPECT_EQ(of("\0\0\0\x18"s + "ftypmif1\0\0\0\0mif1avif"s).name, "an AVIF picture");
  EXPECT_EQ(of("\0\0\0\x18"s + "ftypmif1\0\0\0\0miafheix"s).name, "a HEIC picture");
  EXPECT_EQ(of("\0\0\0\x14"s + "ftypmsf1\0\0\0\0mif1"s).name, "a HEIF picture");
  EXPECT_EQ(of("\0\0\0\x18"s + "ftypisom\0\0\0\0mp42avc1"s).kind, MediaKind::kVideo);
  EXPECT_EQ(of("\xff\xf1\x50\x80"s).kind, MediaKind::kSound);           // AAC
  EXPECT_EQ(of("\xff\xfb\x90\x64"s).kind, MediaKind::kSound);           // MPEG layer III
  EXPECT_EQ(of("\xff\xfeH\0e\0l\0l\0o\0"s).kind, MediaKind::kUnknown);  // a text in UTF-16
  EXPECT_EQ(of("MThd\0\0\0\6"s).kind, MediaKind::kUnknown);
  EXPECT_NE(of("version https://git-lfs.github.com/spec/v1\n").name.find("git lfs pull"), std::string::npos);
}

TEST(MediaKind, APdfMayBeginLate) {
  const auto kind = [](const std::string& start) {
    return RecogniseMedia(std::span(reinterpret_cast<const uint8_t*>(start.data()), start.size())).kind;
  };
  for (const std::string& before : {std::string(), std::string("\n"), std::string("\xef\xbb\xbf"),
                                    std::string("HTTP/1.1 200 OK\r\n\r\n"), std::string(1023, '\0')}) {
    EXPECT_EQ(kind(before + "%PDF-1.4\n"), MediaKind::kPdf) << before.size();
  }
  EXPECT_EQ(kind(std::string(1024, ' ') + "%PDF-1.4\n"), MediaKind::kUnknown);
  EXPECT_EQ(kind("\x89PNG\r\n\x1a\n about %PDF-1.4"), MediaKind::kPicture);
}

TEST(MediaKind, TheListOfTracksTellsSoundFromVideo) {
  const auto kind = [](const std::string& start) {
    return RecogniseMedia(std::span(reinterpret_cast<const uint8_t*>(start.data()), start.size())).kind;
  };
  using namespace std::string_literals;
  const std::string matroska = "\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff"s;
  EXPECT_EQ(kind(matroska + "\x86\x86"
                            "A_OPUS"),
            MediaKind::kSound);
  EXPECT_EQ(kind(matroska + "\x86\x86"
                            "A_OPUS\x86\x85"
                            "V_VP9"),
            MediaKind::kVideo);
  EXPECT_EQ(kind(matroska), MediaKind::kVideo);
  const std::string asf = "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"s;
  const std::string rest = "\x4d\x5b\xcf\x11\xa8\xfd\0\x80\x5f\x5c\x44\x2b"s;
  EXPECT_EQ(kind(asf + "\x40\x9e\x69\xf8" + rest), MediaKind::kSound);
  EXPECT_EQ(kind(asf + "\x40\x9e\x69\xf8" + rest + "\xc0\xef\x19\xbc" + rest), MediaKind::kVideo);
  const std::string type = "\0\0\0\x10"s + "ftypisom\0\0\0\0"s;
  EXPECT_EQ(kind(type + "\0\0\0\x1cmoovhdlr\0\0\0\0\0\0\0\0soun...."s), MediaKind::kSound);
  EXPECT_EQ(kind(type + "\0\0\0\x1cmoovhdlr\0\0\0\0\0\0\0\0vide...."s), MediaKind::kVideo);
}

TEST(MediaKind, ContainersOfBothAreToldApart) {
  const auto kind = [](std::string start) {
    start.resize(1000, '\0');
    return RecogniseMedia(std::span(reinterpret_cast<const uint8_t*>(start.data()), start.size())).kind;
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
