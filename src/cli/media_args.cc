#include "cli/media_args.h"

#include <fmt/core.h>

#include <utility>

#include "media/audio.h"
#include "media/patches.h"
#include "media/picture.h"
#include "runtime/media_input.h"

namespace linnet {
namespace {

void Note(const std::string& file, const std::string& note) {
  if (!note.empty()) fmt::print(stderr, "linnet: {}: {}\n", file, note);
}

int64_t Budget(const std::string& wanted, const Picture& picture, const ModelConfig& config) {
  const int64_t own = config.vision.num_soft_tokens;
  if (wanted == "model") return own;
  if (wanted == "auto") return AutoBudget(picture.height, picture.width, own, config.vision.cell());
  return std::stoll(wanted);  // one of the choices
}

std::unexpected<Error> NoSense(const std::string& file, const char* kind) {
  return Fail(ErrorCode::kUnsupported, fmt::format("{}: this model takes no {}", file, kind),
              "leave it out, or use a model with its multimodal part ('linnet info MODEL' lists the parts)");
}

}  // namespace

void DeclareMedia(Args& args, MediaArgs& values) {
  args.Option("--image", values.images, "a picture (PNG, JPEG, WebP, GIF, BMP, TIFF); can be given again");
  args.Option("--audio", values.audio, "a sound (WAV); can be given again");
  args.Choice("--image-tokens", values.image_tokens, {"model", "auto", "70", "140", "280", "560", "1120"},
              "tokens a picture may take: more show more detail; auto = enough not to shrink it");
}

Status LoadMedia(const MediaArgs& values, const ModelConfig& config, UserMessage& message,
                 std::vector<MediaUse>& uses) {
  for (const std::string& file : values.images) {
    if (!config.vision.present) return NoSense(file, "pictures");
    LINNET_ASSIGN(const Picture picture, LoadPicture(file));
    auto image = MakeImageInput(picture, Budget(values.image_tokens, picture, config), config);
    if (!image) return Prefixed(file, image.error());
    Note(file, picture.note);
    uses.push_back({file, "image", image->rows});
    message.pictures.push_back(std::move(*image));
  }
  for (const std::string& file : values.audio) {
    if (!config.audio.present) return NoSense(file, "sound");
    LINNET_ASSIGN(AudioClip clip, LoadAudio(file));
    Note(file, clip.info.note);
    uses.push_back({file, "audio", FrameCount(static_cast<int64_t>(clip.samples.size()), config.audio.frame_samples)});
    message.sounds.push_back(AudioInput{std::move(clip.samples)});
  }
  return {};
}

}  // namespace linnet
