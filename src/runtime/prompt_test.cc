#include "runtime/prompt.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "media/patches.h"
#include "media/video.h"
#include "runtime/media_input.h"
#include "runtime/media_testing.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

using nlohmann::json;
using testing::Grey;

constexpr const char* kGolden = LINNET_SOURCE_DIR "/tests/data/golden/";

const Tokenizer& SmallTokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer = [] {
    std::ifstream in(std::string(kGolden) + "tokenizer/small/tokenizer.json", std::ios::binary);
    return TokenizerFromJson(std::string(std::istreambuf_iterator<char>(in), {})).value();
  }();
  return *tokenizer;
}

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vision.present = config.audio.present = true;
  config.vision.mm_posemb_size = 1120;
  const auto id = [](std::string_view token) { return SmallTokenizer().TokenId(token).value(); };
  config.tokens.image = id("<|image|>");
  config.tokens.audio = id("<|audio|>");
  config.tokens.video = id("<|video|>");
  config.tokens.begin_image = id("<|image>");
  config.tokens.end_image = id("<image|>");
  config.tokens.begin_audio = id("<|audio>");
  config.tokens.end_audio = id("<audio|>");
  return config;
}

std::vector<MediaInput> MediaOf(const json& row, const ModelConfig& config) {
  std::vector<MediaInput> media;
  for (const auto& size : row["images_hw"])
    media.emplace_back(MakeImageInput(Grey(size[0], size[1]), 280, config).value());
  for (const auto& samples : row["audio_samples"])
    media.emplace_back(AudioInput{std::vector<float>(samples.get<size_t>())});
  for (const auto& video : row["videos"]) {
    std::vector<VideoFrame> frames;
    const std::vector<int64_t> indices = SampleFrames(video["frames"], video["num_frames"]).value();
    for (const int64_t index : indices) {
      frames.push_back({Grey(video["height"], video["width"]), index});
    }
    const double fps = video["fps"].is_null() ? 0.0 : video["fps"].get<double>();
    media.emplace_back(MakeVideoInput(frames, fps, true, kVideoFrameBudget, config).value());
  }
  return media;
}

template <typename T>
json RunLengths(const std::vector<T>& values) {
  json runs = json::array();
  for (const T value : values) {
    if (runs.empty() || runs.back()[0] != static_cast<int>(value))
      runs.push_back({static_cast<int>(value), 0});
    runs.back()[1] = runs.back()[1].template get<int>() + 1;
  }
  return runs;
}

Result<Prompt> Build(const ModelConfig& config, std::string_view text, const std::vector<MediaInput>& media) {
  return BuildPrompt(SmallTokenizer(), config, ReadMarkedText(SmallTokenizer(), config, text), media);
}

TEST(BuildPrompt, EqualsTheReferenceProcessor) {
  const ModelConfig config = SmallConfig();
  std::ifstream in(std::string(kGolden) + "preprocessing/processor.jsonl");
  int compared = 0;
  for (std::string line; std::getline(in, line);) {
    const json row = json::parse(line);
    const std::string name = row["case"];
    if (name.starts_with("timestamps")) continue;
    auto media = MediaOf(row, config);
    const MarkedText text = ReadMarkedText(SmallTokenizer(), config, row["text"].get<std::string>());
    const auto expanded = ExpandPlaceholders(SmallTokenizer(), config, text, media);
    const auto prompt = BuildPrompt(SmallTokenizer(), config, text, media);
    // The reference lets a place for a sound or video stand empty, and drops a sound without a place: here an
    // error.
    const bool lenient = name == "placeholder without audio" || name == "placeholder without video" ||
                         name == "audio without placeholder";
    if (row.contains("error") || lenient) {
      ASSERT_FALSE(prompt.has_value()) << name;
      EXPECT_EQ(prompt.error().code, ErrorCode::kInvalidArgument);
      EXPECT_FALSE(expanded.has_value());
      continue;
    }
    ASSERT_TRUE(prompt.has_value()) << name << ": " << prompt.error().Message();
    EXPECT_EQ(RunLengths(prompt->ids), row["input_ids_rle"]) << name;
    EXPECT_EQ(RunLengths(prompt->types), row["mm_token_type_ids_rle"]) << name;
    if (row.contains("expanded")) {
      EXPECT_EQ(*expanded, row["expanded"]) << name;
    }
    EXPECT_EQ(SmallTokenizer().Encode(*expanded), prompt->ids) << name;
    ++compared;
  }
  EXPECT_GE(compared, 18);
}

TEST(BuildPrompt, MediaFollowTheOrderOfTheirPlaces) {
  const ModelConfig config = SmallConfig();
  std::vector<MediaInput> media;
  media.emplace_back(AudioInput{std::vector<float>(640, 0.5f)});
  media.emplace_back(MakeImageInput(Grey(60, 90), 70, config).value());
  media.emplace_back(AudioInput{});
  media.emplace_back(MakeImageInput(Grey(90, 60), 70, config).value());
  const float* samples = std::get<AudioInput>(media[0]).samples.data();
  const uint8_t* pixels = std::get<ImageInput>(media[3]).pixels.data();
  const int64_t first = std::get<ImageInput>(media[1]).rows, second = std::get<ImageInput>(media[3]).rows;
  const auto prompt = Build(config, "<|image|>a<|audio|>b<|image|>c<|audio|>", media);
  ASSERT_TRUE(prompt.has_value());
  ASSERT_EQ(prompt->images.size(), 2u);
  EXPECT_EQ(prompt->images[0].rows, first);
  EXPECT_EQ(prompt->images[1].rows, second);
  ASSERT_EQ(prompt->clips.size(), 1u);  // the empty one has markers and no run
  EXPECT_EQ(prompt->clips[0].samples.size(), 640u);
  EXPECT_EQ(prompt->clips[0].samples.data(), samples) << "copied";
  EXPECT_EQ(prompt->images[1].pixels.data(), pixels) << "copied";
}

TEST(BuildPrompt, ErrorsCountPlacesAndMedia) {
  const auto prompt = Build(SmallConfig(), "write <|image|> twice: <|image|>", {});
  ASSERT_FALSE(prompt.has_value());
  EXPECT_EQ(prompt.error().Message(),
            "there are 2 places for pictures, but 0 were given; give one picture for each place");
}

TEST(BuildPrompt, ATextMaySpeakOfPlaces) {
  MarkedText text;
  text.Marker("<bos>").Text("what does <|image|> mean").Medium(Segment::Kind::kImage);
  std::vector<MediaInput> media;
  media.emplace_back(MakeImageInput(Grey(60, 90), 70, SmallConfig()).value());
  const int64_t rows = std::get<ImageInput>(media[0]).rows;
  const auto prompt = BuildPrompt(SmallTokenizer(), SmallConfig(), text, media);
  ASSERT_TRUE(prompt.has_value()) << prompt.error().Message();
  EXPECT_EQ(std::ranges::count(prompt->ids, SmallConfig().tokens.image), rows);
  EXPECT_TRUE(SmallTokenizer().Decode(prompt->ids).starts_with("<bos>what does <|image|> mean<|image>"));
}

TEST(BuildPlainPrompt, IsBosAndTheText) {
  ModelConfig config = SmallConfig();
  config.tokens.bos = -1;
  const std::vector<int32_t> ids = SmallTokenizer().Encode("the cat");
  EXPECT_EQ(BuildPlainPrompt(SmallTokenizer(), config, "the cat")->ids, ids) << "a vocabulary without bos";
  config.tokens.bos = SmallTokenizer().TokenId("<bos>").value();
  std::vector<int32_t> expected = ids;
  expected.insert(expected.begin(), config.tokens.bos);
  const Prompt prompt = BuildPlainPrompt(SmallTokenizer(), config, "the cat").value();
  EXPECT_EQ(prompt.ids, expected);
  EXPECT_EQ(prompt.types, std::vector<TokenType>(expected.size(), TokenType::kText));
  EXPECT_EQ(BuildPlainPrompt(SmallTokenizer(), config, "<bos>the cat")->ids, expected) << "not two of them";
  EXPECT_EQ(BuildPlainPrompt(SmallTokenizer(), config, "")->ids, std::vector<int32_t>{config.tokens.bos});
  EXPECT_EQ(BuildPlainPrompt(SmallTokenizer(), config, "a <|audio|>").error().code,
            ErrorCode::kInvalidArgument);
}

TEST(BuildPrompt, AModelWithoutEyesRefusesPictures) {
  ModelConfig config = SmallConfig();
  std::vector<MediaInput> media;
  media.emplace_back(MakeImageInput(Grey(60, 90), 70, config).value());
  config.tokens.image = -1;
  const auto prompt = Build(config, "<|image|>", media);
  ASSERT_FALSE(prompt.has_value());
  EXPECT_NE(prompt.error().what.find("takes no pictures"), std::string::npos);
}

TEST(BuildPrompt, MediaOfAnotherShapeAreRefused) {
  const ModelConfig config = SmallConfig();
  const ImageInput good = MakeImageInput(Grey(60, 90), 70, config).value();
  std::vector<ImageInput> bad(4, good);
  bad[0].pixels = good.pixels.Slice(1, good.pixels.size() - 1);
  bad[1].positions = good.positions.Slice(1, good.positions.size() - 1);
  bad[2].positions = std::vector<int32_t>(good.positions.size(), 1120);
  bad[3].rows = 0;
  for (const ImageInput& image : bad) {
    std::vector<MediaInput> media;
    media.emplace_back(image);
    EXPECT_FALSE(Build(config, "<|image|>", media).has_value());
  }
  VideoInput video;
  video.frames.push_back(good);
  std::vector<MediaInput> media;
  media.emplace_back(video);
  EXPECT_FALSE(Build(config, "<|video|>", media).has_value());
}

TEST(AutoBudget, ShowsEverythingAndWastesNothing) {
  EXPECT_EQ(AutoBudget(1080, 1920, 280, 48), 1120);
  EXPECT_EQ(AutoBudget(64, 64, 280, 48), 280);
  EXPECT_EQ(AutoBudget(64, 64, 70, 48), 70);
  EXPECT_EQ(AutoBudget(480, 640, 70, 48), 280);
  EXPECT_EQ(AutoBudget(3000, 4000, 280, 48), 1120);
  EXPECT_EQ(AutoBudget(1080, 1920, 280, 48, 600), 560);
  EXPECT_EQ(AutoBudget(1080, 1920, 280, 48, 100), 70);
  EXPECT_EQ(AutoBudget(1080, 1920, 280, 48, 5), 70);
}

}  // namespace
}  // namespace linnet
