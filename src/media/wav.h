// WAV files (RIFF and RF64): PCM of 8 to 32 bits, float of 32 and 64 bits, A-law and mu-law, plain or
// extensible, any number of channels. The samples are read from the bytes given, piece by piece, so memory
// does not grow with them.
#pragma once

#include <cstdint>
#include <span>

#include "linnet/error.h"

namespace linnet {

class WavReader {
 public:
  // `bytes` must outlive the reader. Errors name no file. kBadFile: not a WAV file, or it ends before its
  // samples begin; kUnsupported: a compressed WAV.
  static Result<WavReader> Open(std::span<const uint8_t> bytes);

  // Whether the bytes begin like a WAV file.
  static bool Recognises(std::span<const uint8_t> bytes);

  int64_t rate() const { return rate_; }
  int64_t channels() const { return channels_; }
  int64_t frames() const { return frames_; }
  bool truncated() const { return truncated_; }   // fewer frames are there than the header promises
  int64_t replaced() const { return replaced_; }  // samples so far that became 0 (IsUsableSample)

  // The next frames as the mean over the channels in float32; fewer than asked only at the end.
  size_t Read(std::span<float> out);

 private:
  enum class Kind { kU8, kS16, kS24, kS32, kF32, kF64, kALaw, kMuLaw };

  Status ReadFormat(std::span<const uint8_t> chunk);
  float Sample(const uint8_t* at) const;
  float FrameMean(const uint8_t* frame);

  std::span<const uint8_t> data_;
  Kind kind_ = Kind::kS16;
  int64_t rate_ = 0, channels_ = 0, frames_ = 0, next_ = 0, replaced_ = 0;
  int64_t sample_bytes_ = 0;
  bool truncated_ = false;
};

}  // namespace linnet
