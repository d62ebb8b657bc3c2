// Private to the FFmpeg part: decoded frames of any sample format to one channel of float32.
#pragma once

#include <cstdint>
#include <vector>

extern "C" {
#include <libavutil/frame.h>
}

#include "linnet/error.h"

namespace linnet::media_internal {

// Averages the channels of frames, which must all have the rate of the first one.
class AvMixer {
 public:
  // Appends to `out`. Errors: kUnsupported.
  Status Mix(const AVFrame& frame, std::vector<float>& out);

  int64_t rate() const { return rate_; }          // 0 before the first frame
  int64_t channels() const { return channels_; }  // of the first frame
  int64_t replaced() const { return replaced_; }  // samples that were not usable and count as 0

 private:
  int64_t rate_ = 0, channels_ = 0, replaced_ = 0;
};

}  // namespace linnet::media_internal
