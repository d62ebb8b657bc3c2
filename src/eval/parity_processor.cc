// Prompts with media through expansion and tokenisation, and the times of video frames.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "eval/case_recorder.h"
#include "eval/parity.h"
#include "media/patches.h"
#include "media/video.h"
#include "runtime/media_input.h"
#include "runtime/prompt.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

constexpr int64_t kImageBudget = 280;  // of the reference processor these rows were made with
constexpr int64_t kMaxSamples = 16000 * 3600;
constexpr double kMaxPixels = 1e8;  // of all frames of a video

struct Setup {
  std::unique_ptr<Tokenizer> tokenizer;
  ModelConfig config;
};

Result<Setup> Load(const Path& path) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  auto tokenizer = TokenizerFromJson(text);
  if (!tokenizer) return Prefixed(path.string(), std::move(tokenizer).error());
  Setup setup{std::move(*tokenizer), {}};
  setup.config.vision.present = setup.config.audio.present = true;
  setup.config.vision.mm_posemb_size = kImageBudgets.back();
  const auto id = [&](std::string_view token) { return setup.tokenizer->TokenId(token).value_or(-1); };
  TokenIds& tokens = setup.config.tokens;
  tokens.image = id("<|image|>");
  tokens.audio = id("<|audio|>");
  tokens.video = id("<|video|>");
  tokens.begin_image = id("<|image>");
  tokens.end_image = id("<image|>");
  tokens.begin_audio = id("<|audio>");
  tokens.end_audio = id("<audio|>");
  return setup;
}

// Only the size of a picture decides how a prompt expands.
Result<Picture> BlankPicture(const json& height, const json& width) {
  Picture picture;
  picture.height = height;
  picture.width = width;
  if (picture.height < 1 || picture.width < 1 || picture.height > 4096 || picture.width > 4096) {
    return Fail(ErrorCode::kBadFile, fmt::format("a picture of {} x {}", picture.height, picture.width));
  }
  picture.rgb.resize(static_cast<size_t>(3 * picture.height * picture.width));
  return picture;
}

Result<MediaInput> MakeVideo(const json& video, const ModelConfig& config) {
  LINNET_ASSIGN(const std::vector<int64_t> indices, SampleFrames(video.at("frames"), video.at("num_frames")));
  const double pixels = static_cast<double>(indices.size()) * video.at("height").get<double>() *
                        video.at("width").get<double>();
  if (!(pixels <= kMaxPixels)) return Fail(ErrorCode::kBadFile, fmt::format("a video of {} pixels", pixels));
  std::vector<VideoFrame> frames;
  for (const int64_t index : indices) {
    LINNET_ASSIGN(Picture picture, BlankPicture(video.at("height"), video.at("width")));
    frames.push_back({std::move(picture), index});
  }
  const double fps = video.at("fps").is_null() ? 0.0 : video.at("fps").get<double>();
  LINNET_ASSIGN(VideoInput input, MakeVideoInput(frames, fps, true, kVideoFrameBudget, config));
  return MediaInput(std::move(input));
}

Result<std::vector<MediaInput>> MakeMedia(const json& row, const ModelConfig& config) {
  std::vector<MediaInput> media;
  for (const auto& size : row.at("images_hw")) {
    LINNET_ASSIGN(const Picture picture, BlankPicture(size.at(0), size.at(1)));
    LINNET_ASSIGN(ImageInput image, MakeImageInput(picture, kImageBudget, config));
    media.emplace_back(std::move(image));
  }
  for (const auto& samples : row.at("audio_samples")) {
    const int64_t count = samples;
    if (count < 0 || count > kMaxSamples)
      return Fail(ErrorCode::kBadFile, fmt::format("a sound of {} samples", count));
    media.emplace_back(AudioInput{std::vector<float>(static_cast<size_t>(count))});
  }
  for (const auto& video : row.at("videos")) {
    LINNET_ASSIGN(MediaInput input, MakeVideo(video, config));
    media.push_back(std::move(input));
  }
  return media;
}

template <typename T>
json RunLengths(const std::vector<T>& values) {
  json runs = json::array();
  for (size_t i = 0; i < values.size();) {
    size_t end = i;
    while (end < values.size() && values[end] == values[i]) ++end;
    runs.push_back({static_cast<int64_t>(values[i]), end - i});
    i = end;
  }
  return runs;
}

// Runs of equal values that differ.
int64_t CountDiffering(const json& a, const json& b) {
  int64_t differing = std::abs(static_cast<int64_t>(a.size()) - static_cast<int64_t>(b.size()));
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) differing += a[i] != b[i];
  return differing;
}

Status ComparePrompt(const json& row, const Setup& setup, CaseRecorder& recorder) {
  const std::string text = row.at("text");
  const MarkedText marked = ReadMarkedText(*setup.tokenizer, setup.config, text);
  LINNET_ASSIGN(std::vector<MediaInput> media, MakeMedia(row, setup.config));
  const auto expanded = ExpandPlaceholders(*setup.tokenizer, setup.config, marked, media);
  const auto prompt = BuildPrompt(*setup.tokenizer, setup.config, marked, std::move(media));
  if (row.contains("error")) {
    recorder.Exact("refused", prompt ? 1 : 0);
    return {};
  }
  // The reference notices a wrong number of pictures only; a sound or video too many or too few it lets pass,
  // with placeholders that no medium fills or a medium that is dropped.
  const auto count = [&](std::string_view place) {
    size_t found = 0;
    for (size_t at = text.find(place); at != std::string::npos; at = text.find(place, at + 1)) ++found;
    return found;
  };
  if (count("<|audio|>") != row.at("audio_samples").size() || count("<|video|>") != row.at("videos").size()) {
    recorder.Exact("refused", prompt ? 1 : 0);
    recorder.Note("deliberately different: places and media differ in number, which the reference lets pass");
    return {};
  }
  if (!prompt) {
    recorder.Exact("built", 1, prompt.error().Message());
    return {};
  }
  recorder.Exact("input_ids", CountDiffering(RunLengths(prompt->ids), row.at("input_ids_rle")));
  recorder.Exact("mm_token_type_ids",
                 CountDiffering(RunLengths(prompt->types), row.at("mm_token_type_ids_rle")));
  recorder.Exact("length",
                 std::abs(static_cast<int64_t>(prompt->ids.size()) - row.at("length").get<int64_t>()));
  if (row.contains("expanded"))
    recorder.Exact("expanded", *expanded == row.at("expanded").get<std::string>() ? 0 : 1);
  return {};
}

void CompareTimestamps(const json& row, CaseRecorder& recorder) {
  const bool sampled = row.at("case") == "timestamps, sampled (float32)";
  const double fps = row.at("fps").is_null() ? 0.0 : row.at("fps").get<double>();
  std::string text;
  for (const auto& index : row.at("indices")) {
    if (!text.empty()) text += ' ';
    text += FrameTimestamp(index, fps, sampled) + " <|image><|video|><image|>";
  }
  recorder.Exact(fmt::format("at {} fps", row.at("fps").dump()),
                 text == row.at("text_with_one_token_per_frame").get<std::string>() ? 0 : 1, text);
}

}  // namespace

Status RunProcessorCases(const Path& root, const ParityOptions& options, const CaseSink& sink) {
  const Path rows = root / "preprocessing" / "processor.jsonl";
  std::error_code ignored;
  if (!std::filesystem::exists(rows, ignored)) return {};
  LINNET_ASSIGN(const Setup setup, Load(root / "tokenizer" / "small" / "tokenizer.json"));
  CaseRecorder times("preprocessing/processor/timestamps");
  LINNET_TRY(ForEachRow(rows, [&](const json& row) -> Status {
    const std::string label = row.at("case");
    if (label.starts_with("timestamps")) {
      CompareTimestamps(row, times);
      return {};
    }
    const std::string name = "preprocessing/processor/" + label;
    if (!Wanted(options, name)) return {};
    CaseRecorder recorder(name);
    LINNET_TRY(ComparePrompt(row, setup, recorder));
    sink(recorder.Finish());
    return {};
  }));
  if (CaseResult result = times.Finish(); !result.probes.empty() && Wanted(options, result.name))
    sink(result);
  return {};
}

}  // namespace linnet
