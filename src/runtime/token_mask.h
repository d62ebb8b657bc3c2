// Which tokens the sampler may choose: what a model suppresses, and a rule of the caller.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linnet/turn.h"

namespace linnet {

inline bool IsAllowed(AllowedWords words, size_t id) {
  return words.empty() || (words[id / 32] >> (id % 32) & 1) != 0;
}

// A model's suppressed tokens together with a rule, which may be null and must outlive this.
class AllowedTokens {
 public:
  AllowedTokens(std::span<const int32_t> suppressed, int64_t vocab_size, TokenMask* rule);

  void Begin(const AnswerStart& start) {
    if (rule_ != nullptr) rule_->Begin(start);
  }
  bool Endless() const { return rule_ != nullptr && rule_->Endless(); }
  const Error* error() const { return rule_ == nullptr ? nullptr : rule_->error(); }
  AllowedWords Words();
  void Advance(int32_t id) {
    if (rule_ != nullptr) rule_->Advance(id);
  }
  void RollBack(int64_t tokens) {
    if (rule_ != nullptr) rule_->RollBack(tokens);
  }

 private:
  TokenMask* rule_;
  size_t words_;                          // that the vocabulary needs
  std::vector<uint32_t> not_suppressed_;  // empty where nothing is
  std::vector<uint32_t> both_;
};

}  // namespace linnet
