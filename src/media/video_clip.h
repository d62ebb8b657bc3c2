// A video as the model takes it: some frames, each resized to its budget of soft tokens, and the sound track.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "media/av.h"
#include "media/patches.h"
#include "media/picture.h"
#include "media/video.h"

namespace linnet {

struct VideoOptions {
  double frames_per_second = 1.0;
  int64_t max_frames = 60;             // the model card's limit: a minute at one frame a second
  int64_t budget = kVideoFrameBudget;  // soft tokens a frame
  int64_t cell = kCell;
  bool sound = true;
  double max_sound_seconds = 3600.0;
};

struct ClipFrame {
  Picture picture;  // upright and resized to the target of its budget
  double seconds = 0;
};

struct VideoClip {
  VideoInfo info;
  std::vector<ClipFrame> frames;  // in order of time, at least one
  std::vector<float> sound;       // 16 kHz mono; empty when there is none or it is not wanted
  std::string note;               // limits that took effect, damage, missing sound; empty = nothing to tell
};

// Frames lie evenly, `frames_per_second` or, when that gives more than `max_frames`, as many as allowed over
// the whole length: the note says so. Errors: kNotFound, kBadFile, kUnsupported (no video, no media library),
// kInvalidArgument.
Result<VideoClip> LoadVideo(const std::filesystem::path& path, const VideoOptions& options = {});
Result<VideoClip> DecodeVideo(std::span<const uint8_t> bytes, std::string_view name,
                              const VideoOptions& options = {});

}  // namespace linnet
