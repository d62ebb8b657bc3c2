// A bound on how much a model thinks before it answers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "linnet/turn.h"
#include "text/tokenizer.h"

namespace linnet {

// Once all thoughts of an answer have so many tokens, the only token that may follow inside a thought is the
// one that closes it; outside of thoughts everything may. The name of a thought's channel does not count.
class ThoughtBudget : public TokenMask {
 public:
  struct Limits {
    int64_t vocabulary = 0;       // tokens that the model knows; the tokenizer may name fewer
    int64_t thought = 0;          // tokens, at least 1
    int64_t answer = 0;           // tokens that the answer has at most, all in all
    bool inside_thought = false;  // the prompt ends in an open thought
  };
  // Null where the vocabulary has no thoughts.
  static std::unique_ptr<ThoughtBudget> Create(const Tokenizer& tokenizer, const Limits& limits);

  AllowedWords Allowed() override;
  void Advance(int32_t id) override;
  void RollBack(int64_t tokens) override;

 private:
  struct Markers {
    int32_t open = -1, close = -1;
    int64_t name = 0;  // tokens of a channel's name
  };
  ThoughtBudget(Markers markers, const Limits& limits);

  bool inside() const { return inside_.empty() ? inside_at_first_ : inside_.back(); }

  Markers markers_;
  int64_t most_;
  bool inside_at_first_;
  std::vector<bool> inside_;  // after each token so far
  int64_t thought_ = 0;       // of them, that belong to thoughts
  std::vector<uint32_t> close_alone_;
};

}  // namespace linnet
