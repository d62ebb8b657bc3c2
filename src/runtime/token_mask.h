// Which tokens the sampler may choose: what a model suppresses, and a rule of the caller.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linnet/turn.h"

namespace linnet {

// Words of a mask over so many tokens.
inline size_t MaskWords(int64_t vocab_size) { return (static_cast<size_t>(vocab_size) + 31) / 32; }

inline bool IsAllowed(AllowedWords words, size_t id) {
  return words.empty() || (words[id / 32] >> (id % 32) & 1) != 0;
}

// REQUIRES: the mask has the token.
inline void SetAllowed(std::span<uint32_t> words, int32_t id, bool allowed) {
  const uint32_t bit = uint32_t{1} << (id % 32);
  uint32_t& word = words[static_cast<size_t>(id) / 32];
  word = allowed ? word | bit : word & ~bit;
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
  // A step is about to run; as TokenMask::Prepare().
  void Prepare(std::span<const int32_t> drafts) {
    if (rule_ != nullptr) rule_->Prepare(drafts);
  }
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
