#include "media/video.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace linnet {
namespace {

constexpr int64_t kMaxFrames = int64_t{1} << 31;

}  // namespace

Result<std::vector<int64_t>> SampleFrames(int64_t total, int64_t num_frames) {
  if (num_frames < 1 || total < 1 || total > kMaxFrames) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} frames asked of a video of {}", num_frames, total),
                "ask for at least one frame of a video that has one");
  }
  if (num_frames > total) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} frames asked of a video that has only {}", num_frames, total),
                "ask for fewer frames");
  }
  const double step = static_cast<double>(total) / static_cast<double>(num_frames);
  const auto count = static_cast<int64_t>(std::ceil(static_cast<double>(total) / step));
  std::vector<int64_t> indices;
  indices.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    // The product in float64, rounded to float32, then truncated.
    const auto index = static_cast<int64_t>(static_cast<float>(static_cast<double>(i) * step));
    if (index < total) indices.push_back(index);
  }
  return indices;
}

Result<std::vector<int64_t>> SampleFramesAtRate(int64_t total, double video_fps, double fps) {
  if (!(video_fps > 0) || !std::isfinite(video_fps)) {
    return Fail(ErrorCode::kInvalidArgument, "the video does not say how many frames a second it has",
                "ask for a number of frames instead");
  }
  const double wanted = static_cast<double>(total) / video_fps * fps;
  if (!(wanted >= 1)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} frames a second of a video of {:.2f} s give no frame", fps,
                            static_cast<double>(total) / video_fps),
                "ask for more frames a second");
  }
  return SampleFrames(total, static_cast<int64_t>(std::min(wanted, static_cast<double>(kMaxFrames))));
}

std::string TimestampText(double seconds) {
  const double rest = std::fmod(seconds, 60.0);
  return fmt::format("{:02}:{:02}", static_cast<int64_t>(std::round((seconds - rest) / 60.0)),
                     static_cast<int64_t>(rest));
}

std::string ClipTimestamp(double seconds) {
  constexpr double kClockSlack = 0.0005;
  return TimestampText(seconds + kClockSlack);
}

std::string FrameTimestamp(int64_t index, double fps, bool sampled) {
  if (!(fps > 0) || !std::isfinite(fps)) fps = kAssumedFps;
  return TimestampText(sampled ? static_cast<double>(static_cast<float>(index) / static_cast<float>(fps))
                               : static_cast<double>(index) / fps);
}

}  // namespace linnet
