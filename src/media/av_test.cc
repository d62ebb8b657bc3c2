#include "media/av.h"

#include <algorithm>
#include <cmath>

#include "base/mapped_file.h"
#include "media/audio.h"
#include "media/golden_test_util.h"
#include "media/video_clip.h"

namespace linnet {
namespace {

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

std::vector<uint8_t> Joined(std::initializer_list<std::string> names) {
  std::vector<uint8_t> all;
  for (const std::string& name : names) {
    const auto bytes = ReadFile(MediaPath(name));
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

Result<AudioClip> Heard(const std::vector<uint8_t>& bytes) {
  LINNET_ASSIGN(MappedFile file, MappedFile::FromBytes(bytes, "sound"));
  LINNET_ASSIGN(auto source, OpenSound(std::move(file)));
  LINNET_ASSIGN(AudioReader reader, AudioReader::FromSource(std::move(source)));
  return reader.ReadClip();
}

// Links of other rates, codecs and channels follow each other; each has its tone in its odd seconds.
TEST(Av, ChainedFilesAreHeardToTheirEnd) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  for (const auto& bytes : {Joined({"tone.opus", "tone.ogg"}), Joined({"tone.ogg", "tone.opus"}),
                            Joined({"tone.ogg", "tone.ogg"}), Joined({"tone.mp3", "tone.mp3"})}) {
    const auto clip = Heard(bytes);
    ASSERT_TRUE(clip.has_value()) << clip.error().Message();
    ASSERT_NEAR(static_cast<double>(clip->samples.size()) / 16000, 12.0, 0.2);
    for (int second = 0; second < 11; ++second) {
      EXPECT_NEAR(Loudness(clip->samples, second + 0.2, second + 0.8),
                  second % 2 == 1 ? 0.375 / std::sqrt(2.0) : 0.0, 0.02)
          << second;
    }
  }
}

// Seconds at which sound begins and ends again, in steps of 10 ms.
std::vector<double> Edges(const std::vector<float>& samples) {
  std::vector<double> edges;
  double quiet_since = -1;
  for (size_t at = 0; at + 160 <= samples.size(); at += 160) {
    const double now = static_cast<double>(at) / 16000;
    const bool loud = Loudness(samples, now, now + 0.01) > 0.003;
    if (loud && edges.size() % 2 == 0) edges.push_back(now);
    if (loud) quiet_since = -1;
    if (!loud && quiet_since < 0) quiet_since = now;
    if (!loud && edges.size() % 2 == 1 && now - quiet_since > 0.5) edges.push_back(quiet_since);
  }
  return edges;
}

TEST(Av, FlacFilesOfTwoRatesFollowEachOther) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const std::string sine = MediaPath("sine_22k.flac"), tone = MediaPath("tone.flac");
  const auto short_one = LoadAudio(sine), long_one = LoadAudio(tone);
  ASSERT_TRUE(short_one && long_one);
  EXPECT_NE(short_one->info.rate, long_one->info.rate);
  for (const auto& [first, second] : {std::pair(sine, tone), std::pair(tone, sine)}) {
    std::vector<uint8_t> both = ReadFile(first);
    const auto more = ReadFile(second);
    both.insert(both.end(), more.begin(), more.end());
    const auto clip = Heard(both);
    ASSERT_TRUE(clip.has_value()) << clip.error().Message();
    EXPECT_EQ(clip->info.note, "");
    EXPECT_NEAR(static_cast<double>(clip->samples.size()),
                static_cast<double>(short_one->samples.size() + long_one->samples.size()), 400);
  }
}

// `cat film.ts film.ts`: times go on where the first film ended, for pictures and sound alike.
TEST(Av, TransportStreamsThatWereJoinedFollowEachOther) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const auto film = ReadFile(MediaPath("film.ts"));
  const auto one = DecodeVideo(film, "film.ts"), two = DecodeVideo(Joined({"film.ts", "film.ts"}), "both.ts");
  ASSERT_TRUE(one && two);
  EXPECT_EQ(two->note, one->note);
  // The sound of the first lasts longer than its pictures.
  const double end = std::max(one->info.seconds, static_cast<double>(one->sound.size()) / 16000);
  EXPECT_NEAR(two->info.seconds, 2 * end, 0.15);
  ASSERT_GE(two->frames.size(), 2 * one->frames.size() - 1);
  for (size_t i = 1; i < two->frames.size(); ++i)
    EXPECT_GT(two->frames[i].seconds, two->frames[i - 1].seconds);
  const auto once = Edges(one->sound), twice = Edges(two->sound);
  ASSERT_EQ(twice.size() + 1, 2 * (once.size() + 1)) << "the last one has no end";
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_NEAR(twice[i], once[i], 0.02);
    EXPECT_NEAR(twice[once.size() + (once.size() & 1) + i], end + once[i], 0.06) << i;
  }
}

TEST(Av, WhatIsCutOffIsHeardAsFarAsItGoesAndSaysSo) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  for (const std::string name : {"clip.webm", "tone.flac", "tone.mp3", "tone.ogg", "tone.opus", "film.ts"}) {
    const auto whole = ReadFile(MediaPath(name));
    const auto clip =
        Heard({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(whole.size() * 3 / 5 + 7)});
    ASSERT_TRUE(clip.has_value()) << name << ": " << clip.error().Message();
    EXPECT_GT(clip->samples.size(), 16000u) << name;
    EXPECT_EQ(clip->info.note.find("the recording was not finished or the file was cut off"), 0u)
        << name << ": " << clip->info.note;
  }
  const auto whole = ReadFile(MediaPath("clip.mp4"));  // its index is at its end
  const auto clip = Heard({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(whole.size() / 2)});
  ASSERT_FALSE(clip.has_value());
  EXPECT_NE(clip.error().what.find("moov"), std::string::npos) << clip.error().what;
}

TEST(Av, TimeStampsPlaceTheSoundOfAFilm) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  const double command = Edges(LoadAudio(LINNET_SOURCE_DIR "/examples/command.wav")->samples)[0];
  const double weather = Edges(LoadAudio(LINNET_SOURCE_DIR "/examples/weather.wav")->samples)[0];
  const auto film = LoadAudio(MediaPath("film.ts"));
  ASSERT_TRUE(film.has_value()) << film.error().Message();
  EXPECT_EQ(film->info.note, "");
  const auto edges = Edges(film->samples);
  ASSERT_GE(edges.size(), 3u);
  EXPECT_NEAR(edges[0], 4.0 + command, 0.03);
  EXPECT_NEAR(edges[2], 19.7 + weather, 0.03);
  // The frames of the film tell the same time as its sound.
  const auto clip = LoadVideo(MediaPath("film.ts"));
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  EXPECT_EQ(clip->sound, film->samples);
  EXPECT_NEAR(clip->frames[4].seconds, 4.0, 0.01);

  for (const std::string name : {"sound_starts_at_4s.mkv", "sound_starts_at_4s.mp4"}) {
    const auto late = LoadAudio(LINNET_SOURCE_DIR "/tests/data/field/" + name);
    ASSERT_TRUE(late.has_value()) << late.error().Message();
    EXPECT_NEAR(Edges(late->samples)[0], 4.0 + command, 0.06) << name;
  }
  const auto gap = LoadAudio(LINNET_SOURCE_DIR "/tests/data/field/sound_gap_1.7s_to_15.7s.mkv");
  ASSERT_TRUE(gap.has_value()) << gap.error().Message();
  EXPECT_NEAR(Edges(gap->samples)[2], 15.7, 0.2);
}

// A clock that jumps by years: the sound goes on without that silence, and says so. In Matroska a cluster has
// its own time (element e7).
TEST(Av, TimeStampsThatJumpFarAreNotFollowed) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  auto bytes = ReadFile(LINNET_SOURCE_DIR "/tests/data/field/sound_gap_1.7s_to_15.7s.mkv");
  const std::vector<uint8_t> cluster = {0x1f, 0x43, 0xb6, 0x75};
  auto at = bytes.begin();
  for (int clusters = 0; (at = std::search(at, bytes.end(), cluster.begin(), cluster.end())) != bytes.end();
       ++at) {
    ++clusters;
    const auto time = std::find(at, bytes.end(), uint8_t{0xe7});
    ASSERT_LT(time - at, 32);
    // The time of the last cluster with the gap behind it becomes two months later.
    if (clusters > 1 && time[1] == 0x82) time[1] = 0x82, time[2] = 0xff, time[3] = 0xff;
  }
  const auto clip = Heard(bytes);
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  EXPECT_LT(static_cast<double>(clip->samples.size()) / 16000, 100.0);
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
