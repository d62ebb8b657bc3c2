#include "runtime/prompt.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "runtime/sha256.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

// What the three kinds of media differ in; the index is that of the MediaInput variant.
struct Kind {
  std::string_view singular, plural;
  Segment::Kind place;
  int32_t TokenIds::* placeholder;
  int32_t TokenIds::* begin;
  int32_t TokenIds::* end;
  TokenType type;
};

constexpr std::array<Kind, 3> kKinds = {{
    {"picture", "pictures", Segment::Kind::kImage, &TokenIds::image, &TokenIds::begin_image,
     &TokenIds::end_image, TokenType::kImage},
    {"sound", "sounds", Segment::Kind::kAudio, &TokenIds::audio, &TokenIds::begin_audio, &TokenIds::end_audio,
     TokenType::kAudio},
    {"video", "videos", Segment::Kind::kVideo, &TokenIds::video, &TokenIds::begin_image, &TokenIds::end_image,
     TokenType::kVideo},
}};

// How the vocabulary spells the place of a medium; empty where the model has no such sense.
std::string Spelling(const Tokenizer& tokenizer, const ModelConfig& config, const Kind& kind) {
  const int32_t id = config.tokens.*kind.placeholder;
  if (id < 0) return {};
  const std::string_view text = tokenizer.TokenText(id);
  return std::string(text.empty() ? PlaceSpelling(kind.place) : text);
}

std::unexpected<Error> WrongCount(const Kind& kind, size_t places, size_t given) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("there are {} places for {}, but {} were given", places, kind.plural, given),
              fmt::format("give one {} for each place", kind.singular));
}

// For each place of a text, in order, the medium that fills it.
Result<std::vector<size_t>> Assign(const ModelConfig& config, const MarkedText& text,
                                   const std::vector<MediaInput>& media) {
  std::array<std::vector<size_t>, kKinds.size()> given;
  std::array<size_t, kKinds.size()> used = {};
  for (size_t i = 0; i < media.size(); ++i) given[media[i].index()].push_back(i);
  for (size_t k = 0; k < kKinds.size(); ++k) {
    const bool marked = config.tokens.*kKinds[k].placeholder >= 0 && config.tokens.*kKinds[k].begin >= 0 &&
                        config.tokens.*kKinds[k].end >= 0;
    if (!marked && !given[k].empty()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("this model takes no {}", kKinds[k].plural),
                  "load a model that does, with its multimodal file");
    }
  }
  std::vector<size_t> assigned;
  for (const Segment& segment : text.segments()) {
    const auto kind = std::ranges::find(kKinds, segment.kind, &Kind::place);
    if (kind == kKinds.end()) continue;
    const size_t k = static_cast<size_t>(kind - kKinds.begin());
    if (const size_t i = used[k]++; i < given[k].size()) assigned.push_back(given[k][i]);
  }
  for (size_t k = 0; k < kKinds.size(); ++k) {
    if (used[k] != given[k].size()) return WrongCount(kKinds[k], used[k], given[k].size());
  }
  return assigned;
}

Status CheckMedium(const MediaInput& medium, const ModelConfig& config) {
  if (const auto* image = std::get_if<ImageInput>(&medium))
    return CheckImage(*image, config.vision, "picture");
  const auto* video = std::get_if<VideoInput>(&medium);
  if (video == nullptr) return {};
  if (video->frames.empty() || video->timestamps.size() != video->frames.size()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a video of {} frames with {} times",
                                                         video->frames.size(), video->timestamps.size()));
  }
  for (const ImageInput& frame : video->frames) LINNET_TRY(CheckImage(frame, config.vision, "video frame"));
  return {};
}

// Receives a prompt piece by piece: once as text, once as tokens.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Add(const Segment& segment) = 0;           // no place of a medium
  virtual void Run(const Kind& kind, int64_t count) = 0;  // marker, placeholders, marker
};

void WriteMedium(const MediaInput& medium, const ModelConfig& config, Sink& sink) {
  const Kind& kind = kKinds[medium.index()];
  if (const auto* image = std::get_if<ImageInput>(&medium)) sink.Run(kind, image->rows);
  if (const auto* clip = std::get_if<AudioInput>(&medium)) sink.Run(kind, clip->rows(config.audio));
  if (const auto* video = std::get_if<VideoInput>(&medium)) {
    for (size_t f = 0; f < video->frames.size(); ++f) {
      sink.Add({Segment::Kind::kText, fmt::format("{}{} ", f == 0 ? "" : " ", video->timestamps[f]), {}});
      sink.Run(kind, video->frames[f].rows);
    }
  }
}

class TextSink : public Sink {
 public:
  TextSink(const Tokenizer& tokenizer, const TokenIds& tokens) : tokenizer_(tokenizer), tokens_(tokens) {}
  void Add(const Segment& segment) override { out += segment.text; }
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
  // Times of frames run on from the text before them, so text waits until a medium cuts it.
  void Add(const Segment& segment) override { pending_.push_back(segment); }
  void Run(const Kind& kind, int64_t count) override {
    Flush();
    Append(tokens_.*kind.begin, TokenType::kText);
    for (int64_t i = 0; i < count; ++i) Append(tokens_.*kind.placeholder, kind.type);
    Append(tokens_.*kind.end, TokenType::kText);
  }
  void Flush() {
    for (const int32_t id : tokenizer_.EncodeSegments(pending_)) Append(id, TokenType::kText);
    pending_.clear();
  }
  Prompt prompt;

 private:
  void Append(int32_t id, TokenType type) {
    prompt.ids.push_back(id);
    prompt.types.push_back(type);
  }

  const Tokenizer& tokenizer_;
  const TokenIds& tokens_;
  std::vector<Segment> pending_;
};

// Writes the text with its media; for each place the medium that filled it.
Result<std::vector<size_t>> Write(const ModelConfig& config, const MarkedText& text,
                                  const std::vector<MediaInput>& media, Sink& sink) {
  for (const MediaInput& medium : media) LINNET_TRY(CheckMedium(medium, config));
  LINNET_ASSIGN(std::vector<size_t> assigned, Assign(config, text, media));
  size_t place = 0;
  for (const Segment& segment : text.segments()) {
    if (PlaceSpelling(segment.kind).empty()) {
      sink.Add(segment);
    } else {
      WriteMedium(media[assigned[place++]], config, sink);
    }
  }
  return assigned;
}

// Kinds of media whose placeholder came from somewhere else than a medium.
Status CheckPlaceholders(const ModelConfig& config, const Prompt& prompt) {
  for (size_t t = 0; t < prompt.ids.size(); ++t) {
    if (prompt.types[t] != TokenType::kText) continue;
    for (const Kind& kind : kKinds) {
      if (prompt.ids[t] != config.tokens.*kind.placeholder) continue;
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the text has the place of a {} ({}) that none fills", kind.singular,
                              PlaceSpelling(kind.place)),
                  "leave its marker out; a text that only speaks of it must be given without --raw");
    }
  }
  return {};
}

}  // namespace

std::string ContentHash(const ImageInput& image) {
  if (!image.sha256.empty()) return image.sha256;
  const std::array<int64_t, 4> shape = {image.rows, static_cast<int64_t>(image.scale),
                                        static_cast<int64_t>(image.pixels.size()),
                                        static_cast<int64_t>(image.patches.size())};
  const std::array pieces = {ContentBytes(shape), ContentBytes(image.pixels), ContentBytes(image.positions),
                             ContentBytes(image.patches)};
  return Sha256Hex(std::span(pieces));
}

std::string ContentHash(const AudioInput& clip) {
  return clip.sha256.empty() ? Sha256Hex(ContentBytes(clip.samples)) : clip.sha256;
}

Medium MakeMedium(MediaInput input) {
  if (auto* image = std::get_if<ImageInput>(&input)) image->sha256 = ContentHash(*image);
  if (auto* clip = std::get_if<AudioInput>(&input)) clip->sha256 = ContentHash(*clip);
  if (auto* video = std::get_if<VideoInput>(&input)) {
    for (ImageInput& frame : video->frames) frame.sha256 = ContentHash(frame);
  }
  return Medium(std::make_shared<const Medium::Impl>(Medium::Impl{std::move(input)}));
}

Status CheckImage(const ImageInput& image, const VisionConfig& vision, std::string_view what) {
  const auto fail = [&](std::string_view detail) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", what, detail));
  };
  if (image.rows < 1 || image.positions.size() != 2 * static_cast<uint64_t>(image.rows)) {
    return fail(fmt::format("{} rows with {} coordinates", image.rows, image.positions.size()));
  }
  const uint64_t values = image.pixels.size() + image.patches.size(),
                 rows = static_cast<uint64_t>(image.rows);
  if (values / rows != static_cast<uint64_t>(vision.patch_values()) || values % rows != 0) {
    return fail(
        fmt::format("{} values in {} rows, the model takes {} a row", values, rows, vision.patch_values()));
  }
  if (!image.pixels.empty() && !image.patches.empty()) return fail("both pixels and values of them");
  for (const int32_t position : image.positions) {
    if (position < 0 || position >= vision.mm_posemb_size) {
      return fail(fmt::format("a grid coordinate of {}, the model knows 0 to {}", position,
                              vision.mm_posemb_size - 1));
    }
  }
  return {};
}

MarkedText ReadMarkedText(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view text) {
  MarkedText marked;
  while (true) {
    size_t at = std::string_view::npos;
    const Kind* kind = nullptr;
    for (const Kind& candidate : kKinds) {
      const std::string spelling = Spelling(tokenizer, config, candidate);
      const size_t found = spelling.empty() ? at : text.find(spelling);
      if (found < at) at = found, kind = &candidate;
    }
    marked.Append(tokenizer.ReadMarkers(text.substr(0, at)));
    if (kind == nullptr) return marked;
    marked.Medium(kind->place);
    text.remove_prefix(at + Spelling(tokenizer, config, *kind).size());
  }
}

Result<Prompt> BuildPrompt(const Tokenizer& tokenizer, const ModelConfig& config, const MarkedText& text,
                           const std::vector<MediaInput>& media) {
  TokenSink sink(tokenizer, config.tokens);
  LINNET_ASSIGN(const std::vector<size_t> assigned, Write(config, text, media, sink));
  sink.Flush();
  Prompt& prompt = sink.prompt;
  LINNET_TRY(CheckPlaceholders(config, prompt));
  for (const size_t i : assigned) {
    if (const auto* image = std::get_if<ImageInput>(&media[i])) prompt.images.push_back(*image);
    if (const auto* clip = std::get_if<AudioInput>(&media[i]); clip != nullptr && !clip->samples.empty()) {
      prompt.clips.push_back(*clip);
    }
    if (const auto* video = std::get_if<VideoInput>(&media[i])) {
      prompt.images.insert(prompt.images.end(), video->frames.begin(), video->frames.end());
    }
  }
  return std::move(prompt);
}

Result<Prompt> BuildPlainPrompt(const Tokenizer& tokenizer, const ModelConfig& config,
                                std::string_view text) {
  Prompt prompt;
  prompt.ids = tokenizer.Encode(text);
  const int32_t bos = config.tokens.bos;
  if (bos >= 0 && (prompt.ids.empty() || prompt.ids.front() != bos)) {
    prompt.ids.insert(prompt.ids.begin(), bos);
  }
  prompt.types.assign(prompt.ids.size(), TokenType::kText);
  LINNET_TRY(CheckPlaceholders(config, prompt));
  return prompt;
}

Result<std::string> ExpandPlaceholders(const Tokenizer& tokenizer, const ModelConfig& config,
                                       const MarkedText& text, const std::vector<MediaInput>& media) {
  TextSink sink(tokenizer, config.tokens);
  LINNET_TRY(Write(config, text, media, sink));
  return std::move(sink.out);
}

}  // namespace linnet
