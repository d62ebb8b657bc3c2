// Finds added tokens in a text: leftmost first, the longest where several start at the same place.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool special = false;       // removed by skip_special
  bool trusted_only = false;  // ordinary characters in untrusted text; true of all special ones
  bool normalized = false;    // matched after spaces have become ▁
  bool strip_left = false;    // takes the white space before it
  bool strip_right = false;   // takes the white space after it
};

class AddedTokenMatcher {
 public:
  // Longer contents are refused by the loaders: they would make the search of a hostile text slow.
  static constexpr size_t kMaxLength = 512;

  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  struct Match {
    size_t begin = 0, end = 0;  // end == begin: none
    const AddedToken* token = nullptr;
  };
  // The first match that begins at or after `from`; without `trusted`, of tokens that untrusted text may
  // give.
  Match Next(std::string_view text, size_t from, bool trusted = true) const;

  bool empty() const { return tokens_.empty(); }

 private:
  struct Node {
    int32_t token = -1;                           // index of the token that ends here
    std::vector<std::pair<char, uint32_t>> next;  // few children each
  };

  uint32_t Child(uint32_t node, char c) const;  // 0 = none: the root is nobody's child

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<uint32_t, 256> first_{};  // the root's children by byte
};

}  // namespace linnet
