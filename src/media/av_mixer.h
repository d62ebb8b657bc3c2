// Private to the FFmpeg part: decoded frames of any sample format to one channel of float32.
#pragma once

#include <cstdint>
#include <vector>

extern "C" {
#include <libavutil/frame.h>
}

#include "linnet/error.h"
#include "media/channel_mixer.h"

namespace linnet::media_internal {

// Makes one channel of frames that may change their rate and channels on the way.
class AvMixer {
 public:
  // Appends to `out`. REQUIRES: Fits(frame), or that Finish was called. Errors: kUnsupported.
  Status Mix(const AVFrame& frame, std::vector<float>& out);
  // Whether the frame is like those before it.
  bool Fits(const AVFrame& frame) const;
  // Appends what is held back; the next frame may be another.
  void Finish(std::vector<float>& out);

  int64_t rate() const { return mixer_.rate(); }          // 0 before the first frame
  int64_t channels() const { return mixer_.channels(); }  // of the last frame
  int64_t replaced() const {
    return replaced_ + mixer_.replaced();
  }  // samples that were not usable and count as 0
  bool cancelled() const { return cancelled_ || mixer_.cancelled(); }

 private:
  ChannelMixer mixer_;  // of the last kind of frame
  std::vector<float> frame_;
  int64_t replaced_ = 0;  // of kinds before it
  bool cancelled_ = false;
};

}  // namespace linnet::media_internal
