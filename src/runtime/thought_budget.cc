#include "runtime/thought_budget.h"

#include <algorithm>

#include "base/check.h"
#include "runtime/token_mask.h"

namespace linnet {

std::unique_ptr<ThoughtBudget> ThoughtBudget::Create(const Tokenizer& tokenizer, const Limits& limits) {
  const auto open = tokenizer.TokenId("<|channel>"), close = tokenizer.TokenId("<channel|>");
  if (!open || !close) return nullptr;
  const auto name = static_cast<int64_t>(tokenizer.EncodeOrdinary("thought\n").size());
  return std::unique_ptr<ThoughtBudget>(new ThoughtBudget({*open, *close, name}, limits));
}

ThoughtBudget::ThoughtBudget(Markers markers, const Limits& limits)
    : markers_(markers),
      // The prompt has the name of a thought that it opened.
      most_(std::max<int64_t>(1, limits.thought) + (limits.inside_thought ? 0 : markers.name)),
      inside_at_first_(limits.inside_thought),
      close_alone_(MaskWords(limits.vocabulary)) {
  SetAllowed(close_alone_, markers.close, true);
  inside_.reserve(static_cast<size_t>(limits.answer + kMaxDrafts + 1));  // a step allocates nothing
}

AllowedWords ThoughtBudget::Allowed() {
  if (inside() && thought_ >= most_) return close_alone_;
  return {};
}

void ThoughtBudget::Advance(int32_t id) {
  const bool before = inside();
  const bool after = id == markers_.open || (before && id != markers_.close);
  if (before && after) ++thought_;
  inside_.push_back(after);
}

void ThoughtBudget::RollBack(int64_t tokens) {
  LINNET_CHECK(tokens >= 0 && static_cast<size_t>(tokens) <= inside_.size());
  for (int64_t i = 0; i < tokens; ++i) {
    const bool after = inside();
    inside_.pop_back();
    if (after && inside()) --thought_;
  }
}

}  // namespace linnet
