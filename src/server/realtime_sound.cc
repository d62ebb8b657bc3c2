#include "server/realtime_sound.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace linnet {
namespace {

constexpr size_t kSampleBytes = 2;
constexpr int64_t kMsRate = kRealtimeRate / 1000;
// Whoever speaks without a pause is heard after this.
constexpr double kLongestSpeech = 30;
// A moment is judged so much later, with its surroundings.
constexpr double kJudged = 0.5;
// A threshold of one half is what recordings are cut by.
constexpr double kShareOfThreshold = SplitOptions().share / SpeechDetection().threshold;

float SampleAt(std::string_view pcm, size_t at) {
  const auto low = static_cast<uint8_t>(pcm[at]), high = static_cast<uint8_t>(pcm[at + 1]);
  return static_cast<float>(static_cast<int16_t>(low | high << 8)) / 32768.0F;
}

void AddNumber(std::string& file, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i) & 0xFF);
}

}  // namespace

Status RealtimeSound::Detect(const std::optional<SpeechDetection>& detection) {
  detection_ = detection;
  return Restart();
}

Status RealtimeSound::Restart() {
  detector_.reset();
  if (!detection_) return {};
  LINNET_ASSIGN(VoiceSplitter splitter,
                VoiceSplitter::Create({.max_seconds = kLongestSpeech,
                                       .pause_seconds = static_cast<double>(detection_->silence_ms) / 1000,
                                       .pad_seconds = static_cast<double>(detection_->prefix_ms) / 1000,
                                       .lookahead_seconds = kJudged,
                                       .share = detection_->threshold * kShareOfThreshold}));
  LINNET_ASSIGN(Resampler resampler, Resampler::Create(kRealtimeRate, kSampleRate));
  detector_.emplace(std::move(resampler), std::move(splitter), end_);
  return {};
}

Status RealtimeSound::Append(std::string_view pcm) {
  held_ += pcm;
  end_ += static_cast<int64_t>(pcm.size() / kSampleBytes);
  if (!detector_) return {};
  std::vector<float> samples(pcm.size() / kSampleBytes), heard;
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = SampleAt(pcm, i * kSampleBytes);
  LINNET_TRY(detector_->resampler.Push(samples, heard));
  detector_->splitter.Push(heard);
  return {};
}

void RealtimeSound::Forget(int64_t until) {
  if (until <= begin_) return;
  held_.erase(0, static_cast<size_t>(until - begin_) * kSampleBytes);
  begin_ = until;
}

std::optional<RealtimeSound::Speech> RealtimeSound::Next() {
  if (!detector_) return std::nullopt;
  const std::optional<VoicePiece> piece = detector_->splitter.Next();
  if (!piece) {
    Forget(std::min(detector_->SampleOf(detector_->splitter.oldest()), end_));
    return std::nullopt;
  }
  const int64_t begin = std::clamp(detector_->SampleOf(piece->begin), begin_, end_);
  const auto length = static_cast<int64_t>(piece->samples.size());
  const int64_t end = std::clamp(detector_->SampleOf(piece->begin + length), begin, end_);
  Forget(begin);
  Speech speech{.begin_ms = begin / kMsRate, .end_ms = end / kMsRate, .pcm = {}};
  speech.pcm = held_.substr(0, static_cast<size_t>(end - begin) * kSampleBytes);
  Forget(end);
  return speech;
}

std::optional<int64_t> RealtimeSound::BegunMs() const {
  const std::optional<int64_t> begun = detector_ ? detector_->splitter.Begun() : std::nullopt;
  if (!begun) return std::nullopt;
  return std::clamp(detector_->SampleOf(*begun), begin_, end_) / kMsRate;
}

std::string RealtimeSound::Commit() {
  begin_ = end_;
  (void)Restart();  // which could before
  return std::exchange(held_, {});
}

std::string WavOfRealtime(std::string_view pcm) {
  std::string file = "RIFF";
  AddNumber(file, static_cast<uint32_t>(36 + pcm.size()), 4);
  file += "WAVEfmt ";
  AddNumber(file, 16, 4);
  AddNumber(file, 1, 2);  // PCM
  AddNumber(file, 1, 2);  // channels
  AddNumber(file, static_cast<uint32_t>(kRealtimeRate), 4);
  AddNumber(file, static_cast<uint32_t>(kRealtimeRate * kSampleBytes), 4);
  AddNumber(file, kSampleBytes, 2);
  AddNumber(file, 16, 2);
  file += "data";
  AddNumber(file, static_cast<uint32_t>(pcm.size()), 4);
  return file.append(pcm);
}

}  // namespace linnet
