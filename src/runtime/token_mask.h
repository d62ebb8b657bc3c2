// Which tokens may come next. The logits stay what the model computed; the sampler passes over what is not
// allowed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

// One bit a token, 32 in a word, the lowest id in the lowest bit. Empty: every token is allowed.
using AllowedWords = std::span<const uint32_t>;

inline bool IsAllowed(AllowedWords words, size_t id) {
  return words.empty() || (words[id / 32] >> (id % 32) & 1) != 0;
}

// A rule that depends on the tokens so far, such as a grammar.
class TokenMask {
 public:
  virtual ~TokenMask() = default;
  // For the next token; valid until the next call. As many words as the vocabulary needs, or none.
  virtual AllowedWords Allowed() = 0;
  // The token that was chosen, or a draft, whether or not it is allowed.
  virtual void Advance(int32_t id) = 0;
  // Takes back the last `tokens` calls of Advance().
  virtual void RollBack(int64_t tokens) = 0;
};

// A model's suppressed tokens together with a rule, which may be null and must outlive this.
class AllowedTokens {
 public:
  AllowedTokens(std::span<const int32_t> suppressed, int64_t vocab_size, TokenMask* rule);

  AllowedWords Words();
  void Advance(int32_t id) {
    if (rule_ != nullptr) rule_->Advance(id);
  }
  void RollBack(int64_t tokens) {
    if (rule_ != nullptr) rule_->RollBack(tokens);
  }

 private:
  TokenMask* rule_;
  std::vector<uint32_t> not_suppressed_;  // empty where nothing is
  std::vector<uint32_t> both_;
};

}  // namespace linnet
