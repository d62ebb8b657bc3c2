#include "media/voice.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace linnet {
namespace {

constexpr int64_t kVoiceFrame = 320;  // 20 ms
constexpr double kFramesPerSecond = 50.0;
// What is not needed any more is forgotten in steps of this: erasing moves the rest.
constexpr int64_t kForgetFrames = 150;
// dB relative to full scale. Below the first nothing is audible in practice; above the second nothing counts
// as a pause, however loud the rest is.
constexpr float kSilence = -65.0f, kNeverSilent = -35.0f;
constexpr float kQuietest = -85.0f;
// How the two tracked levels drift back: a pause shows the floor again, the next word the loudness.
constexpr float kFloorRise = 1.0f / kFramesPerSecond, kLoudFall = 0.5f / kFramesPerSecond;
constexpr float kSpeechRange = 12.0f;
constexpr int64_t kClickFrames = 2;

float Energy(std::span<const float> samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  const double mean = samples.empty() ? 0.0 : sum / static_cast<double>(samples.size());
  if (!(mean > 0)) return kQuietest;
  return std::max(kQuietest, static_cast<float>(10.0 * std::log10(mean)));
}

// Of a piece, so that most of it is what is heard.
constexpr double kMostPad = 0.25;

int64_t Frames(double seconds) { return static_cast<int64_t>(std::lround(seconds * kFramesPerSecond)); }

}  // namespace

Result<VoiceSplitter> VoiceSplitter::Create(const SplitOptions& options) {
  const auto within = [](double value, double low, double high) { return value >= low && value <= high; };
  if (!within(options.max_seconds, 1, 30)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("pieces of {} s", options.max_seconds),
                "choose 1 to 30 s");
  }
  if (!within(options.pause_seconds, 0, 5) || !within(options.pad_seconds, 0, 5) ||
      !within(options.lookahead_seconds, 0, 5)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a pause of {} s with {} s around a piece, judged {} s later",
                            options.pause_seconds, options.pad_seconds, options.lookahead_seconds),
                "choose 0 to 5 s");
  }
  if (!within(options.share, 0, 1)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a share of {}", options.share), "choose 0 to 1");
  }
  if (options.pad_seconds > options.max_seconds * kMostPad) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} s of silence around pieces of at most {} s", options.pad_seconds,
                            options.max_seconds),
                fmt::format("choose at most {} s, or longer pieces", options.max_seconds * kMostPad));
  }
  return VoiceSplitter(options);
}

VoiceSplitter::VoiceSplitter(const SplitOptions& options)
    : max_frames_(Frames(options.max_seconds)),
      pause_frames_(std::max<int64_t>(1, Frames(options.pause_seconds))),
      pad_frames_(Frames(options.pad_seconds)),
      lookahead_(Frames(options.lookahead_seconds)),
      share_(static_cast<float>(options.share)) {}

void VoiceSplitter::Push(std::span<const float> samples) {
  held_.insert(held_.end(), samples.begin(), samples.end());
  Measure();
}

void VoiceSplitter::Finish() {
  finished_ = true;
  Measure();
}

// Levels of all frames that are complete; at the end also of the last, shorter one.
void VoiceSplitter::Measure() {
  while (true) {
    const int64_t frame = first_ + static_cast<int64_t>(levels_.size());
    const int64_t at = frame * kVoiceFrame - base_;
    const int64_t there = std::min(kVoiceFrame, static_cast<int64_t>(held_.size()) - at);
    if (there <= 0 || (there < kVoiceFrame && !finished_)) return;
    const float energy =
        Energy(std::span(held_).subspan(static_cast<size_t>(at), static_cast<size_t>(there)));
    const bool start = frame == 0;
    floor_ = start ? energy : std::min(energy, floor_ + kFloorRise);
    loud_ = start ? energy + kSpeechRange : std::max({energy, loud_ - kLoudFall, floor_ + kSpeechRange});
    levels_.push_back({energy, std::clamp(floor_ + share_ * (loud_ - floor_), kSilence, kNeverSilent)});
  }
}

// Against the levels known a little later: the first word of a recording is already loud for what comes
// before it.
bool VoiceSplitter::IsSound(int64_t frame) const {
  const int64_t later = std::min(frame + lookahead_, first_ + static_cast<int64_t>(levels_.size()) - 1);
  return level(frame) > levels_[static_cast<size_t>(later - first_)].threshold;
}

int64_t VoiceSplitter::QuietestFrame(int64_t from, int64_t to) const {
  int64_t best = from;
  float least = 1e9f;
  for (int64_t frame = from; frame + 2 < to; ++frame) {
    const float energy = level(frame) + level(frame + 1) + level(frame + 2);
    if (energy < least) least = energy, best = frame + 1;
  }
  return best;
}

VoicePiece VoiceSplitter::Take(int64_t first_frame, int64_t end_frame) {
  VoicePiece piece;
  piece.begin = std::max(first_frame, given_) * kVoiceFrame;
  const int64_t end = std::min(end_frame * kVoiceFrame, samples());
  piece.samples.assign(held_.begin() + static_cast<ptrdiff_t>(piece.begin - base_),
                       held_.begin() + static_cast<ptrdiff_t>(end - base_));
  given_ = end_frame;
  return piece;
}

void VoiceSplitter::Forget(int64_t frame) {
  if (frame <= first_ + kForgetFrames) return;
  levels_.erase(levels_.begin(), levels_.begin() + static_cast<ptrdiff_t>(frame - first_));
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(frame * kVoiceFrame - base_));
  first_ = frame;
  base_ = frame * kVoiceFrame;
}

std::optional<int64_t> VoiceSplitter::Begun() const {
  if (begin_ < 0 || last_sound_ + 1 - begin_ < kClickFrames) return std::nullopt;
  return std::max(begin_ - pad_frames_, given_) * kVoiceFrame;
}

std::optional<VoicePiece> VoiceSplitter::Next() {
  const int64_t known = first_ + static_cast<int64_t>(levels_.size());
  const int64_t judged = finished_ ? known : known - lookahead_;
  for (; scan_ < judged; ++scan_) {
    const bool sound = IsSound(scan_);
    if (begin_ < 0) {
      if (sound)
        begin_ = last_sound_ = scan_;
      else
        Forget(std::max(given_, scan_ - pad_frames_));
      continue;
    }
    if (sound) last_sound_ = scan_;
    if (scan_ - last_sound_ >= pause_frames_) {
      const int64_t begin = begin_;
      begin_ = -1;
      if (last_sound_ + 1 - begin < kClickFrames) continue;
      // Both pads belong to this piece alone: the pause is longer than one, and the next piece begins behind
      // it.
      return Take(begin - pad_frames_, std::min({last_sound_ + 1 + pad_frames_, scan_ + 1, known}));
    }
    if (scan_ + 1 - std::max(begin_ - pad_frames_, given_) >= max_frames_ - pad_frames_) {
      // Too long without a pause: cut where it is quietest in the last third.
      const int64_t cut = QuietestFrame(scan_ - max_frames_ / 3, scan_);
      const int64_t begin = begin_;
      begin_ = cut;
      last_sound_ = std::max(last_sound_, cut);
      return Take(begin - pad_frames_, cut);
    }
  }
  if (!finished_ || begin_ < 0) return std::nullopt;
  const int64_t begin = begin_;
  begin_ = -1;
  return Take(begin - pad_frames_, std::min(last_sound_ + 1 + pad_frames_, known));
}

Result<std::vector<std::span<const float>>> CutAtPauses(std::span<const float> samples, int64_t max_samples) {
  const double max_seconds = static_cast<double>(max_samples) / static_cast<double>(kSampleRate);
  LINNET_ASSIGN(VoiceSplitter splitter, VoiceSplitter::Create({.max_seconds = max_seconds}));
  // Pieces with a pause between them lie apart; one that was cut for its length touches the next.
  std::vector<int64_t> pauses, cuts;
  int64_t end = 0;
  const auto drain = [&] {
    while (const auto piece = splitter.Next()) {
      (piece->begin > end ? pauses : cuts).push_back(end + (piece->begin - end) / 2);
      end = piece->begin + static_cast<int64_t>(piece->samples.size());
    }
  };
  for (auto left = samples; !left.empty();) {
    const auto push = left.first(std::min<size_t>(left.size(), 1 << 14));
    splitter.Push(push);
    left = left.subspan(push.size());
    drain();
  }
  splitter.Finish();
  drain();

  std::vector<std::span<const float>> parts;
  const auto total = static_cast<int64_t>(samples.size());
  // The last place to cut in (from, from + max_samples]; `from` if there is none.
  const auto last_of = [&](const std::vector<int64_t>& places, int64_t from) {
    const auto after = std::upper_bound(places.begin(), places.end(), from + max_samples);
    return after == places.begin() ? from : std::max(from, *(after - 1));
  };
  for (int64_t from = 0; from < total;) {
    int64_t to = total;
    if (total - from > max_samples) {
      to = last_of(pauses, from);
      if (to == from) to = last_of(cuts, from);
      if (to == from) to = from + max_samples;  // in silence, or just behind a cut
    }
    parts.push_back(samples.subspan(static_cast<size_t>(from), static_cast<size_t>(to - from)));
    from = to;
  }
  return parts;
}

}  // namespace linnet
