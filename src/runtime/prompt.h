// A prompt as the model takes it: token ids with one placeholder id per soft token, and the media that fill
// them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/shared_array.h"
#include "linnet/conversation.h"
#include "linnet/error.h"
#include "media/audio.h"
#include "media/patches.h"
#include "model/config.h"
#include "text/marked_text.h"

namespace linnet {

class Tokenizer;

// An array as it lies in memory.
template <typename Values>
std::span<const uint8_t> ContentBytes(const Values& values) {
  const size_t bytes = values.size() * sizeof(*values.data());
  return {reinterpret_cast<const uint8_t*>(values.data()), bytes};
}

// Media are shared: a copy of one holds the same pixels or samples.

// One picture or one video frame: raw cells and their places in the grid. Kept as pixels, a quarter of the
// values that the embedder makes of them.
struct ImageInput {
  int64_t rows = 0;                         // n soft tokens
  SharedArray<uint8_t> pixels;              // (n, 6912)
  PixelScale scale = PixelScale::kProduct;  // from a pixel to its value
  SharedArray<int32_t> positions;           // (n, 2): x, y
  SharedArray<float> patches;               // (n, 6912) in 0..1, instead of pixels: reference data
  std::string sha256 = {};                  // ContentHash(), where it is known already

  // What one of so many soft tokens takes.
  static uint64_t Bytes(const VisionConfig& vision, int64_t rows) {
    return static_cast<uint64_t>(rows) * (static_cast<uint64_t>(vision.patch_values()) + 2 * sizeof(int32_t));
  }
};

// One clip: 16 kHz mono samples; frames of 640, the last one padded with zeros. They are floats as they come
// from mixing, resampling and amplification: fewer bits would be others.
struct AudioInput {
  SharedArray<float> samples;
  std::string sha256 = {};  // as ImageInput

  // n soft tokens.
  int64_t rows(const AudioConfig& audio) const {
    return FrameCount(static_cast<int64_t>(samples.size()), audio.frame_samples);
  }
  static uint64_t Bytes(const AudioConfig& audio, int64_t seconds) {
    return static_cast<uint64_t>(seconds * audio.sampling_rate) * sizeof(float);
  }
};

// Frames of one video in order, with the text that stands before each ("00:01").
struct VideoInput {
  std::vector<ImageInput> frames;
  std::vector<std::string> timestamps;
};

using MediaInput = std::variant<ImageInput, AudioInput, VideoInput>;

// SHA-256 of all that the rows of a medium depend on beside the model.
std::string ContentHash(const ImageInput& image);
std::string ContentHash(const AudioInput& clip);

struct LINNET_HIDDEN Medium::Impl {
  MediaInput input;
};
// Hashes its content, once for all prompts that it will be part of.
Medium MakeMedium(MediaInput input);

enum class TokenType : uint8_t { kText = 0, kImage = 1, kVideo = 2, kAudio = 3 };

// Pictures and video frames: their rows see each other.
constexpr bool IsPicture(TokenType type) { return type == TokenType::kImage || type == TokenType::kVideo; }

struct Prompt {
  std::vector<int32_t> ids;        // placeholders expanded, markers included
  std::vector<TokenType> types;    // same length
  std::vector<ImageInput> images;  // pictures and video frames, in the order of their placeholder runs
  std::vector<AudioInput> clips;   // in the order of their placeholder runs; one without samples has no run
};

// Errors: kInvalidArgument when it does not have the model's shape; `what` names it.
Status CheckImage(const ImageInput& image, const VisionConfig& vision, std::string_view what);

// The tokens of a marked text, each place of a medium replaced by markers and placeholders. The i-th place of
// a kind takes the i-th medium of that kind. Placeholder ids come from media alone: text cannot smuggle one
// in. Errors, all kInvalidArgument: places and media differ in number, a medium does not have the model's
// shape, the model has no such sense.
Result<Prompt> BuildPrompt(const Tokenizer& tokenizer, const ModelConfig& config, const MarkedText& text,
                           const std::vector<MediaInput>& media);

// A trusted text that spells its markers, and `<|image|>`, `<|audio|>`, `<|video|>` where media belong:
// reference data.
MarkedText ReadMarkedText(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view text);

// A text for a model to continue: bos, where the vocabulary has one, and the text without a chat format
// around it. Special tokens spelled out in it are those tokens. Errors, kInvalidArgument: the text has places
// for media.
Result<Prompt> BuildPlainPrompt(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view text);

// The text after expansion, before tokenisation: what the reference processor calls the expanded prompt.
// Errors of BuildPrompt.
Result<std::string> ExpandPlaceholders(const Tokenizer& tokenizer, const ModelConfig& config,
                                       const MarkedText& text, const std::vector<MediaInput>& media);

}  // namespace linnet
