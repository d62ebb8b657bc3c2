#include "media/microphone.h"

#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "media/helper.h"

namespace linnet {
namespace {

// A device that sends nothing for this long is broken: silence has samples too.
constexpr double kPatience = 30;

}  // namespace

Result<AudioReader> OpenMicrophone(const MicrophoneOptions& options, std::function<bool()> stopped) {
  if (!(options.max_seconds >= 0 && options.max_seconds <= 1e6)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a recording of {:g} s", options.max_seconds),
                "choose up to 1000000 s; 0 = until it is stopped");
  }
  const std::filesystem::path program =
      options.program.empty() ? media_internal::FindProgram("linnet-microphone", "LINNET_MICROPHONE")
                              : options.program;
  if (program.empty()) {
    return Fail(ErrorCode::kUnsupported,
                "this build of Linnet has no microphone (linnet-microphone is not beside it)",
                "record to a file first, or build with libavdevice's development package");
  }
  const std::vector<std::string> arguments = {options.device, fmt::format("{}", options.max_seconds)};
  const MediaSource nothing({}, "microphone");
  LINNET_ASSIGN(media_internal::Helper helper,
                media_internal::Helper::Start(program, arguments, nothing, kPatience));
  LINNET_ASSIGN(auto sound, media_internal::HelperSound::Open(std::move(helper)));
  sound->OnWait([stopped = std::move(stopped), told = false](ChildProcess& recorder) mutable {
    if (told || !stopped || !stopped()) return;
    told = true;
    recorder.Interrupt();
  });
  return AudioReader::FromSource(std::move(sound));
}

}  // namespace linnet
