// Which frames of a video the model sees, and the text that stands before each. The rules are the
// reference's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/error.h"

namespace linnet {

inline constexpr int64_t kDefaultVideoFrames = 32;
inline constexpr int64_t kVideoFrameBudget = 70;  // soft tokens a frame
inline constexpr double kAssumedFps = 24.0;       // of a video that does not say

// Indices of `num_frames` frames spread evenly over `total`. Where the reference asks for one frame behind
// the last (for some sizes that are no power of two) that index is left out. Errors: kInvalidArgument when
// either is below 1 or the video has fewer frames than asked.
Result<std::vector<int64_t>> SampleFrames(int64_t total, int64_t num_frames);

// The same with the number of frames that `fps` a second give; also kInvalidArgument when that is none or the
// rate of the video is unknown (not above 0).
Result<std::vector<int64_t>> SampleFramesAtRate(int64_t total, double video_fps, double fps);

// "MM:SS"; minutes may exceed 99. REQUIRES: seconds is finite and not negative.
std::string TimestampText(double seconds);

// The same for a frame of a clip. Container clocks round: one a hair before a full second shows that second.
std::string ClipTimestamp(double seconds);

// The same for a frame by its number. An fps that is not above 0 counts as kAssumedFps. The reference
// computes with float32 when frames were sampled and with float64 when all were taken.
std::string FrameTimestamp(int64_t index, double fps, bool sampled);

}  // namespace linnet
