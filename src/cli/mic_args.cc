#include "cli/mic_args.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/report.h"

namespace linnet {
void DeclareMic(Args& args, MicArgs& values) {
  args.Flag("--mic", values.on, "record from the microphone, until Ctrl-C or --seconds");
  args.Option("--mic-device", values.device,
              "another one, as alsa:hw:1 or pulse:NAME; the system's if none is named");
  args.Option("--seconds", values.seconds, "with --mic: record this long");
}

Status CheckMic(const std::set<std::string>& given, const MicArgs& values, bool later) {
  LINNET_TRY(
      CheckUseful(given, {{{"--mic-device", "--seconds"}, values.on || later, "is for --mic", "add --mic"}}));
  if (!(values.seconds >= 0 && values.seconds <= 1e6)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--seconds {:g}", values.seconds),
                "record up to 1000000 s, or leave it out to end with Ctrl-C");
  }
  return {};
}

Result<AudioReader> OpenMic(const MicArgs& values, bool quiet, std::function<bool()> stopped) {
  LINNET_ASSIGN(AudioReader reader,
                OpenMicrophone({.device = values.device, .max_seconds = values.seconds}, std::move(stopped)));
  if (!quiet) {
    Say("linnet: recording{}; Ctrl-C ends it\n",
        values.seconds > 0 ? fmt::format(" for at most {:.0f} s", values.seconds) : "");
  }
  return reader;
}

Result<AudioClip> RecordClip(MicArgs values, double most_seconds, const std::atomic<bool>& stop) {
  values.seconds = values.seconds > 0 ? std::min(values.seconds, most_seconds) : most_seconds;
  LINNET_ASSIGN(AudioReader reader, OpenMic(values, false, [&] { return stop.load(); }));
  auto clip = reader.ReadClip(most_seconds + 1);
  if (!clip) return Prefixed("microphone", std::move(clip).error());
  return clip;
}

}  // namespace linnet
