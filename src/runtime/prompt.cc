#include "runtime/prompt.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "text/tokenizer.h"

namespace linnet {
namespace {

// What the three kinds of media differ in; the index is that of the MediaInput variant.
struct Kind {
  std::string_view singular, plural;
  std::string_view spelling;  // of the place in a rendered chat, should the vocabulary not know it
  int32_t TokenIds::* placeholder;
  int32_t TokenIds::* begin;
  int32_t TokenIds::* end;
  TokenType type;
};

constexpr std::array<Kind, 3> kKinds = {{
    {"picture", "pictures", "<|image|>", &TokenIds::image, &TokenIds::begin_image, &TokenIds::end_image,
     TokenType::kImage},
    {"sound", "sounds", "<|audio|>", &TokenIds::audio, &TokenIds::begin_audio, &TokenIds::end_audio,
     TokenType::kAudio},
    {"video", "videos", "<|video|>", &TokenIds::video, &TokenIds::begin_image, &TokenIds::end_image,
     TokenType::kVideo},
}};

// Text, then a medium (none at the end).
struct Segment {
  std::string_view text;
  std::optional<size_t> medium;
};

std::string Spelling(const Tokenizer& tokenizer, const ModelConfig& config, const Kind& kind) {
  const int32_t id = config.tokens.*kind.placeholder;
  if (id < 0) return {};
  const std::string_view text = tokenizer.TokenText(id);
  return std::string(text.empty() ? kind.spelling : text);
}

std::unexpected<Error> WrongCount(const Kind& kind, std::string_view spelling, size_t places, size_t given) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the text has {} places for {} ({}), but {} were given", places, kind.plural,
                          spelling, given),
              fmt::format("give one {} for each place; a text that only speaks of {} must spell it otherwise",
                          kind.singular, spelling));
}

// The rendered text cut at its placeholders, each with the medium that fills it.
Result<std::vector<Segment>> Split(const Tokenizer& tokenizer, const ModelConfig& config,
                                   std::string_view rendered, const std::vector<MediaInput>& media) {
  std::array<std::string, kKinds.size()> spellings;
  std::array<std::vector<size_t>, kKinds.size()> given;
  std::array<size_t, kKinds.size()> used = {};
  for (size_t i = 0; i < media.size(); ++i) given[media[i].index()].push_back(i);
  for (size_t k = 0; k < kKinds.size(); ++k) {
    spellings[k] = Spelling(tokenizer, config, kKinds[k]);
    const bool unmarked = config.tokens.*kKinds[k].begin < 0 || config.tokens.*kKinds[k].end < 0;
    if ((spellings[k].empty() || unmarked) && !given[k].empty()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("this model takes no {}", kKinds[k].plural),
                  "load a model that does, with its multimodal file");
    }
  }
  std::vector<Segment> segments;
  size_t from = 0;
  while (true) {
    size_t at = std::string_view::npos, kind = 0;
    for (size_t k = 0; k < kKinds.size(); ++k) {
      const size_t found = spellings[k].empty() ? at : rendered.find(spellings[k], from);
      if (found < at) at = found, kind = k;
    }
    if (at == std::string_view::npos) break;
    if (const size_t i = used[kind]++; i < given[kind].size()) {
      segments.push_back({rendered.substr(from, at - from), given[kind][i]});
    }
    from = at + spellings[kind].size();
  }
  for (size_t k = 0; k < kKinds.size(); ++k) {
    if (used[k] != given[k].size()) return WrongCount(kKinds[k], spellings[k], used[k], given[k].size());
  }
  segments.push_back({rendered.substr(from), std::nullopt});
  return segments;
}

Status CheckImage(const ImageInput& image, const ModelConfig& config, std::string_view what) {
  const VisionConfig& vision = config.vision;
  const auto fail = [&](std::string_view detail) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", what, detail));
  };
  if (image.rows < 1 || image.positions.size() != 2 * static_cast<uint64_t>(image.rows)) {
    return fail(fmt::format("{} rows with {} coordinates", image.rows, image.positions.size()));
  }
  if (image.patches.size() / static_cast<uint64_t>(image.rows) !=
          static_cast<uint64_t>(vision.patch_values()) ||
      image.patches.size() % static_cast<uint64_t>(image.rows) != 0) {
    return fail(fmt::format("{} values in {} rows, the model takes {} a row", image.patches.size(),
                            image.rows, vision.patch_values()));
  }
  for (const int32_t position : image.positions) {
    if (position < 0 || position >= vision.mm_posemb_size) {
      return fail(fmt::format("a grid coordinate of {}, the model knows 0 to {}", position,
                              vision.mm_posemb_size - 1));
    }
  }
  return {};
}

Status CheckMedium(const MediaInput& medium, const ModelConfig& config) {
  if (const auto* image = std::get_if<ImageInput>(&medium)) return CheckImage(*image, config, "picture");
  const auto* video = std::get_if<VideoInput>(&medium);
  if (video == nullptr) return {};
  if (video->frames.empty() || video->timestamps.size() != video->frames.size()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a video of {} frames with {} times",
                                                         video->frames.size(), video->timestamps.size()));
  }
  for (const ImageInput& frame : video->frames) LINNET_TRY(CheckImage(frame, config, "video frame"));
  return {};
}

// Receives a prompt piece by piece: once as text, once as tokens.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Text(std::string_view text) = 0;
  virtual void Run(const Kind& kind, int64_t count) = 0;  // marker, placeholders, marker
};

int64_t ClipRows(const AudioInput& clip, const ModelConfig& config) {
  const int64_t frame = std::max<int64_t>(config.audio.frame_samples, 1);
  return (static_cast<int64_t>(clip.samples.size()) + frame - 1) / frame;
}

void Write(const std::vector<Segment>& segments, const std::vector<MediaInput>& media,
           const ModelConfig& config, Sink& sink) {
  for (const Segment& segment : segments) {
    sink.Text(segment.text);
    if (!segment.medium) continue;
    const MediaInput& medium = media[*segment.medium];
    const Kind& kind = kKinds[medium.index()];
    if (const auto* image = std::get_if<ImageInput>(&medium)) sink.Run(kind, image->rows);
    if (const auto* clip = std::get_if<AudioInput>(&medium)) sink.Run(kind, ClipRows(*clip, config));
    if (const auto* video = std::get_if<VideoInput>(&medium)) {
      for (size_t f = 0; f < video->frames.size(); ++f) {
        sink.Text(fmt::format("{}{} ", f == 0 ? "" : " ", video->timestamps[f]));
        sink.Run(kind, video->frames[f].rows);
      }
    }
  }
}

class TextSink : public Sink {
 public:
  TextSink(const Tokenizer& tokenizer, const TokenIds& tokens) : tokenizer_(tokenizer), tokens_(tokens) {}
  void Text(std::string_view text) override { out += text; }
  void Run(const Kind& kind, int64_t count) override {
    out += tokenizer_.TokenText(tokens_.*kind.begin);
    for (int64_t i = 0; i < count; ++i) out += tokenizer_.TokenText(tokens_.*kind.placeholder);
    out += tokenizer_.TokenText(tokens_.*kind.end);
  }
  std::string out;

 private:
  const Tokenizer& tokenizer_;
  const TokenIds& tokens_;
};

class TokenSink : public Sink {
 public:
  TokenSink(const Tokenizer& tokenizer, const TokenIds& tokens) : tokenizer_(tokenizer), tokens_(tokens) {}
  // Times of frames run on from the text before them, so text waits until a marker cuts it.
  void Text(std::string_view text) override { pending_ += text; }
  void Run(const Kind& kind, int64_t count) override {
    Flush();
    Append(tokens_.*kind.begin, TokenType::kText);
    for (int64_t i = 0; i < count; ++i) Append(tokens_.*kind.placeholder, kind.type);
    Append(tokens_.*kind.end, TokenType::kText);
  }
  void Flush() {
    for (const int32_t id : tokenizer_.Encode(pending_)) {
      for (const Kind& kind : kKinds) smuggled |= id == tokens_.*kind.placeholder;
      Append(id, TokenType::kText);
    }
    pending_.clear();
  }
  Prompt prompt;
  bool smuggled = false;  // text gave the id of a placeholder

 private:
  void Append(int32_t id, TokenType type) {
    prompt.ids.push_back(id);
    prompt.types.push_back(type);
  }

  const Tokenizer& tokenizer_;
  const TokenIds& tokens_;
  std::string pending_;
};

Result<std::vector<Segment>> Plan(const Tokenizer& tokenizer, const ModelConfig& config,
                                  std::string_view rendered, const std::vector<MediaInput>& media) {
  for (const MediaInput& medium : media) LINNET_TRY(CheckMedium(medium, config));
  return Split(tokenizer, config, rendered, media);
}

}  // namespace

Result<Prompt> BuildPrompt(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view rendered,
                           std::vector<MediaInput> media) {
  LINNET_ASSIGN(const std::vector<Segment> segments, Plan(tokenizer, config, rendered, media));
  TokenSink sink(tokenizer, config.tokens);
  Write(segments, media, config, sink);
  sink.Flush();
  if (sink.smuggled) {
    return Fail(ErrorCode::kInvalidArgument,
                "the text contains the token of a media place that no medium fills", "spell it otherwise");
  }
  for (const Segment& segment : segments) {
    if (!segment.medium) continue;
    MediaInput& medium = media[*segment.medium];
    if (auto* image = std::get_if<ImageInput>(&medium)) sink.prompt.images.push_back(std::move(*image));
    if (auto* clip = std::get_if<AudioInput>(&medium); clip != nullptr && !clip->samples.empty()) {
      sink.prompt.clips.push_back(std::move(*clip));
    }
    if (auto* video = std::get_if<VideoInput>(&medium)) {
      std::move(video->frames.begin(), video->frames.end(), std::back_inserter(sink.prompt.images));
    }
  }
  return std::move(sink.prompt);
}

Result<Prompt> BuildPlainPrompt(const Tokenizer& tokenizer, const ModelConfig& config,
                                std::string_view text) {
  LINNET_ASSIGN(Prompt prompt, BuildPrompt(tokenizer, config, text, {}));
  const int32_t bos = config.tokens.bos;
  if (bos >= 0 && (prompt.ids.empty() || prompt.ids.front() != bos)) {
    prompt.ids.insert(prompt.ids.begin(), bos);
    prompt.types.insert(prompt.types.begin(), TokenType::kText);
  }
  return prompt;
}

Result<std::string> ExpandPlaceholders(const Tokenizer& tokenizer, const ModelConfig& config,
                                       std::string_view rendered, const std::vector<MediaInput>& media) {
  LINNET_ASSIGN(const std::vector<Segment> segments, Plan(tokenizer, config, rendered, media));
  TextSink sink(tokenizer, config.tokens);
  Write(segments, media, config, sink);
  return std::move(sink.out);
}

}  // namespace linnet
