#include "runtime/prompt_share.h"

#include <algorithm>

namespace linnet {
namespace {

// What rows of prompts may add to a step. Twice its usual length is what those who read along shall wait at
// most; the rest is for what comes between.
constexpr double kMostAdded = 0.6;
// A new measurement counts so much: a neighbour's burst does not decide the next steps, a change of the load
// does within some.
constexpr double kWeight = 0.25;
constexpr int64_t kFirstRows = 4, kUnmeasuredSteps = 64;

void Blend(double& value, double measured) {
  value = value == 0 ? measured : value + kWeight * (measured - value);
}

}  // namespace

// Of so many, else of the next smaller known number, which takes less, else of any.
double PromptShare::Usual(int64_t writing) const {
  const auto begin = usual_.begin() + std::min<int64_t>(writing, static_cast<int64_t>(usual_.size()) - 1);
  for (auto it = begin; it > usual_.begin(); --it) {
    if (*it > 0) return *it;
  }
  const auto known = std::find_if(begin, usual_.end(), [](double seconds) { return seconds > 0; });
  return known == usual_.end() ? 0 : *known;
}

int64_t PromptShare::Rows(int64_t writing, int64_t most) {
  const double usual = Usual(writing);
  if (usual == 0 || unmeasured_ >= kUnmeasuredSteps) return 0;
  if (row_seconds_ == 0) return std::min(kFirstRows, most);
  return std::clamp(static_cast<int64_t>(kMostAdded * usual / row_seconds_), int64_t{1}, most);
}

double PromptShare::SecondsLeft(int64_t writing, int64_t rows) const {
  return kMostAdded * Usual(writing) - row_seconds_ * static_cast<double>(rows);
}

void PromptShare::Took(int64_t writing, int64_t rows, double seconds) {
  if (writing == 0) return;
  if (rows == 0) {
    Blend(usual_[static_cast<size_t>(std::min<int64_t>(writing, static_cast<int64_t>(usual_.size()) - 1))],
          seconds);
    unmeasured_ = 0;
    return;
  }
  ++unmeasured_;
  // A row costs something even where noise says that it does not.
  const double usual = Usual(writing);
  Blend(row_seconds_, std::max(seconds - usual, 0.01 * usual) / static_cast<double>(rows));
}

}  // namespace linnet
