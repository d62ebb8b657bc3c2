#include "runtime/soft_rows.h"

#include <string>

#include "model/embedders.h"
#include "runtime/media_input.h"

namespace linnet {

Status CheckMedia(const Engine::Impl& engine, const Prompt& prompt) {
  const ModelConfig& config = engine.config;
  if (prompt.types.size() != prompt.ids.size()) {
    return Fail(ErrorCode::kInternal, "a prompt with as many token types as ids was expected");
  }
  int64_t pictures = 0, sounds = 0;
  for (const TokenType type : prompt.types) {
    pictures += IsPicture(type);
    sounds += type == TokenType::kAudio;
  }
  if (pictures > 0 && engine.weights.vision.empty()) {
    return Fail(ErrorCode::kUnsupported, "this model cannot see: it has no vision embedder",
                "use a model with one, or put its mmproj file beside it");
  }
  if (sounds > 0 && engine.weights.audio.empty()) {
    return Fail(ErrorCode::kUnsupported, "this model cannot hear: it has no audio embedder",
                "use a model with one, or put its mmproj file beside it");
  }
  int64_t picture_rows = 0, sound_rows = 0;
  for (const ImageInput& image : prompt.images) picture_rows += image.rows;
  for (const AudioInput& clip : prompt.clips) {
    sound_rows += (static_cast<int64_t>(clip.samples.size()) + config.audio.frame_samples - 1) /
                  config.audio.frame_samples;
  }
  if (picture_rows != pictures || sound_rows != sounds) {
    return Fail(ErrorCode::kInvalidArgument,
                "the prompt has " + std::to_string(pictures) + " picture and " + std::to_string(sounds) +
                    " sound placeholders, but its media fill " + std::to_string(picture_rows) + " and " +
                    std::to_string(sound_rows));
  }
  for (const ImageInput& image : prompt.images) LINNET_TRY(CheckImage(image, config.vision, "picture"));
  return {};
}

const float* SoftRows::Next(TokenType type) {
  const bool picture = IsPicture(type);
  Stream& stream = picture ? images_ : clips_;
  while (stream.row == stream.rows) {
    stream.row = 0;
    stream.rows = picture ? ComputeImage(stream) : ComputeClip(stream);
  }
  return stream.soft.data() + stream.row++ * engine_.config.hidden_size;
}

int64_t SoftRows::ComputeImage(Stream& stream) {
  const ImageInput& image = prompt_.images[stream.medium++];
  AlignedBuffer<float> values = PatchValues(image);
  stream.soft = AlignedBuffer<float>(static_cast<size_t>(image.rows * engine_.config.hidden_size));
  EmbedImage(engine_.context, {engine_.config.vision, engine_.weights.vision},
             {MakeRows(values.data(), image.rows, engine_.config.vision.patch_values()), image.positions},
             MakeRows(stream.soft.data(), image.rows, engine_.config.hidden_size), probe_);
  return image.rows;
}

int64_t SoftRows::ComputeClip(Stream& stream) {
  const AudioInput& clip = prompt_.clips[stream.medium++];
  const int64_t width = engine_.config.audio.frame_samples;
  const int64_t rows = (static_cast<int64_t>(clip.samples.size()) + width - 1) / width;
  if (rows == 0) return 0;
  AlignedBuffer<float> frames(static_cast<size_t>(rows * width));
  FrameSamples(clip.samples, MakeRows(frames.data(), rows, width));
  stream.soft = AlignedBuffer<float>(static_cast<size_t>(rows * engine_.config.hidden_size));
  EmbedAudio(engine_.context, {engine_.config.audio, engine_.weights.audio},
             MakeRows(frames.data(), rows, width),
             MakeRows(stream.soft.data(), rows, engine_.config.hidden_size), probe_);
  return rows;
}

}  // namespace linnet
