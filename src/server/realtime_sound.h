// The sound of a realtime session: what a client has sent of it and not committed, and where somebody speaks
// in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "linnet/error.h"
#include "media/resample.h"
#include "media/voice.h"

namespace linnet {

// Samples of 16 bits, the lower byte first, in one channel.
inline constexpr int64_t kRealtimeRate = 24000;
inline constexpr size_t kRealtimeBytesOfMs = 48;

// When speech begins and ends.
struct SpeechDetection {
  double threshold = 0.5;  // 0 to 1: how loud speech is between what is quiet and what is loud
  int64_t prefix_ms = 300, silence_ms = 500;

  bool operator==(const SpeechDetection&) const = default;
};

class RealtimeSound {
 public:
  // From the next sample on; nothing: what is said is committed by hand. Errors: those of
  // VoiceSplitter::Create.
  Status Detect(const std::optional<SpeechDetection>& detection);

  // REQUIRES: whole samples.
  Status Append(std::string_view pcm);
  // Speech that has ended: times of the session, and its sound, which is not held any more.
  struct Speech {
    int64_t begin_ms = 0, end_ms = 0;
    std::string pcm;
  };
  std::optional<Speech> Next();
  // Where speech began that has not ended.
  std::optional<int64_t> BegunMs() const;

  // All that is held, which is not any more.
  std::string Commit();
  void Clear() { (void)Commit(); }
  size_t held() const { return held_.size(); }

 private:
  struct Detector {
    Resampler resampler;
    VoiceSplitter splitter;
    int64_t begin = 0;  // sample of the session

    int64_t SampleOf(int64_t heard) const { return begin + heard * kRealtimeRate / kSampleRate; }
  };
  Status Restart();
  void Forget(int64_t until);

  std::optional<SpeechDetection> detection_;
  std::optional<Detector> detector_;
  std::string held_;
  int64_t begin_ = 0, end_ = 0;  // samples of the session that are held
};

// As a file, for what decodes recordings.
std::string WavOfRealtime(std::string_view pcm);

}  // namespace linnet
