// Notices an answer that repeats itself without end: a model that is held to a grammar cannot leave a string
// that it has no way out of.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet {

// How the values of an answer are told from what stands between them.
enum class ValueNotation {
  kJson,       // strings and numbers of JSON
  kToolCalls,  // what stands between two quote tokens
  kText,       // all of it is one value
};

class Repetition {
 public:
  // As many tokens that repeat each other, within a value and across values. `quote`: the token of
  // kToolCalls.
  static constexpr size_t kWithin = 512, kAcross = 2048;
  // The longest part that is repeated.
  static constexpr size_t kLongestPart = 64;

  Repetition(ValueNotation notation, int32_t quote) : notation_(notation), quote_(quote) {}

  void Add(int32_t id, std::string_view bytes);
  void RollBack(int64_t tokens);
  void Clear();
  // Whether the last tokens are one part again and again: kWithin of them inside of the value that is open,
  // or kAcross.
  bool Endless() const;

 private:
  // Behind each token: where it stands in JSON, and which token the open value began behind.
  struct Place {
    bool in_value = false, in_string = false, escaped = false;
    size_t begin = 0;
  };
  Place After(Place place, int32_t id, std::string_view bytes) const;
  void Json(Place& place, char c) const;
  // How many of the last tokens, `most` at most, are repetitions with this period.
  size_t Repeated(size_t period, size_t most) const;

  ValueNotation notation_;
  int32_t quote_;
  std::vector<int32_t> ids_;
  std::vector<Place> places_;
};

}  // namespace linnet
