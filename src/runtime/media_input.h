// From decoded media to what a prompt takes, in the shape the model asks for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "media/picture.h"
#include "media/video_clip.h"
#include "model/config.h"
#include "runtime/prompt.h"

namespace linnet {

// `budget`: soft tokens at most, one of kImageBudgets (media/patches.h). Errors: kInvalidArgument; all:
// kOutOfMemory.
Result<ImageInput> MakeImageInput(const Picture& picture, int64_t budget, const ModelConfig& config);

// Writes the values that the embedder takes, (n, 6912).
void PatchValues(const ImageInput& image, std::span<float> out);

// A frame of a video: its index in the source, and the source's frames a second (0 = unknown).
struct VideoFrame {
  Picture picture;
  int64_t index = 0;
};

// `sampled`: the frames were chosen out of more, which decides how the reference rounds the times.
Result<VideoInput> MakeVideoInput(const std::vector<VideoFrame>& frames, double fps, bool sampled,
                                  int64_t budget, const ModelConfig& config);

// The frames of a clip, which are resized already. REQUIRES: it was loaded with the model's cell.
Result<VideoInput> MakeVideoInput(const VideoClip& clip, const ModelConfig& config);

// The smallest budget that does not shrink the picture, at least `least` (the model's own default), at most
// 1120 and, if that is above 0, at most `most`. A picture that even the largest shrinks takes the largest.
// Other values of `least` count as the next larger budget.
int64_t AutoBudget(int64_t height, int64_t width, int64_t least, int64_t cell, int64_t most = 0);

}  // namespace linnet
