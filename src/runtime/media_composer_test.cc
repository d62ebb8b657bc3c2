#include "runtime/media_composer.h"

#include <cmath>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "media/audio.h"
#include "runtime/media_testing.h"
#include "runtime/prompt.h"

namespace linnet {
namespace {

using testing::Grey;

constexpr MediaRoom kWide = {.context = 100'000, .taken = 0};

ModelConfig Config() {
  ModelConfig config;
  config.vision.present = config.audio.present = true;
  config.vision.mm_posemb_size = 1120;
  config.tokens.video = 7;
  return config;
}

MediaPart PicturePart(int64_t height, int64_t width, int64_t tokens = 0) {
  return {.content = Grey(height, width), .options = {.image_tokens = tokens}, .name = "picture"};
}

// A tone with a pause of half a second every five.
MediaPart SoundPart(int64_t seconds) {
  AudioClip clip;
  clip.samples.resize(static_cast<size_t>(seconds * kSampleRate));
  for (size_t i = 0; i < clip.samples.size(); ++i) {
    const bool pause = i % (5 * kSampleRate) < kSampleRate / 2;
    clip.samples[i] = pause ? 0.0f : 0.3f * std::sin(static_cast<float>(i % 16000) * 0.1f);
  }
  return {.content = std::move(clip), .name = "sound"};
}

class MediaComposer : public ::testing::Test {
 protected:
  Result<std::vector<MediaUse>> Add(MediaRoom room, std::vector<MediaPart> parts) {
    return AddMedia(loader_, config_, room, std::move(parts), message_);
  }

  static int64_t Tokens(const std::vector<MediaUse>& uses) {
    int64_t tokens = 0;
    for (const MediaUse& use : uses) tokens += use.soft_tokens;
    return tokens;
  }

  MediaLoader loader_{{.sandbox = false}};
  ModelConfig config_ = Config();
  UserMessage message_;
};

TEST_F(MediaComposer, PicturesShareWhatIsLeft) {
  for (const auto& [context, pictures, least, most] :
       std::vector<std::tuple<int64_t, int, int64_t, int64_t>>{{8192, 1, 1060, 1120},
                                                               {8192, 7, 500, 1120},
                                                               {8192, 20, 260, 560},
                                                               {2048, 20, 60, 140},
                                                               {512, 1, 260, 280}}) {
    message_ = {};
    std::vector<MediaPart> parts;
    for (int i = 0; i < pictures; ++i) parts.push_back(PicturePart(1080, 1920));
    const auto uses = Add({.context = context, .taken = 20}, std::move(parts));
    ASSERT_TRUE(uses.has_value()) << uses.error().Message();
    ASSERT_EQ(uses->size(), static_cast<size_t>(pictures));
    EXPECT_LT(Tokens(*uses), context);
    for (const MediaUse& use : *uses) {
      EXPECT_GE(use.soft_tokens, least) << context << ", " << pictures;
      EXPECT_LE(use.soft_tokens, most) << context << ", " << pictures;
      const bool said = !use.notes.empty() && use.notes[0].find("has no room for more") != std::string::npos;
      EXPECT_EQ(said, use.soft_tokens < 1060) << use.soft_tokens;
    }
  }
}

TEST_F(MediaComposer, ASmallPictureLeavesItsShareToOthers) {
  const auto uses = Add({.context = 2048, .taken = 0}, {});
  ASSERT_TRUE(uses.has_value());
  std::vector<MediaPart> parts;
  parts.push_back(PicturePart(40, 40));
  parts.push_back(PicturePart(1080, 1920));
  const auto both = Add({.context = 2048, .taken = 0}, std::move(parts));
  ASSERT_TRUE(both.has_value()) << both.error().Message();
  EXPECT_LE((*both)[0].soft_tokens, 280);
  EXPECT_TRUE((*both)[0].notes.empty());
  EXPECT_GT((*both)[1].soft_tokens, 1000);
}

TEST_F(MediaComposer, LessThanTheModelsOwnBudgetIsSaid) {
  std::vector<MediaPart> parts;
  for (int i = 0; i < 4; ++i) parts.push_back(PicturePart(40, 40));
  const auto uses = Add({.context = 500, .taken = 0}, std::move(parts));
  ASSERT_TRUE(uses.has_value()) << uses.error().Message();
  EXPECT_LE((*uses)[0].soft_tokens, 70);
  ASSERT_EQ((*uses)[0].notes.size(), 1u);
  EXPECT_NE((*uses)[0].notes[0].find("tokens instead of up to 280"), std::string::npos);
}

TEST_F(MediaComposer, WhatDoesNotFitIsOneErrorAndLeavesTheMessage) {
  message_.text = "what";
  std::vector<MediaPart> parts;
  for (int i = 0; i < 3; ++i) parts.push_back(PicturePart(1080, 1920, 1120));
  const auto pictures = Add({.context = 2048, .taken = 48}, std::move(parts));
  ASSERT_FALSE(pictures.has_value());
  EXPECT_EQ(pictures.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(pictures.error().what.find("with the other media, and the context holds 2048, 2000 of them"),
            std::string::npos)
      << pictures.error().what;
  parts.clear();
  parts.push_back(SoundPart(61));
  const auto sound = Add({.context = 600, .taken = 20}, std::move(parts));
  ASSERT_FALSE(sound.has_value());
  EXPECT_TRUE(sound.error().what.starts_with("sound: 61 s of sound are 15")) << sound.error().what;
  EXPECT_NE(sound.error().hint.find("linnet transcribe"), std::string::npos);
  EXPECT_TRUE(message_.pictures.empty() && message_.sounds.empty());
}

TEST_F(MediaComposer, WhatIsTakenBeyondTheContextIsAnErrorToo) {
  for (const int64_t tokens : {int64_t{0}, int64_t{70}}) {
    std::vector<MediaPart> parts;
    parts.push_back(PicturePart(64, 64, tokens));
    const auto uses = Add({.context = 10, .taken = 18}, std::move(parts));
    ASSERT_FALSE(uses);
    EXPECT_EQ(uses.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(uses.error().what.find("the context holds 10, 0 of them beside the text"), std::string::npos)
        << uses.error().what;
  }
}

TEST_F(MediaComposer, LongSoundsBecomeSeveralThatShareTheirSamples) {
  for (const auto& [seconds, least] : {std::pair<int64_t, size_t>{29, 1}, {30, 1}, {31, 3}, {61, 5}}) {
    message_ = {};
    std::vector<MediaPart> parts;
    parts.push_back(SoundPart(seconds));
    const float* samples = std::get<AudioClip>(parts[0].content).samples.data();
    const auto uses = Add(kWide, std::move(parts));
    ASSERT_TRUE(uses.has_value()) << uses.error().Message();
    ASSERT_GE(message_.sounds.size(), least) << seconds;
    EXPECT_EQ(message_.sounds.size() == 1, least == 1) << seconds;
    int64_t tokens = 0;
    for (const Medium& sound : message_.sounds) {
      const auto& part = std::get<AudioInput>(sound.impl().input).samples;
      EXPECT_EQ(part.data(), samples) << "copied, or something left out";
      EXPECT_LE(part.size(), static_cast<size_t>((least == 1 ? 30 : 15) * kSampleRate));
      samples += part.size();
      tokens += FrameCount(static_cast<int64_t>(part.size()));
    }
    ASSERT_EQ(uses->size(), 1u);
    EXPECT_EQ((*uses)[0].soft_tokens, tokens);
    EXPECT_EQ((*uses)[0].notes.size(), least == 1 ? 0u : 1u);
  }
}

TEST_F(MediaComposer, KindsKeepTheirOrderWhateverIsLoadedFirst) {
  std::vector<MediaPart> parts;
  parts.push_back(SoundPart(2));
  parts.push_back(PicturePart(96, 48));
  parts.push_back(PicturePart(48, 96, 70));
  parts.push_back(SoundPart(1));
  const auto uses = Add(kWide, std::move(parts));
  ASSERT_TRUE(uses.has_value()) << uses.error().Message();
  ASSERT_EQ(message_.pictures.size(), 2u);
  EXPECT_GT(std::get<ImageInput>(message_.pictures[0].impl().input).rows, 70);
  EXPECT_LE(std::get<ImageInput>(message_.pictures[1].impl().input).rows, 70);
  ASSERT_EQ(message_.sounds.size(), 2u);
  EXPECT_EQ(std::get<AudioInput>(message_.sounds[0].impl().input).samples.size(), 2u * kSampleRate);
  std::vector<std::string> kinds;
  for (const MediaUse& use : *uses) kinds.push_back(use.kind);
  EXPECT_EQ(kinds, (std::vector<std::string>{"audio", "image", "image", "audio"}));
}

TEST_F(MediaComposer, APictureIsHeldAsItsBytes) {
  std::vector<MediaPart> parts;
  parts.push_back(PicturePart(480, 640));
  ASSERT_TRUE(Add(kWide, std::move(parts)).has_value());
  const auto& image = std::get<ImageInput>(message_.pictures[0].impl().input);
  EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.rows * 48 * 48 * 3));
  EXPECT_TRUE(image.patches.empty());
}

TEST_F(MediaComposer, AModelWithoutTheSenseRefuses) {
  config_.audio.present = false;
  config_.vision.present = false;
  std::vector<MediaPart> parts;
  parts.push_back(SoundPart(1));
  EXPECT_EQ(Add(kWide, std::move(parts)).error().code, ErrorCode::kUnsupported);
  parts.clear();
  parts.push_back(PicturePart(48, 48));
  EXPECT_EQ(Add(kWide, std::move(parts)).error().Message().find("picture: this model takes no pictures"), 0u);
  EXPECT_EQ(RoomForSound(config_, kWide).error().code, ErrorCode::kUnsupported);
  config_.audio.present = true;
  EXPECT_EQ(RoomForSound(config_, {.context = 100, .taken = 90}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_NEAR(RoomForSound(config_, {.context = 8192, .taken = 0}).value(), 7166 * 0.04, 0.01);
}

// Also: what a file is is seen from its content.
TEST_F(MediaComposer, VideosKeepFewerFramesWhereThereIsLittleRoom) {
  const auto film = [] {
    std::vector<MediaPart> parts;
    parts.push_back({.content = MediaSource(LINNET_SOURCE_DIR "/tests/data/media/clip.mp4"),
                     .options = {.frames_per_second = 10}});
    return parts;
  };
  const auto wide = Add(kWide, film());
  if (!wide && wide.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << wide.error().Message();
  ASSERT_TRUE(wide.has_value()) << wide.error().Message();
  const VideoInput all = std::get<VideoInput>(message_.pictures[0].impl().input);
  const int64_t sound = Tokens(*wide) - (*wide)[0].soft_tokens;
  message_ = {};
  const int64_t room = sound + (*wide)[0].soft_tokens / 2;
  const auto little = Add({.context = room, .taken = 0}, film());
  ASSERT_TRUE(little.has_value()) << little.error().Message();
  const auto& few = std::get<VideoInput>(message_.pictures[0].impl().input);
  EXPECT_LT(few.frames.size(), all.frames.size());
  EXPECT_EQ(few.frames.size(), few.timestamps.size());
  EXPECT_EQ(few.timestamps[0], all.timestamps[0]);
  EXPECT_LE(Tokens(*little), room);
  ASSERT_FALSE((*little)[0].notes.empty());
  EXPECT_NE((*little)[0].notes.back().find("of them are used, evenly"), std::string::npos);
  EXPECT_FALSE((*little)[0].unprotected.empty());
}

}  // namespace
}  // namespace linnet
