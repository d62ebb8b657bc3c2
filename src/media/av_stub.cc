// Stands in for the FFmpeg part where it is not built.
#include "media/av.h"

namespace linnet {
namespace {

std::unexpected<Error> Absent(std::string what) {
  return Fail(ErrorCode::kUnsupported, "this build of Linnet reads no " + std::move(what),
              "convert the sound to WAV, or build with FFmpeg's development packages and -DLINNET_AV=ON");
}

}  // namespace

bool AvAvailable() { return false; }

Result<std::unique_ptr<MonoSource>> OpenAvAudio(std::span<const uint8_t>) {
  return Absent("sound files but WAV");
}

Result<std::unique_ptr<FrameSource>> OpenAvVideo(std::span<const uint8_t>) { return Absent("video files"); }

}  // namespace linnet
