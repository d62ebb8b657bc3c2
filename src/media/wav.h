// WAV files (RIFF, RIFX, RF64, BW64 and Wave64) and AIFF, which is built alike: PCM of 8 to 32 bits, float of
// 32 and 64 bits, A-law and mu-law, plain or extensible, any number of channels. The samples are read from
// the bytes given, piece by piece, so memory does not grow with them.
#pragma once

#include <cstdint>
#include <span>

#include "linnet/error.h"
#include "media/channel_mixer.h"
#include "media/sample_queue.h"

namespace linnet {

class WavReader {
 public:
  // `bytes` must outlive the reader. Errors name no file. kBadFile: not a WAV file, one that contradicts
  // itself, or it ends before its samples begin; kUnsupported: a compressed WAV.
  static Result<WavReader> Open(std::span<const uint8_t> bytes);

  // Whether the bytes begin like one of these files.
  static bool Recognises(std::span<const uint8_t> bytes);

  const char* format() const { return aiff_ ? "AIFF" : "WAV"; }
  int64_t rate() const { return rate_; }
  int64_t channels() const { return channels_; }
  int64_t frames() const { return frames_; }
  // The size of the samples was never written, or is another than what is there: all that is there is used.
  bool unfinished() const { return unfinished_; }
  // Another recording that was put behind this one (`cat a.wav b.wav`), up to the end of the file; usually
  // empty.
  std::span<const uint8_t> next() const { return behind_; }
  int64_t replaced() const { return mixer_.replaced(); }  // samples so far that became 0 (IsUsableSample)
  bool cancelled() const { return mixer_.cancelled(); }   // channels so far that cancelled each other

  // The next frames as one channel of float32 (ChannelMixer); fewer than asked only at the end.
  size_t Read(std::span<float> out);

 private:
  enum class Kind { kU8, kS8, kS16, kS24, kS32, kF32, kF64, kALaw, kMuLaw };
  struct Format;

  Status Take(const Format& format);
  Status TakeFormat(std::span<const uint8_t> chunk);
  void TakeData(std::span<const uint8_t> behind, uint64_t size, uint64_t padded);
  bool LiesLow() const;
  uint64_t Bits(const uint8_t* at, size_t count) const;
  float Sample(const uint8_t* at) const;
  void Refill();

  std::span<const uint8_t> data_, behind_;
  Kind kind_ = Kind::kS16;
  int64_t rate_ = 0, channels_ = 0, frames_ = 0, next_ = 0;
  size_t sample_bytes_ = 0;
  int unused_bits_ = 0;      // of a sample of PCM
  int shift_ = 0;            // brings the used bits to the top
  bool big_endian_ = false;  // samples
  bool big_sizes_ = false, wave64_ = false, aiff_ = false, compressed_ = false, unfinished_ = false;
  media_internal::ChannelMixer mixer_;
  media_internal::SampleQueue queue_;
};

}  // namespace linnet
