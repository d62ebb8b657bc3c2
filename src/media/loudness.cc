#include "media/loudness.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace linnet {
namespace {

constexpr size_t kFrame = 320;  // 20 ms
// dB relative to full scale. Speech at a usual distance has its loudest moments at -25 to -10.
constexpr float kQuiet = -45.0f, kSilent = -88.0f, kWanted = -20.0f;
constexpr float kNothing = -120.0f;
// Words stand out from the noise between them; without that there is nothing to make louder.
constexpr float kLeastRange = 12.0f;

}  // namespace

void LoudnessMeter::Push(std::span<const float> samples) {
  for (const float sample : samples) {
    sum_ += static_cast<double>(sample) * sample;
    if (++count_ == kFrame) EndFrame();
  }
}

void LoudnessMeter::EndFrame() {
  const double mean = sum_ / static_cast<double>(count_);
  const float level = mean > 0 ? std::max(kNothing, static_cast<float>(10.0 * std::log10(mean))) : kNothing;
  loudest_ = std::max(loudest_, level);
  quietest_ = std::min(quietest_, level);
  sum_ = 0;
  count_ = 0;
}

bool LoudnessMeter::IsLoud() const { return loudest_ > kQuiet; }

bool LoudnessMeter::IsSilent() const { return loudest_ < kSilent; }

float LoudnessMeter::Gain() const {
  if (IsLoud() || IsSilent() || loudest_ - quietest_ < kLeastRange) return 1.0f;
  return std::pow(10.0f, (kWanted - loudest_) / 20.0f);
}

std::string LoudnessMeter::Note(float gain) const {
  if (IsLoud()) return {};
  if (loudest_ < kNothing)
    return count_ == 0 ? "it holds no sound" : "it is too short to hear anything in it";
  if (IsSilent()) return "it is silent from beginning to end";
  return fmt::format("it is very quiet ({:.0f} dB at its loudest){}", loudest_,
                     gain > 1.0f ? ": it was made louder" : ", and nothing stands out from its noise");
}

}  // namespace linnet
