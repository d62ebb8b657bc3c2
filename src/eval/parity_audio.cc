// Sound of a golden directory: framing, and WAV files through decoding, mixing and resampling.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "eval/case_recorder.h"
#include "eval/parity.h"
#include "io/safetensors.h"
#include "media/audio.h"
#include "media/av.h"
#include "runtime/sha256.h"

namespace linnet {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

// Resampled sound: the same resampler at the same quality; builds for other vector units differ in the last
// bits.
constexpr double kResampledBound = 1e-5;
constexpr int64_t kLongestWave = 16000 * 3600;

Result<std::vector<float>> LoadTensor(const Safetensors& file, const std::string& name) {
  const TensorInfo* tensor = file.Find(name);
  if (tensor == nullptr || tensor->dtype != Dtype::kF32) {
    return Fail(ErrorCode::kBadFile, fmt::format("no float32 tensor \"{}\"", name));
  }
  std::vector<uint8_t> scratch;
  std::vector<float> values(tensor->bytes / sizeof(float));
  const auto bytes = file.Bytes(*tensor, 0, tensor->bytes, scratch);
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), tensor->bytes);
  return values;
}

// Largest difference; lengths must be equal.
double LargestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    largest = difference <= largest ? largest : difference;  // keeps a NaN
  }
  return largest;
}

// "wave N": sample i = ((3 i² + 101 i) mod 65536 - 32768) / 65536.
std::vector<float> Wave(int64_t samples) {
  std::vector<float> wave(static_cast<size_t>(samples));
  for (int64_t i = 0; i < samples; ++i) {
    wave[static_cast<size_t>(i)] = static_cast<float>((3 * i * i + 101 * i) % 65536 - 32768) / 65536.0f;
  }
  return wave;
}

void CompareFrames(const json& row, const std::vector<float>& samples, CaseRecorder& recorder) {
  const std::vector<float> frames = CutFrames(samples);
  const int64_t tokens = FrameCount(static_cast<int64_t>(samples.size()));
  recorder.Exact("soft tokens", std::abs(tokens - row.at("soft_tokens").at(0).get<int64_t>()));
  const bool hash = Sha256Hex(std::span(frames)) == row.at("features_sha256").get<std::string>();
  recorder.Exact("frames", hash ? 0 : 1, "sha256");
}

Status RunFrames(const Path& directory, const ParityOptions& options, const CaseSink& sink) {
  int64_t without_input = 0;
  LINNET_TRY(ForEachRow(directory / "audio.jsonl", [&](const json& row) -> Status {
    const std::string label = row.at("case");
    const std::string name = "preprocessing/audio/" + label;
    const bool wave = label.starts_with("wave ") && row.contains("samples");
    if (!wave && label != "empty array") {
      ++without_input;
      return {};
    }
    if (!Wanted(options, name)) return {};
    const int64_t count = wave ? row.at("samples").get<int64_t>() : 0;
    if (count < 0 || count > kLongestWave)
      return Fail(ErrorCode::kBadFile, fmt::format("{}: {} samples", name, count));
    const std::vector<float> samples = Wave(count);
    CaseRecorder recorder(name);
    if (wave) {
      const bool input = Sha256Hex(std::span(samples)) == row.at("waveform_sha256").get<std::string>();
      recorder.Exact("waveform", input ? 0 : 1, "sha256");
    }
    CompareFrames(row, samples, recorder);
    sink(recorder.Finish());
    return {};
  }));
  if (without_input > 0) {
    SkipCase(
        sink, options, "preprocessing/audio/calls",
        fmt::format("{} rows record what the reference's Python calls do with inputs that are not stored",
                    without_input));
  }
  return {};
}

Status CompareWav(const Path& directory, const json& row, CaseRecorder& recorder) {
  const std::string file = row.at("file");
  const auto clip = LoadAudio(directory / file);
  if (row.contains("error")) {
    recorder.Exact("refused", clip ? 1 : 0);
    return {};
  }
  if (!clip) {
    recorder.Exact("decoded", 1, clip.error().Message());
    return {};
  }
  const auto wanted = row.at("samples").get<int64_t>();
  recorder.Exact("length", std::abs(static_cast<int64_t>(clip->samples.size()) - wanted));
  const bool exact = row.at("exact");
  if (exact) {
    const bool hash = Sha256Hex(std::span(clip->samples)) == row.at("sha256").get<std::string>();
    recorder.Exact("samples", hash ? 0 : 1, "sha256");
    return {};
  }
  LINNET_ASSIGN(const auto tensors, Safetensors::Open(directory / "wav.safetensors"));
  LINNET_ASSIGN(const std::vector<float> reference, LoadTensor(*tensors, Path(file).filename().string()));
  recorder.Exact("stored length", std::abs(static_cast<int64_t>(reference.size()) - wanted));
  recorder.Within("samples", LargestDifference(clip->samples, reference), kResampledBound);
  return {};
}

Status RunWavs(const Path& directory, const ParityOptions& options, const CaseSink& sink) {
  return ForEachRow(directory / "wav.jsonl", [&](const json& row) -> Status {
    if (!row.contains("file")) return {};
    const std::string file = row.at("file");
    const std::string name = "preprocessing/" + file;
    if (!Wanted(options, name)) return {};
    if (!file.ends_with(".wav") && !AvAvailable()) {
      SkipCase(sink, options, name, "this build has no media library (LINNET_AV)");
      return {};
    }
    CaseRecorder recorder(name);
    LINNET_TRY(CompareWav(directory, row, recorder));
    sink(recorder.Finish());
    return {};
  });
}

}  // namespace

Status RunAudioCases(const Path& root, const ParityOptions& options, const CaseSink& sink) {
  LINNET_TRY(RunFrames(root / "preprocessing", options, sink));
  return RunWavs(root / "preprocessing", options, sink);
}

}  // namespace linnet
