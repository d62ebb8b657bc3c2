// Which key a person pressed, from the bytes that terminals send for it: sequences of xterm, the Linux
// console, tmux, screen, PuTTY, rxvt and of the kitty keyboard protocol. A sequence is always read to its
// end, so that none of it is taken for text.
#pragma once

#include <string>
#include <string_view>

#include "base/terminal.h"

namespace linnet {

enum class Key {
  kText,     // a character, control characters included
  kMeta,     // a character with Alt
  kNewLine,  // Shift-Enter, Alt-Enter: a line break that does not send
  kPaste,    // see TerminalKeys::pasted
  kHome,
  kEnd,
  kLeft,
  kRight,
  kUp,
  kDown,
  kWordLeft,
  kWordRight,
  kDelete,
  kNone,  // a key that means nothing here
  kInputEnd,
};

struct KeyPress {
  Key key = Key::kNone;
  char32_t character = 0;
};

class TerminalKeys {
 public:
  // Waits for a key that means something.
  KeyPress Next();
  // What was pasted: valid UTF-8, its line ends as \n, without control characters but tabs. Empty where it
  // was more than kMostPasted.
  const std::string& pasted() const { return pasted_; }

  static constexpr size_t kMostPasted = 4u << 20;

 private:
  KeyPress Read();
  KeyPress Character(int lead);
  KeyPress Escape();
  KeyPress ControlSequence();
  KeyPress SingleShift();
  void SkipString();
  KeyPress Paste();

  TerminalInput input_;
  std::string pasted_;
};

}  // namespace linnet
