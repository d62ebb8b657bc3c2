// Sound as it is spoken, from a device of the system. The program `linnet-microphone` records it; where the
// build has no libavdevice there is no such program.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "linnet/error.h"
#include "media/audio.h"

namespace linnet {

struct MicrophoneOptions {
  // "KIND:NAME" with a kind of input of libavdevice, as "alsa:hw:1", "pulse:default", "avfoundation::0"; also
  // "lavfi:GRAPH", made sound for trying things out. Empty = the system's own.
  std::string device;
  double max_seconds = 0;         // 0 = until it is stopped
  std::filesystem::path program;  // empty = LINNET_MICROPHONE, else `linnet-microphone` beside the program
};

// Records from now on. Read() waits for what is spoken, and nothing is lost while nobody reads: only more
// than ten minutes of it end the recording, with a note. The sound ends after `max_seconds`, once `stopped`
// gives true (asked between reads), at Ctrl-C, which the recording program hears too, or with the device.
// Errors: kUnsupported without the program, kNotFound when no device can be opened, kInvalidArgument for a
// kind that is not known.
Result<AudioReader> OpenMicrophone(const MicrophoneOptions& options, std::function<bool()> stopped);

}  // namespace linnet
