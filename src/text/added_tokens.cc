#include "text/added_tokens.h"

namespace linnet {

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    uint32_t node = 0;
    for (const char c : tokens_[i].content) {
      uint32_t child = Child(node, c);
      if (child == 0) {
        child = static_cast<uint32_t>(nodes_.size());
        nodes_.emplace_back();
        nodes_[node].next.emplace_back(c, child);
        if (node == 0) first_[static_cast<uint8_t>(c)] = child;
      }
      node = child;
    }
    if (node != 0) nodes_[node].token = static_cast<int32_t>(i);
  }
}

uint32_t AddedTokenMatcher::Child(uint32_t node, char c) const {
  if (node == 0) return first_[static_cast<uint8_t>(c)];
  for (const auto& [key, child] : nodes_[node].next) {
    if (key == c) return child;
  }
  return 0;
}

AddedTokenMatcher::Match AddedTokenMatcher::Next(std::string_view text, size_t from, bool trusted) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    uint32_t node = first_[static_cast<uint8_t>(text[begin])];
    Match best;
    for (size_t end = begin + 1; node != 0; ++end) {
      const int32_t index = nodes_[node].token;
      const AddedToken* token = index < 0 ? nullptr : &tokens_[static_cast<size_t>(index)];
      if (token != nullptr && (trusted || !token->trusted_only)) best = {begin, end, token};
      node = end < text.size() ? Child(node, text[end]) : 0;
    }
    if (best.token != nullptr) return best;
  }
  return {text.size(), text.size(), nullptr};
}

}  // namespace linnet
