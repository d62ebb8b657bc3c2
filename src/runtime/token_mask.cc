#include "runtime/token_mask.h"

#include "base/check.h"

namespace linnet {

AllowedTokens::AllowedTokens(std::span<const int32_t> suppressed, int64_t vocab_size, TokenMask* rule)
    : rule_(rule), words_(MaskWords(vocab_size)) {
  if (!suppressed.empty()) not_suppressed_.assign(words_, ~uint32_t{0});
  for (const int32_t id : suppressed) SetAllowed(not_suppressed_, id, false);
  if (rule != nullptr && !suppressed.empty()) both_.resize(words_);
}

AllowedWords AllowedTokens::Words() {
  const AllowedWords ruled = rule_ == nullptr ? AllowedWords{} : rule_->Allowed();
  if (ruled.empty()) return not_suppressed_;
  LINNET_CHECK(ruled.size() == words_);
  if (not_suppressed_.empty()) return ruled;
  for (size_t i = 0; i < both_.size(); ++i) both_[i] = ruled[i] & not_suppressed_[i];
  return both_;
}

}  // namespace linnet
