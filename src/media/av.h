// Sound and video through FFmpeg (FLAC, MP3, Ogg, Opus, M4A, WebM, MP4 …): an optional part of the build
// (LINNET_AV). Without it the functions are there and answer kUnsupported.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "linnet/error.h"
#include "media/audio.h"
#include "media/picture.h"

namespace linnet {

bool AvAvailable();

// The first sound track of a file. `bytes` must outlive the source. Errors name no file: kUnsupported when
// the file has no sound or a kind that cannot be read, kBadFile when it is damaged.
Result<std::unique_ptr<MonoSource>> OpenAvAudio(std::span<const uint8_t> bytes);

struct VideoInfo {
  std::string format;             // "MP4" …
  double fps = 0;                 // average frames a second; 0 = unknown
  double seconds = 0;             // when it ends; 0 = unknown
  int64_t width = 0, height = 0;  // as stored
  int orientation = 1;            // EXIF number of the turn that shows it upright
  bool has_sound = false;
};

struct TimedPicture {
  Picture picture;     // as stored: the turn of VideoInfo is not applied
  double seconds = 0;  // since the start of the file: the time asked for, or when the first frame appears
  int64_t index = 0;   // number of the frame in the video, by its time and the average rate
};

// The frames of a video as they are on screen.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  virtual const VideoInfo& info() const = 0;
  // The frame on screen at this time: the last one that has begun; before there is any, the first. Times must
  // not decrease. Empty behind the end of the video, up to which its last frame is held. Errors: kBadFile,
  // kUnsupported (a frame beyond 64 million pixels).
  virtual Result<std::optional<TimedPicture>> At(double seconds) = 0;
};

// `bytes` must outlive the source. Errors as above.
Result<std::unique_ptr<FrameSource>> OpenAvVideo(std::span<const uint8_t> bytes);

}  // namespace linnet
