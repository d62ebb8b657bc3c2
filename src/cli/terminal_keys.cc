#include "cli/terminal_keys.h"

#include <array>
#include <charconv>

#include "base/utf8.h"

namespace linnet {
namespace {

// The bytes of one sequence come together, over slow lines in two pieces.
constexpr int kGap = 200;
// Inside a sequence nothing else can be meant, however slow the line is.
constexpr int kSequenceGap = 2000;
// A paste whose end never comes is over after this.
constexpr int kPasteGap = 5000;
constexpr size_t kMostParameters = 64;
constexpr size_t kMostString = 1u << 16;
constexpr int kInterrupt = 0x03, kEscape = 0x1b, kDeleteBack = 0x7f;
constexpr std::string_view kPasteEnd = "\033[201~";

constexpr int kShift = 1, kAlt = 2, kControl = 4;

// "13;2:1;7" as {13, 2, 7}: what follows a colon is detail. Missing ones are 0.
struct Parameters {
  std::array<int, 3> values = {};
  bool released = false;  // the kitty protocol tells releases too
};

Parameters Parse(std::string_view text) {
  Parameters parameters;
  for (int& value : parameters.values) {
    const std::string_view field = text.substr(0, text.find(';'));
    std::from_chars(field.data(), field.data() + field.size(), value);
    if (&value == &parameters.values[1] && field.ends_with(":3")) parameters.released = true;
    if (field.size() == text.size()) break;
    text.remove_prefix(field.size() + 1);
  }
  return parameters;
}

KeyPress Arrow(char letter, bool word) {
  switch (letter) {
    case 'A':
      return {Key::kUp};
    case 'B':
      return {Key::kDown};
    case 'C':
      return {word ? Key::kWordRight : Key::kRight};
    case 'D':
      return {word ? Key::kWordLeft : Key::kLeft};
    case 'H':
      return {Key::kHome};
    case 'F':
      return {Key::kEnd};
    default:
      return {};
  }
}

// A key that is told by its character and the modifiers held.
KeyPress Modified(int code, int held) {
  constexpr int kEnter = 13, kTab = 9, kBack = 8, kFirstOfKitty = 57344;
  if (code == kEnter) return held != 0 ? KeyPress{Key::kNewLine} : KeyPress{Key::kText, U'\r'};
  if (code == kTab) return {Key::kText, U'\t'};
  const bool back = code == kDeleteBack || code == kBack;
  if (!back && (code < ' ' || code >= kFirstOfKitty)) return {};
  const auto character = static_cast<char32_t>(back ? kDeleteBack : code);
  if ((held & kControl) != 0) {
    const bool letter = (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    return letter ? KeyPress{Key::kText, character & 0x1f} : KeyPress{};
  }
  if ((held & kAlt) != 0) return code < 0x80 ? KeyPress{Key::kMeta, character} : KeyPress{};
  return {Key::kText, character};
}

KeyPress OfSequence(std::string_view text, char letter) {
  if (!text.empty() && text[0] >= '<' && text[0] <= '?') return {};  // answers to questions nobody asked
  const auto [values, released] = Parse(text);
  if (released) return {};
  const int held = values[1] > 0 ? values[1] - 1 : 0;
  if (letter == 'u') return Modified(values[0], held);
  if (letter >= 'a' && letter <= 'd')
    return Arrow(static_cast<char>(letter - 'a' + 'A'), false);  // rxvt, Shift
  if (letter != '~' && letter != '^' && letter != '@') return Arrow(letter, (held & (kAlt | kControl)) != 0);
  switch (values[0]) {
    case 1:
    case 7:
      return {Key::kHome};
    case 4:
    case 8:
      return {Key::kEnd};
    case 3:
      return {Key::kDelete};
    case 27:
      return Modified(values[2], held);
    case 200:
      return {Key::kPaste};
    default:
      return {};
  }
}

std::string Cleaned(std::string_view raw) {
  std::string text;
  for (size_t at = 0; at < raw.size();) {
    const CodePoint point = DecodeCodePoint(raw, at);
    const bool control = point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0);
    if (!point.valid) {
      text += kReplacementCharacter;
    } else if (raw[at] == '\r') {
      if (at + 1 == raw.size() || raw[at + 1] != '\n') text += '\n';
    } else if (!control || raw[at] == '\n' || raw[at] == '\t') {
      text += raw.substr(at, point.length);
    }
    at += point.length;
  }
  return text;
}

}  // namespace

KeyPress TerminalKeys::Next() {
  KeyPress press;
  do {
    press = Read();
  } while (press.key == Key::kNone);
  return press;
}

KeyPress TerminalKeys::Read() {
  const int byte = input_.Next();
  if (byte == TerminalInput::kEnd) return {Key::kInputEnd};
  if (byte == 0) return {};
  return byte == kEscape ? Escape() : Character(byte);
}

KeyPress TerminalKeys::Character(int lead) {
  std::string bytes(1, static_cast<char>(lead));
  while (CompletePrefix(bytes) < bytes.size()) {
    const int byte = input_.Next(kGap);
    if (byte < 0x80 || byte > 0xbf) {
      input_.Unread(byte);
      break;
    }
    bytes += static_cast<char>(byte);
  }
  const CodePoint point = DecodeCodePoint(bytes, 0);
  if (!point.valid) return {Key::kText, U'\uFFFD'};
  if (point.value >= 0x80 && point.value < 0xa0) return {};
  return {Key::kText, point.value};
}

KeyPress TerminalKeys::Escape() {
  int byte = input_.Next(kGap);
  while (byte == kEscape) byte = input_.Next(kGap);  // Alt and a key that is a sequence itself
  if (byte < 0) {
    input_.Unread(byte);
    return {};
  }
  switch (byte) {
    case '[':
      return ControlSequence();
    case 'O':
      return SingleShift();
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
      SkipString();
      return {};
    case '\r':
    case '\n':
      return {Key::kNewLine};
    default:
      break;
  }
  if (byte >= ' ' && byte < 0x80) return {Key::kMeta, static_cast<char32_t>(byte)};
  input_.Unread(byte);
  return {};
}

// Parameters 0x30 to 0x3f, intermediate bytes 0x20 to 0x2f, one final byte 0x40 to 0x7e (ECMA-48).
KeyPress TerminalKeys::ControlSequence() {
  std::string parameters;
  while (true) {
    const int byte = input_.Next(kSequenceGap);
    if (byte < ' ' || byte > '~') {  // broken off
      input_.Unread(byte);
      return {};
    }
    if (byte < '@') {
      if (parameters.size() < kMostParameters) parameters += static_cast<char>(byte);
      continue;
    }
    if (parameters.empty() &&
        (byte == '[' || byte == 'M')) {  // a function key of the Linux console, an old mouse
      for (int more = byte == '[' ? 1 : 3; more > 0; --more) {
        const int next = input_.Next(kSequenceGap);
        if (next < ' ') {
          input_.Unread(next);
          break;
        }
      }
      return {};
    }
    const KeyPress press = OfSequence(parameters, static_cast<char>(byte));
    return press.key == Key::kPaste ? Paste() : press;
  }
}

KeyPress TerminalKeys::SingleShift() {
  std::string modifiers;
  int byte = input_.Next(kSequenceGap);
  for (; (byte >= '0' && byte <= '9') || byte == ';'; byte = input_.Next(kSequenceGap))
    modifiers += static_cast<char>(byte);
  if (byte < ' ' || byte > '~') {
    input_.Unread(byte);
    return {};
  }
  if (byte == 'M') return {Key::kText, U'\r'};  // the keypad
  if (byte >= 'p' && byte <= 'y') return {Key::kText, static_cast<char32_t>(byte - 'p' + '0')};
  if (byte >= 'a' && byte <= 'd') return Arrow(static_cast<char>(byte - 'a' + 'A'), true);  // rxvt, Ctrl
  return Arrow(static_cast<char>(byte), modifiers.ends_with('5') || modifiers.ends_with('3'));
}

// To BEL or ESC \, as answers of terminals and titles end.
void TerminalKeys::SkipString() {
  for (size_t count = 0; count < kMostString; ++count) {
    const int byte = input_.Next(kSequenceGap);
    if (byte < 0 || byte == '\a') return;
    if (byte == kInterrupt) return input_.Unread(byte);
    if (byte != kEscape) continue;
    const int next = input_.Next(kSequenceGap);
    if (next != '\\') input_.Unread(next);
    return;
  }
}

KeyPress TerminalKeys::Paste() {
  std::string raw;
  bool interrupted = false;
  input_.SetGreedy(true);
  while (!raw.ends_with(kPasteEnd)) {
    const int byte = input_.Next(interrupted ? kGap : kPasteGap);
    if (byte < 0) break;
    interrupted = byte == kInterrupt;
    // Of too much only the end is kept, to find where it stops.
    if (raw.size() > 2 * kMostPasted) raw.erase(0, kMostPasted - 1 - kPasteEnd.size());
    raw += static_cast<char>(byte);
  }
  input_.SetGreedy(false);
  // A paste may hold Ctrl-C too, but then more follows: this one was typed by somebody who has waited enough.
  if (interrupted) return {Key::kText, kInterrupt};
  if (raw.ends_with(kPasteEnd)) raw.resize(raw.size() - kPasteEnd.size());
  pasted_ = raw.size() > kMostPasted ? std::string() : Cleaned(raw);
  return {Key::kPaste};
}

}  // namespace linnet
