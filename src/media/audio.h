// Sound from files as the model takes it: 16 kHz mono float32, cut into frames of 640 samples, one soft token
// each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "linnet/error.h"

namespace linnet {

class MappedFile;

inline constexpr int64_t kSampleRate = 16000;
inline constexpr int64_t kFrameSamples = 640;  // 40 ms

// Full scale is 1. Beyond a million of it (120 dB too loud), or no number at all, is damage: such samples
// become 0, since sums and squares of them would spoil everything after them. Louder sound than full scale is
// left as it is.
constexpr float kLoudestSample = 1e6f;
constexpr bool IsUsableSample(float sample) { return sample >= -kLoudestSample && sample <= kLoudestSample; }

struct AudioInfo {
  std::string format;    // "WAV", "FLAC" …
  int64_t rate = 0;      // Hz, of the file; of its beginning where it changes
  int64_t channels = 0;  // of the file; they are averaged
  int64_t frames = -1;   // at the file's rate; -1 = only known at the end
  double seconds = 0;    // length as far as the file says it; 0 = unknown
  std::string note;      // what a person should know: the file is cut off …; usually empty
};

// One channel at the rate of the file. A seam: WAV files here, other formats in the optional media library.
class MonoSource {
 public:
  virtual ~MonoSource() = default;
  virtual const AudioInfo& info() const = 0;
  // Puts the next samples at the beginning of `out`, all of one rate; 0 only at the end.
  virtual Result<size_t> Read(std::span<float> out) = 0;
  // Of the samples of the last Read: in some files it changes on the way.
  virtual int64_t rate() const { return info().rate; }
  // Samples so far that were not usable (IsUsableSample) and were replaced by 0.
  virtual int64_t replaced() const { return 0; }
};

// The sound of a file, WAV or another format of the media library. Errors name no file.
Result<std::unique_ptr<MonoSource>> OpenSound(MappedFile file);

// A sound read piece by piece at 16 kHz: memory does not grow with its length.
class AudioReader {
 public:
  // One that is too quiet for the model is made louder. Errors: kNotFound, kBadFile, kUnsupported.
  static Result<AudioReader> Open(const std::filesystem::path& path);
  static Result<AudioReader> FromSource(std::unique_ptr<MonoSource> source);
  // The sound that `open` opens, here twice: something loud enough is looked for first, and usually found in
  // its first seconds; where there is none up to `max_seconds`, the whole is multiplied.
  static Result<AudioReader> LoudEnough(const std::function<Result<AudioReader>()>& open,
                                        double max_seconds = 1e9);
  AudioReader(AudioReader&&) noexcept;
  AudioReader& operator=(AudioReader&&) noexcept;
  ~AudioReader();

  const AudioInfo& info() const;
  // Samples at 16 kHz that Read() will give altogether: exact for WAV, an estimate for other formats, -1 =
  // unknown.
  int64_t expected_samples() const;
  // What a person should know about the sound as far as it was read, at its end about all of it: damage, a
  // file that was cut, silence …; usually empty.
  std::string note() const;
  // Fills `out` with the next samples; fewer than asked only at the end.
  Result<size_t> Read(std::span<float> out);
  // Errors of Read begin with this name.
  void SetName(std::string name);

 private:
  struct Impl;
  explicit AudioReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct AudioClip {
  AudioInfo info;
  std::vector<float> samples;  // 16 kHz mono
};

// The whole sound. Errors as above, and kUnsupported when it is longer than `max_seconds`.
Result<AudioClip> LoadAudio(const std::filesystem::path& path, double max_seconds = 3600.0);

// The same for a sound that is open already; its errors name no file.
Result<AudioClip> ReadClip(AudioReader& reader, double max_seconds);

// Soft tokens of a clip: the last, partly filled frame counts.
constexpr int64_t FrameCount(int64_t samples, int64_t frame_samples = kFrameSamples) {
  return (samples + frame_samples - 1) / frame_samples;
}

// (FrameCount, frame_samples): the samples as they are, zeros behind them.
std::vector<float> CutFrames(std::span<const float> samples, int64_t frame_samples = kFrameSamples);

}  // namespace linnet
