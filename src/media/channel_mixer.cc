#include "media/channel_mixer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "media/audio.h"

namespace linnet::media_internal {
namespace {

constexpr size_t kMostHeld = size_t{1} << 20;  // values, whatever rate and channels a header claims
// Channels that have nothing to do with each other leave 1/N² of their energies' sum in the mean, and so does
// one that is alone. Ten times less is no chance.
constexpr double kCancelled = 0.1;
constexpr double kAudible = 3e-8;  // mean square, -75 dB: noise of the last bit may cancel as it likes

// numpy's order of a float32 sum: left to right below 8 values, else eight running sums. It decides the last
// bit of the mean of many channels.
float Sum(std::span<const float> values) {
  float rest = 0.0f;
  size_t i = 0;
  if (values.size() >= 8) {
    std::array<float, 8> r;
    std::copy_n(values.begin(), 8, r.begin());
    for (i = 8; i + 8 <= values.size(); i += 8) {
      for (size_t j = 0; j < 8; ++j) r[j] += values[i + j];
    }
    rest = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  }
  for (; i < values.size(); ++i) rest += values[i];
  return rest;
}

}  // namespace

ChannelMixer::ChannelMixer(int64_t channels, int64_t rate)
    : channels_(channels),
      rate_(rate),
      block_(std::clamp<size_t>(static_cast<size_t>(rate) / 4, 1,
                                std::max<size_t>(1, kMostHeld / static_cast<size_t>(channels)))),
      energies_(static_cast<size_t>(channels)) {}

void ChannelMixer::Add(std::span<float> frame, std::vector<float>& out) {
  for (float& value : frame) {
    if (IsUsableSample(value)) continue;
    value = 0.0f;
    ++replaced_;
  }
  if (channels_ == 1) {
    out.push_back(frame[0]);
    return;
  }
  for (size_t c = 0; c < frame.size(); ++c) energies_[c] += static_cast<double>(frame[c]) * frame[c];
  values_.insert(values_.end(), frame.begin(), frame.end());
  means_.push_back(Sum(frame) / static_cast<float>(frame.size()));
  if (means_.size() == block_) EndBlock(out);
}

void ChannelMixer::Finish(std::vector<float>& out) {
  if (!means_.empty()) EndBlock(out);
}

void ChannelMixer::EndBlock(std::vector<float>& out) {
  double of_mean = 0, of_all = 0;
  for (const float mean : means_) of_mean += static_cast<double>(mean) * mean;
  for (const double energy : energies_) of_all += energy;
  const auto n = static_cast<double>(channels_), frames = static_cast<double>(means_.size());
  if (of_all > kAudible * n * frames && of_mean < kCancelled * of_all / (n * n)) {
    cancelled_ = true;
    const auto loudest = static_cast<size_t>(std::ranges::max_element(energies_) - energies_.begin());
    for (size_t i = 0; i < means_.size(); ++i) means_[i] = values_[i * energies_.size() + loudest];
  }
  out.insert(out.end(), means_.begin(), means_.end());
  means_.clear();
  values_.clear();
  std::ranges::fill(energies_, 0.0);
}

}  // namespace linnet::media_internal
