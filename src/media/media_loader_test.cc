#include "media/media_loader.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "media/golden_test_util.h"
#include "media/helper.h"

namespace linnet {
namespace {

const LoaderOptions kOptions = {.helper = LINNET_MEDIA_HELPER};

TEST(MediaLoader, PicturesAreTheSameAsWithoutTheHelper) {
  const MediaLoader loader(kOptions);
  for (const auto& entry : std::filesystem::directory_iterator(GoldenPath("formats"))) {
    const auto inside = LoadPicture(entry.path());
    const auto outside = loader.LoadPicture(entry.path());
    ASSERT_EQ(inside.has_value(), outside.has_value())
        << entry.path() << (outside ? "" : outside.error().Message());
    if (!inside) {
      EXPECT_EQ(inside.error().Message(), outside.error().Message());
      EXPECT_EQ(inside.error().code, outside.error().code);
      continue;
    }
    EXPECT_EQ(inside->rgb, outside->rgb) << entry.path();
    EXPECT_EQ(inside->width, outside->width);
    EXPECT_EQ(inside->format, outside->format);
    EXPECT_EQ(inside->note, outside->note);
  }
}

TEST(MediaLoader, SoundsAreTheSameAsWithoutTheHelper) {
  const MediaLoader loader(kOptions);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenPath("wav")))
    files.push_back(entry.path());
  if (AvAvailable())
    files.insert(files.end(), {MediaPath("tone.mp3"), MediaPath("tone.opus"), MediaPath("clip.mp4")});
  for (const auto& file : files) {
    const auto inside = LoadAudio(file);
    const auto outside = loader.impl().LoadAudio(file);
    ASSERT_EQ(inside.has_value(), outside.has_value()) << file << (outside ? "" : outside.error().Message());
    if (!inside) continue;
    EXPECT_EQ(inside->samples, outside->samples) << file;
    EXPECT_EQ(inside->info.rate, outside->info.rate);
    EXPECT_EQ(inside->info.note, outside->info.note);
  }
}

TEST(MediaLoader, VideosAreTheSameAsWithoutTheHelper) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const MediaLoader loader(kOptions);
  for (const std::string name : {"clip.mp4", "clip-h264.mp4", "clip.webm", "turned.mp4"}) {
    const auto inside = LoadVideo(MediaPath(name)), outside = loader.impl().LoadVideo(MediaPath(name));
    ASSERT_TRUE(inside && outside) << name << (outside ? "" : outside.error().Message());
    ASSERT_EQ(inside->frames.size(), outside->frames.size());
    for (size_t i = 0; i < inside->frames.size(); ++i) {
      EXPECT_EQ(inside->frames[i].picture.rgb, outside->frames[i].picture.rgb);
      EXPECT_EQ(inside->frames[i].seconds, outside->frames[i].seconds);
    }
    EXPECT_EQ(inside->sound, outside->sound);
    EXPECT_EQ(inside->note, outside->note);
  }
}

TEST(MediaLoader, AddressesNameFilesAndContent) {
  const std::string png =
      "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/"
      "pLvAAAAAElFTkSuQmCC";
  for (const MediaLoader& loader : {MediaLoader(kOptions), MediaLoader({.sandbox = false})}) {
    const auto source = ParseMediaAddress(png);
    ASSERT_TRUE(source.has_value()) << source.error().Message();
    const auto picture = loader.LoadPicture(*source);
    ASSERT_TRUE(picture.has_value()) << picture.error().Message();
    EXPECT_EQ(picture->rgb, (std::vector<uint8_t>{255, 0, 0}));
    const auto wav = ReadFile(GoldenPath("wav/mono-8k-s16.wav"));
    const auto sound = loader.impl().LoadAudio(MediaSource(wav, "upload"));
    ASSERT_TRUE(sound.has_value()) << sound.error().Message();
    EXPECT_EQ(sound->samples, LoadAudio(GoldenPath("wav/mono-8k-s16.wav"))->samples);
    const auto empty = loader.LoadPicture(MediaSource({}, "upload"));
    ASSERT_FALSE(empty.has_value());
    EXPECT_EQ(empty.error().Message(), "upload: is empty (0 bytes); copy or download it again");
  }
  EXPECT_EQ(ParseMediaAddress("a%20b.png")->file, "a%20b.png");
  EXPECT_EQ(ParseMediaAddress("file:///a%20b.png")->file, "/a b.png");
  for (const char* same : {"file:/a.png", "file:///a.png", "file://localhost/a.png", "FILE:/a.png",
                           "File://LocalHost/a.png", "file:///%61.png"}) {
    const auto source = ParseMediaAddress(same);
    ASSERT_TRUE(source.has_value()) << same;
    EXPECT_EQ(source->file, "/a.png") << same;
  }
  for (const char* bad :
       {"file://a.png", "file:a.png", "file:///a%2", "file:///a%zz", "file:///a%00b", "file://host/a.png",
        "data:image/png;base64", "data:;base64,a", "data:;base64,a$b=", "data:;base64", "data:,%4"}) {
    const auto source = ParseMediaAddress(bad);
    ASSERT_FALSE(source.has_value()) << bad;
    EXPECT_EQ(source.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(MediaLoader, DataAddressesAreReadInEverySpelling) {
  const std::vector<uint8_t> hey = {'h', 'e', 'y', 0xff};
  for (const char* same :
       {"data:image/png;base64,aGV5/w==", "DATA:image/png;BASE64,aGV5/w==", "data:;Base64,aGV5%2Fw%3D%3D",
        "data:image/png;charset=utf-8;base64,aGV5_w", "data:image/png,hey%FF", "Data:,%68%65%79%ff"}) {
    const auto source = ParseMediaAddress(same);
    ASSERT_TRUE(source.has_value()) << same << ": " << source.error().Message();
    EXPECT_EQ(source->bytes, hey) << same;
  }
  EXPECT_TRUE(IsMediaAddress("DATA:image/png;BASE64,aGV5"));
  EXPECT_TRUE(IsMediaAddress("file:/a.png"));
  EXPECT_FALSE(IsMediaAddress("data:1,2,3"));
  EXPECT_FALSE(IsMediaAddress("file:a"));
}

TEST(MediaLoader, AnAddressIsNeverShownWhole) {
  const std::string content(100'000, 'A');
  EXPECT_EQ(ParseMediaAddress("data:image/png;base64," + content)->name,
            "data:image/png;base64,… (75000 bytes)");
  for (const std::string& address :
       {"data:image/png;base64," + content + "$", "data:,%!" + content, "data:" + content,
        "https://example.org/" + content, "file:" + content}) {
    const auto source = ParseMediaAddress(address);
    ASSERT_FALSE(source.has_value());
    EXPECT_LT(source.error().Message().size(), 300u) << source.error().Message();
  }
  EXPECT_LT(MediaLabel("data:image/png;base64," + content).size(), 80u);
}

TEST(MediaLoader, NothingIsFetched) {
  for (const char* address : {"https://example.org/cat.png", "HTTP://example.org/cat.png",
                              "ftp://example.org/a.wav", "s3://bucket/a"}) {
    const auto source = ParseMediaAddress(address);
    ASSERT_FALSE(source.has_value()) << address;
    EXPECT_NE(source.error().Message().find("fetches nothing"), std::string::npos)
        << source.error().Message();
    EXPECT_NE(source.error().Message().find("download"), std::string::npos);
  }
  EXPECT_TRUE(ParseMediaAddress("C://x/cat.png").has_value());  // a path
}

TEST(MediaLoader, SaysWhatIsMissing) {
  EXPECT_NE(MediaLoader({.sandbox = false}).Weakness().find("off"), std::string::npos);
  const MediaLoader missing({.helper = "/nowhere/linnet-media"});
  const auto picture = missing.LoadPicture(GoldenPath("formats/rgb.png"));
  ASSERT_FALSE(picture.has_value());
  EXPECT_NE(picture.error().what.find("/nowhere/linnet-media"), std::string::npos);
  EXPECT_NE(picture.error().hint.find("--no-sandbox"), std::string::npos);
}

// No helper lies beside this test program.
TEST(MediaLoader, WithoutAHelperNothingIsDecoded) {
  ASSERT_EQ(::unsetenv("LINNET_MEDIA_HELPER"), 0);
  if (!media_internal::FindProgram("linnet-media", "LINNET_MEDIA_HELPER").empty()) {
    GTEST_SKIP() << "Linnet is installed on this system";
  }
  const MediaLoader loader{LoaderOptions{}};
  const auto source = MediaSource(GoldenPath("formats/rgb.png"));
  const auto picture = loader.LoadPicture(source);
  const auto sound = loader.OpenAudio(source);
  const auto video = loader.impl().LoadVideo(source);
  const auto program = loader.impl().StartProgram("/bin/true", {}, source, 1);
  ASSERT_FALSE(picture || sound || video || program);
  for (const Error& error : {picture.error(), sound.error(), video.error(), program.error()}) {
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_NE(error.Message().find("--no-sandbox"), std::string::npos) << error.Message();
  }
}

TEST(MediaLoader, IsUsedByTwoThreads) {
  const MediaLoader loader(kOptions);
  const auto expected = LoadPicture(GoldenPath("formats/rgb.png"));
  ASSERT_TRUE(expected.has_value());
  std::array<std::string, 2> weakness;
  std::array<int, 2> same = {};
  const auto work = [&](size_t thread) {
    for (int i = 0; i < 5; ++i) {
      const auto picture = loader.LoadPicture(GoldenPath("formats/rgb.png"));
      same[thread] += picture && picture->rgb == expected->rgb;
      weakness[thread] = loader.Weakness();
    }
  };
  {
    std::jthread one(work, 0), two(work, 1);
  }
  EXPECT_EQ(same, (std::array<int, 2>{5, 5}));
  EXPECT_EQ(weakness[0], weakness[1]);
}

TEST(MediaLoader, AMissingFileSaysSo) {
  const auto picture = MediaLoader(kOptions).LoadPicture(std::filesystem::path("/nowhere/a.png"));
  ASSERT_FALSE(picture.has_value());
  EXPECT_EQ(picture.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(MediaLoader(kOptions).LoadPicture(std::filesystem::path("/dev/zero")).has_value());
}

// Helpers that misbehave, written as shell scripts.
class BadHelper : public ::testing::Test {
 protected:
  std::filesystem::path Script(const std::string& body) {
    const auto path = std::filesystem::path(::testing::TempDir()) / "bad-helper.sh";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  std::string ErrorOf(const std::string& body, double patience = 30) {
    const MediaLoader loader({.helper = Script(body), .patience_seconds = patience});
    const auto picture = loader.LoadPicture(GoldenPath("formats/rgb.png"));
    return picture ? "none" : picture.error().Message();
  }
};

constexpr const char* kHello = "printf 'H\\010\\0\\0\\0\\0\\0\\0\\0\\007\\0\\0\\0\\0\\0\\0\\0';";

// A helper that is granted the limits only says so before anything is decoded.
TEST_F(BadHelper, WhatIsMissingIsKnownBeforeTheFirstMedium) {
  const MediaLoader loader(
      {.helper = Script("printf 'H\\010\\0\\0\\0\\0\\0\\0\\0\\001\\0\\0\\0\\0\\0\\0\\0'")});
  EXPECT_NE(loader.Weakness().find("without landlock"), std::string::npos) << loader.Weakness();
  EXPECT_NE(loader.Weakness().find("seccomp"), std::string::npos);
  EXPECT_EQ(loader.Weakness().find("limits"), std::string::npos);
}

TEST_F(BadHelper, OneThatDiesIsAnErrorWithItsSignal) {
  EXPECT_NE(ErrorOf("kill -SEGV $$").find("signal 11"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(kHello) + "kill -KILL $$").find("signal 9"), std::string::npos);
  EXPECT_NE(ErrorOf("exit 3").find("exit code 3"), std::string::npos);
}

TEST_F(BadHelper, OneThatHangsIsStopped) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NE(ErrorOf(std::string(kHello) + "exec sleep 60", 0.5).find("did not answer"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(BadHelper, OneThatLiesIsNotBelieved) {
  for (const std::string& body : {
           std::string(kHello) +
               "printf 'P\\377\\377\\377\\377\\377\\377\\377\\377'",          // a length beyond all limits
           std::string(kHello) + "printf 'P\\004\\0\\0\\0\\0\\0\\0\\0abcd'",  // no room for the sizes
           std::string("printf 'X\\0\\0\\0\\0\\0\\0\\0\\0'"),                 // no greeting
           std::string(kHello) +
               "printf 'P\\040\\0\\0\\0\\0\\0\\0\\0\\001\\0\\0\\0\\0\\0\\0\\0\\001\\0\\0\\0\\0\\0\\0\\0"
               "\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'",  // a picture without pixels
       }) {
    EXPECT_NE(ErrorOf(body).find("damaged answer"), std::string::npos) << body << ErrorOf(body);
  }
}

}  // namespace
}  // namespace linnet
