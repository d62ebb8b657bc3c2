// Tells the arguments of a tool call while the model writes it: Gemma's notation becomes JSON piece by piece.
//
// Only the notation itself is followed, and only as far as it cannot be read otherwise any more; where a call
// leaves it, the rest waits for ParseToolCalls(), which knows what was most likely meant. What was told is
// never taken back.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "linnet/turn.h"

namespace linnet {

class ToolCallStream {
 public:
  // `block`: all that stands behind `<|tool_call>` so far, which only grows. What has become certain of the
  // arguments' JSON text since the last call; the first is not empty. Linear in all of the block.
  std::string Push(std::string_view block);

  // Whether there has been something to tell: the block's first call has this name.
  bool begun() const { return !told_.empty(); }
  const std::string& name() const { return name_; }

  // That call as it was read in the end, with arguments that begin with what was told. Where they do not, as
  // after a string that nothing closed or a key that came twice, the entries that became others come once
  // more behind it: of two entries with one key the later one counts.
  ToolCall Whole(ToolCall read) const;

 private:
  enum class Place { kName, kEntry, kItem, kValue, kString, kAfter, kEnd };
  enum class Ahead { kYes, kNo, kWait };
  struct Bracket {
    bool map = true, empty = true;
    std::unordered_set<std::string> keys = {};
  };

  bool Step(std::string_view block);
  bool Name(std::string_view block);
  bool Entry(std::string_view block);
  bool Item(std::string_view block);
  bool Value(std::string_view block);
  bool Literal(std::string_view block);
  bool String(std::string_view block);
  bool After(std::string_view block);
  static Ahead EntryAhead(std::string_view block, size_t at, size_t& colon);

  void Open(bool map);
  bool Close();
  bool Leave() { return place_ = Place::kEnd, false; }
  void SkipSpace(std::string_view block);
  std::string Completed() const;

  Place place_ = Place::kName;
  size_t at_ = 0;      // of the block, read so far
  size_t string_ = 0;  // where the string at hand begins
  std::string name_, told_, new_;
  std::vector<Bracket> open_;
  bool in_string_ = false, wants_value_ = false;
};

}  // namespace linnet
