#include "runtime/media_input.h"

#include <string_view>
#include <utility>

#include "base/memory_guard.h"
#include "media/patches.h"
#include "media/video.h"

namespace linnet {
namespace {

constexpr std::string_view kPicture = "the picture", kVideo = "the video",
                           kSmaller = "give fewer --image-tokens or --frames";

Result<ImageInput> Prepare(const Picture& picture, int64_t budget, PixelScale scale,
                           const ModelConfig& config) {
  LINNET_ASSIGN(PatchRows rows, PreparePicture(picture, budget, scale, config.vision.cell()));
  return ImageInput{rows.rows, std::move(rows.patches), std::move(rows.positions)};
}

}  // namespace

Result<ImageInput> MakeImageInput(const Picture& picture, int64_t budget, const ModelConfig& config) {
  return WithinMemory(kPicture, kSmaller,
                      [&] { return Prepare(picture, budget, PixelScale::kProduct, config); });
}

Result<VideoInput> MakeVideoInput(const std::vector<VideoFrame>& frames, double fps, bool sampled,
                                  int64_t budget, const ModelConfig& config) {
  return WithinMemory(kVideo, kSmaller, [&]() -> Result<VideoInput> {
    VideoInput video;
    for (const VideoFrame& frame : frames) {
      LINNET_ASSIGN(ImageInput image, Prepare(frame.picture, budget, PixelScale::kDivision, config));
      video.frames.push_back(std::move(image));
      video.timestamps.push_back(FrameTimestamp(frame.index, fps, sampled));
    }
    return video;
  });
}

Result<VideoInput> MakeVideoInput(const VideoClip& clip, const ModelConfig& config) {
  return WithinMemory(kVideo, kSmaller, [&]() -> Result<VideoInput> {
    VideoInput video;
    for (const ClipFrame& frame : clip.frames) {
      PatchRows rows = CutPatches(frame.picture, PixelScale::kDivision, config.vision.cell());
      video.frames.push_back({rows.rows, std::move(rows.patches), std::move(rows.positions)});
      video.timestamps.push_back(ClipTimestamp(frame.seconds));
    }
    return video;
  });
}

int64_t AutoBudget(int64_t height, int64_t width, int64_t least, int64_t cell, int64_t most) {
  int64_t best = kImageBudgets.front();
  for (const int64_t budget : kImageBudgets) {
    if (most > 0 && budget > most) break;
    best = budget;
    if (budget < least) continue;
    const auto target = TargetSize(height, width, budget, cell);
    if (!target || (target->height >= height && target->width >= width)) break;
  }
  return best;
}

}  // namespace linnet
