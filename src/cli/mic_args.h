// The microphone, for the commands that hear.
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <string>

#include "cli/args.h"
#include "linnet/error.h"
#include "linnet/media.h"

namespace linnet {

struct MicArgs {
  bool on = false;
  std::string device;  // empty = the system's
  double seconds = 0;  // 0 = until Ctrl-C
};

void DeclareMic(Args& args, MicArgs& values);

// Errors: kInvalidArgument when the other options make no sense, or are given without --mic unless it may be
// used `later` (in a chat).
Status CheckMic(const std::set<std::string>& given, const MicArgs& values, bool later = false);

// Begins to record, and says so on standard error unless `quiet`. Errors as of OpenMicrophone.
Result<AudioReader> OpenMic(const MicArgs& values, bool quiet, std::function<bool()> stopped);

// Records to the end, but not more than `most_seconds`; `stop` ends it too.
Result<AudioClip> RecordClip(MicArgs values, double most_seconds, const std::atomic<bool>& stop);

}  // namespace linnet
