#include "runtime/media_input.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/memory_guard.h"
#include "media/patches.h"
#include "media/video.h"

namespace linnet {
namespace {

constexpr std::string_view kPicture = "the picture", kVideo = "the video",
                           kSmaller = "give fewer --image-tokens or --frames";

ImageInput Share(PatchRows rows, PixelScale scale) {
  return {rows.rows, std::move(rows.pixels), scale, std::move(rows.positions), {}};
}

Result<ImageInput> Prepare(const Picture& picture, int64_t budget, PixelScale scale,
                           const ModelConfig& config) {
  LINNET_ASSIGN(PatchRows rows, PreparePicture(picture, budget, config.vision.cell()));
  return Share(std::move(rows), scale);
}

}  // namespace

Result<ImageInput> MakeImageInput(const Picture& picture, int64_t budget, const ModelConfig& config) {
  return WithinMemory(kPicture, kSmaller,
                      [&] { return Prepare(picture, budget, PixelScale::kProduct, config); });
}

void PatchValues(const ImageInput& image, std::span<float> out) {
  if (image.patches.empty()) {
    ScalePixels(image.pixels, image.scale, out);
  } else {
    std::ranges::copy(image.patches, out.begin());
  }
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
      video.frames.push_back(Share(CutPatches(frame.picture, config.vision.cell()), PixelScale::kDivision));
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
