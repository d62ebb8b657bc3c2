#include "runtime/soft_rows.h"

#include <string>
#include <utility>

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
  for (const AudioInput& clip : prompt.clips) sound_rows += clip.rows(config.audio);
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
  const VisionConfig& vision = engine_.config.vision;
  const int64_t width = engine_.config.hidden_size;
  stream.soft = {};
  MediumBuffers buffers;
  Allocate(buffers, image.rows, vision.patch_values(), width);
  PatchValues(image, buffers.input);
  EmbedImage(engine_.context, {vision, engine_.weights.vision},
             {MakeRows(buffers.input.data(), image.rows, vision.patch_values()), image.positions},
             MakeRows(buffers.soft.data(), image.rows, width), probe_);
  stream.soft = std::move(buffers.soft);
  return image.rows;
}

int64_t SoftRows::ComputeClip(Stream& stream) {
  const AudioInput& clip = prompt_.clips[stream.medium++];
  const AudioConfig& audio = engine_.config.audio;
  const int64_t width = engine_.config.hidden_size;
  const int64_t rows = clip.rows(audio);
  if (rows == 0) return 0;
  stream.soft = {};
  MediumBuffers buffers;
  Allocate(buffers, rows, audio.frame_samples, width);
  const Rows frames = MakeRows(buffers.input.data(), rows, audio.frame_samples);
  FrameSamples(clip.samples, frames);
  EmbedAudio(engine_.context, {audio, engine_.weights.audio}, frames,
             MakeRows(buffers.soft.data(), rows, width), probe_);
  stream.soft = std::move(buffers.soft);
  return rows;
}

}  // namespace linnet
