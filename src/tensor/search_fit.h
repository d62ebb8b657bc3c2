// Private to src/tensor. The best step, and the best offset, for a group of values that become whole numbers
// or levels of a table: value = step * level + offset.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/bf16.h"

namespace linnet {

// The whole numbers from lo to hi.
struct WholeLevels {
  float lo, hi;
  // Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number.
  float operator()(float value) const {
    value = value > lo ? value : lo;
    value = value < hi ? value : hi;
    return (value + 12582912.0f) - 12582912.0f;
  }
};

// The levels of iq4: the nearest changes at multiples of a half.
struct TableLevels {
  const std::array<int8_t, 512>* nearest;  // of i / 2 - 128
  float operator()(float value) const {
    value = value > -128.0f ? value : -128.0f;
    value = value < 127.5f ? value : 127.5f;
    return (*nearest)[static_cast<size_t>(2.0f * value + 256.0f)];
  }
};

// Sums of a group for one step and offset. They are added in eight lanes, always in the same order.
struct FitSums {
  float wq = 0, wqq = 0, wxq = 0, error = 0;
};

struct Fit {
  float step = 0, offset = 0, error = 0;
};

// What can be said of a group without its levels.
struct GroupSums {
  float w = 0, wx = 0, wxx = 0;
};

inline constexpr size_t kLanes = 8;

inline float AddLanes(const float* lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

inline float HalfOf(float value) { return HalfToFloat(FloatToHalf(std::clamp(value, -65504.0f, 65504.0f))); }

// What a step or an offset is stored as.
enum class StepType { kFree, kHalf, kBfloat16 };

inline float RoundStep(float value, StepType type) {
  if (type == StepType::kFree) return value;
  return type == StepType::kHalf ? HalfOf(value) : Bf16ToFloat(FloatToBf16(value));
}

inline float InverseOf(float step) { return std::fabs(step) > 1e-30f ? 1.0f / step : 0.0f; }

template <size_t n, typename Levels>
FitSums SumsOf(const float* x, const float* w, float step, float offset, Levels levels) {
  const float inverse = InverseOf(step);
  float wq[kLanes] = {}, wqq[kLanes] = {}, wxq[kLanes] = {}, error[kLanes] = {};
  for (size_t i = 0; i < n; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const float value = x[i + l], q = levels((value - offset) * inverse);
      const float part = w[i + l] * q, off = value - (step * q + offset);
      wq[l] += part;
      wqq[l] += part * q;
      wxq[l] += part * value;
      error[l] += w[i + l] * off * off;
    }
  }
  return {AddLanes(wq), AddLanes(wqq), AddLanes(wxq), AddLanes(error)};
}

template <size_t n>
GroupSums PlainSumsOf(const float* x, const float* w) {
  float sw[kLanes] = {}, wx[kLanes] = {}, wxx[kLanes] = {};
  for (size_t i = 0; i < n; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      sw[l] += w[i + l];
      wx[l] += w[i + l] * x[i + l];
      wxx[l] += w[i + l] * x[i + l] * x[i + l];
    }
  }
  return {AddLanes(sw), AddLanes(wx), AddLanes(wxx)};
}

// Steps that are tried, evenly: those that make the largest element this many steps, and minus so many.
struct StepRange {
  float least, most;
  int count;
};

// The best step without an offset.
template <size_t n, typename Levels>
Fit FitStep(const float* x, const float* w, StepRange range, Levels levels, StepType type) {
  const auto round = [&](float step) { return RoundStep(step, type); };
  Fit best{0, 0, PlainSumsOf<n>(x, w).wxx};
  const auto attempt = [&](float step) {
    const FitSums sums = SumsOf<n>(x, w, step, 0, levels);
    if (sums.error < best.error) best = {step, 0, sums.error};
    return sums.wqq > 0 ? round(sums.wxq / sums.wqq) : 0.0f;
  };
  size_t largest = 0, heaviest = 0;
  for (size_t i = 1; i < n; ++i) {
    if (std::fabs(x[i]) > std::fabs(x[largest])) largest = i;
    if (w[i] * x[i] * x[i] > w[heaviest] * x[heaviest] * x[heaviest]) heaviest = i;
  }
  for (const size_t anchor : {largest, heaviest}) {
    for (int i = 0; i < 2 * range.count; ++i) {
      const float share = static_cast<float>(i / 2) / static_cast<float>(range.count - 1);
      const float steps = range.least + (range.most - range.least) * share;
      attempt(attempt(round(x[anchor] / (i % 2 == 0 ? steps : -steps))));
    }
    if (largest == heaviest) break;
  }
  for (float error = INFINITY; best.error < error;) {
    error = best.error;
    const FitSums sums = SumsOf<n>(x, w, best.step, 0, levels);
    if (sums.wqq > 0) attempt(round(sums.wxq / sums.wqq));
  }
  return best;
}

// The best step and offset; `most` is the highest level, the lowest is 0. `below`: the offset may not be
// above 0, which a format stores without its sign.
struct AffineRule {
  float most;
  bool below;
  StepType type;
};

template <size_t n>
Fit FitAffine(const float* x, const float* w, AffineRule rule) {
  const WholeLevels levels{0, rule.most};
  const GroupSums plain = PlainSumsOf<n>(x, w);
  const auto round = [&](float value) { return RoundStep(value, rule.type); };
  const auto [min, max] = std::minmax_element(x, x + n);
  const float low = rule.below ? std::min(*min, 0.0f) : *min, high = std::max(*max, low);
  Fit best{0, 0, plain.wxx};
  const auto attempt = [&](float step, float offset) {  // returns what least squares makes of its levels
    const FitSums sums = SumsOf<n>(x, w, step, offset, levels);
    if (sums.error < best.error) best = {step, offset, sums.error};
    const float determinant = plain.w * sums.wqq - sums.wq * sums.wq;
    Fit next{step, offset, 0};
    if (determinant > 0) {
      next.step = round((plain.w * sums.wxq - plain.wx * sums.wq) / determinant);
      next.offset = round((sums.wqq * plain.wx - sums.wq * sums.wxq) / determinant);
    }
    if (rule.below && next.offset > 0) next = {sums.wqq > 0 ? round(sums.wxq / sums.wqq) : 0, 0, 0};
    return next;
  };
  // Ends are moved in by so many steps.
  constexpr float kMoved[] = {-0.4f, 0.0f, 0.5f, 1.2f, 2.2f, 3.6f};
  const float step = (high - low) / rule.most;
  for (const float a : kMoved) {
    for (const float b : kMoved) {
      const float from = rule.below ? std::min(low + a * step, 0.0f) : low + a * step;
      const Fit next = attempt(round((high - b * step - from) / rule.most), round(from));
      attempt(next.step, next.offset);
    }
  }
  for (float error = INFINITY; best.error < error;) {
    error = best.error;
    Fit next = attempt(best.step, best.offset);
    attempt(next.step, next.offset);
  }
  return best;
}

}  // namespace linnet
