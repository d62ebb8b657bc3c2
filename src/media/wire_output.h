// Private to the helper programs: messages (wire.h) on standard output.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "linnet/error.h"
#include "media/audio.h"
#include "media/wire.h"

namespace linnet::media_internal {

// False when the reader has gone.
inline bool Send(MessageWriter& message) {
  const auto bytes = message.Finish();
  return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0;
}

inline void SendError(const Error& error) {
  MessageWriter message('E');
  Send(message.U64(static_cast<uint64_t>(error.code)).Text(error.what).Text(error.hint));
}

inline void SendSoundHead(const AudioInfo& info) {
  MessageWriter head('I');
  Send(head.Text(info.format)
           .I64(info.rate)
           .I64(info.channels)
           .I64(info.frames)
           .F64(info.seconds)
           .Text(info.note));
}

inline void SendSamples(std::span<const float> samples) {
  while (!samples.empty()) {
    const auto piece = samples.first(std::min(samples.size(), kMaxSamplesPerMessage));
    MessageWriter message('S');
    // The parent has gone: there is nothing left to do.
    if (!Send(message.Raw({reinterpret_cast<const uint8_t*>(piece.data()), piece.size_bytes()})))
      std::_Exit(1);
    samples = samples.subspan(piece.size());
  }
}

}  // namespace linnet::media_internal
