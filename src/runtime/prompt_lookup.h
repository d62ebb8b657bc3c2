// Drafts without a drafter: where the last tokens occurred before, what followed them may follow again.
// Copying, code and quotations are full of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

class PromptLookup {
 public:
  static constexpr int64_t kShortest = 2, kLongest = 16;  // tokens of a match

  // Room for `tokens` tokens; Add() then allocates nothing.
  explicit PromptLookup(int64_t tokens) { ids_.reserve(static_cast<size_t>(tokens)); }

  void Add(int32_t id) { ids_.push_back(id); }
  void Add(std::span<const int32_t> ids) { ids_.insert(ids_.end(), ids.begin(), ids.end()); }

  struct Match {
    int64_t length = 0;                // tokens before that equal the last ones; 0 = there is none
    std::span<const int32_t> follows;  // to the end of the text; valid until the next Add()

    // The i-th token that may follow. A match that reaches its own end goes round: the text has that period.
    int32_t At(int64_t i) const { return follows[static_cast<size_t>(i) % follows.size()]; }
  };
  // The longest match, of equally long ones the latest. Its time is linear in the number of tokens:
  // microseconds for thousands, far below a step of any model with such a context.
  Match Find() const;

 private:
  std::vector<int32_t> ids_;
};

}  // namespace linnet
