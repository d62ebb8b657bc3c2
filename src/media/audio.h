// Sound from files as the model takes it: 16 kHz mono float32, cut into frames of 640 samples, one soft token
// each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/media.h"

namespace linnet {

class MappedFile;

inline constexpr int64_t kFrameSamples = 640;  // 40 ms

// Full scale is 1. Beyond a million of it (120 dB too loud), or no number at all, is damage: such samples
// become 0, since sums and squares of them would spoil everything after them. Louder sound than full scale is
// left as it is.
constexpr float kLoudestSample = 1e6f;
constexpr bool IsUsableSample(float sample) { return sample >= -kLoudestSample && sample <= kLoudestSample; }

// The sound of a file, WAV or another format of the media library. Errors name no file.
Result<std::unique_ptr<MonoSource>> OpenSound(MappedFile file);

// The whole sound of a file, decoded in this process; one that is too quiet for the model is made louder.
// Errors: kNotFound, kBadFile, kUnsupported, also when it is longer than `max_seconds`.
Result<AudioClip> LoadAudio(const std::filesystem::path& path, double max_seconds = 3600.0);

// Soft tokens of a clip: the last, partly filled frame counts.
constexpr int64_t FrameCount(int64_t samples, int64_t frame_samples = kFrameSamples) {
  return (samples + frame_samples - 1) / frame_samples;
}

// (FrameCount, frame_samples): the samples as they are, zeros behind them.
std::vector<float> CutFrames(std::span<const float> samples, int64_t frame_samples = kFrameSamples);

}  // namespace linnet
