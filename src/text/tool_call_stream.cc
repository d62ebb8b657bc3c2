#include "text/tool_call_stream.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "text/tool_arguments.h"
#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kCallWord = "call:";
// Where the output is text, what a cut leaves of a marker is dropped: nothing behind a `<` is certain before
// it is longer than the longest of them.
constexpr size_t kLongestMarker = sizeof("<|tool_response>") - 1;
// A string is told when it has ended, or piece by piece when it is longer than this: a short one whose
// closing quote the model forgot can still be read as it was meant.
constexpr size_t kShortString = 64;

std::string JsonText(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Inside of a JSON string.
std::string Escaped(std::string_view text) {
  const std::string quoted = JsonText(std::string(text));
  return quoted.substr(1, quoted.size() - 2);
}

// How much of a string's beginning will stay, whatever follows: a cut drops what may be the beginning of a
// marker, white space before it, and what may be that of the closing quote before this.
size_t CertainPart(std::string_view text) {
  size_t size = 0;
  do {
    size = text.size();
    const size_t marker = text.rfind('<');
    if (marker != text.npos && text.size() - marker < kLongestMarker) text = text.substr(0, marker);
    text = text.substr(0, CompletePrefix(text));
    const std::string_view stripped = Strip(text);
    text = text.substr(
        0, stripped.empty() ? 0 : static_cast<size_t>(stripped.data() + stripped.size() - text.data()));
  } while (text.size() < size);
  return size;
}

bool EndsKey(char c) { return !IsToolNameCharacter(c); }

}  // namespace

std::string ToolCallStream::Push(std::string_view block) {
  while (place_ != Place::kEnd && Step(block)) {
  }
  told_ += new_;
  return std::exchange(new_, {});
}

// False: nothing more is certain yet, or ever.
bool ToolCallStream::Step(std::string_view block) {
  switch (place_) {
    case Place::kName:
      return Name(block);
    case Place::kEntry:
      return Entry(block);
    case Place::kItem:
      return Item(block);
    case Place::kValue:
      return Value(block);
    case Place::kString:
      return String(block);
    case Place::kAfter:
      return After(block);
    case Place::kEnd:
      break;
  }
  return false;
}

void ToolCallStream::SkipSpace(std::string_view block) {
  while (at_ < block.size() && IsJsonSpace(block[at_])) ++at_;
}

bool ToolCallStream::Name(std::string_view block) {
  SkipSpace(block);
  const std::string_view text = block.substr(at_);
  if (text.size() <= kCallWord.size()) return kCallWord.starts_with(text) ? false : Leave();
  if (!text.starts_with(kCallWord)) return Leave();
  const std::string_view name = text.substr(kCallWord.size());
  const size_t length = ToolNameLength(name);
  if (length > kMaxToolWord) return Leave();
  if (length == name.size()) return false;
  if (length + 1 == name.size() && name[length] == ':') return false;  // inside of it, perhaps
  // A second `call:`, in any case, is none of the name's.
  if (length == 0 || name[length] != '{' || ToUpperAscii(name.substr(0, 5)) == "CALL:") return Leave();
  name_ = name.substr(0, length);
  at_ += kCallWord.size() + length + 1;
  Open(true);
  return true;
}

void ToolCallStream::Open(bool map) {
  new_ += map ? '{' : '[';
  open_.push_back({.map = map});
  place_ = map ? Place::kEntry : Place::kItem;
  wants_value_ = false;
}

// The bracket at this place, which closes the innermost one.
bool ToolCallStream::Close() {
  ++at_;
  new_ += open_.back().map ? '}' : ']';
  open_.pop_back();
  place_ = open_.empty() ? Place::kEnd : Place::kAfter;
  return true;
}

// Whether a key and its colon stand here.
ToolCallStream::Ahead ToolCallStream::EntryAhead(std::string_view block, size_t at, size_t& colon) {
  while (at < block.size() && IsJsonSpace(block[at])) ++at;
  const std::string_view text = block.substr(at, kMaxToolWord);
  if (text.empty()) return Ahead::kWait;
  if (IsDigit(text[0])) return Ahead::kNo;  // which may go on with the value before it
  const auto end = std::ranges::find_if(text, EndsKey);
  const std::string_view key(text.begin(), end);
  if (end == text.end()) return text.size() == kMaxToolWord ? Ahead::kNo : Ahead::kWait;
  if (key.empty() || *end != ':' || key == "call") return Ahead::kNo;
  colon = at + key.size();
  return Ahead::kYes;
}

bool ToolCallStream::Entry(std::string_view block) {
  SkipSpace(block);
  if (at_ == block.size()) return false;
  Bracket& map = open_.back();
  if (block[at_] == '}' && map.empty) return Close();
  size_t colon = 0;
  const Ahead ahead = EntryAhead(block, at_, colon);
  if (ahead != Ahead::kYes) return ahead == Ahead::kNo ? Leave() : false;
  std::string key(block.substr(at_, colon - at_));
  if (CompletePrefix(key) != key.size() || !map.keys.insert(key).second) return Leave();
  new_ += (map.empty ? "" : ",") + JsonText(key) + ":";
  map.empty = false;
  at_ = colon + 1;
  place_ = Place::kValue;
  wants_value_ = true;
  return true;
}

bool ToolCallStream::Item(std::string_view block) {
  SkipSpace(block);
  if (at_ == block.size()) return false;
  Bracket& list = open_.back();
  if (block[at_] == ']' && list.empty) return Close();
  place_ = Place::kValue;
  return true;
}

bool ToolCallStream::Value(std::string_view block) {
  SkipSpace(block);
  const std::string_view text = block.substr(at_);
  if (text.empty()) return false;
  if (text.size() < kToolQuote.size() && kToolQuote.starts_with(text)) return false;
  const bool quote = text.starts_with(kToolQuote);
  if (!quote && text[0] != '{' && text[0] != '[') return Literal(block);
  if (!quote && static_cast<int>(open_.size()) >= kMaxToolDepth) return Leave();
  if (Bracket& around = open_.back(); !around.map) {
    if (!std::exchange(around.empty, false)) new_ += ',';
  }
  if (!quote) {
    ++at_;
    Open(text[0] == '{');
    return true;
  }
  string_ = at_ += kToolQuote.size();
  new_ += '"';
  wants_value_ = false;
  in_string_ = true;
  place_ = Place::kString;
  return true;
}

// A number, true, false or null, of which the end is known: by a bracket, or by the entry or item behind it.
bool ToolCallStream::Literal(std::string_view block) {
  Bracket& around = open_.back();
  const size_t end = block.find_first_of(",}]", at_);
  if (end == block.npos) return block.size() - at_ > kMaxToolWord ? Leave() : false;
  const std::string_view word = block.substr(at_, end - at_);
  if (word.size() > kMaxToolWord ||
      !std::ranges::all_of(word, [](char c) { return IsToolNameCharacter(c) || c == '+'; })) {
    return Leave();
  }
  if (word.empty() || (block[end] != ',' && block[end] != (around.map ? '}' : ']'))) return Leave();
  size_t colon = 0;
  if (around.map && block[end] == ',') {
    const Ahead ahead = EntryAhead(block, end + 1, colon);
    if (ahead != Ahead::kYes) return ahead == Ahead::kNo ? Leave() : false;
  }
  ArgumentReader reader(word, false);
  const Json value = reader.Value(0);
  if (reader.repaired() || value.is_string() || value.is_structured()) return Leave();
  if (!around.map && !std::exchange(around.empty, false)) new_ += ',';
  new_ += JsonText(value);
  wants_value_ = false;
  at_ = end;
  place_ = Place::kAfter;
  return true;
}

bool ToolCallStream::String(std::string_view block) {
  const std::string_view text = block.substr(at_);
  const size_t quote = text.find(kToolQuote);
  if (quote == text.npos) {
    if (block.size() - string_ < kShortString) return false;
    const size_t certain = CertainPart(text);
    new_ += Escaped(text.substr(0, certain));
    at_ += certain;
    return false;
  }
  size_t next = at_ + quote + kToolQuote.size();
  while (next < block.size() && IsJsonSpace(block[next])) ++next;
  if (next == block.size()) return false;
  const char c = block[next];
  if (c != ',' && c != (open_.back().map ? '}' : ']')) return Leave();     // a quote inside of it, perhaps
  if (text.substr(0, quote).find(kCallWord) != text.npos) return Leave();  // which may begin another
  new_ += Escaped(text.substr(0, quote)) + '"';
  in_string_ = false;
  at_ = next;
  place_ = Place::kAfter;
  return true;
}

bool ToolCallStream::After(std::string_view block) {
  if (at_ == block.size()) return false;
  const bool map = open_.back().map;
  if (block[at_] == (map ? '}' : ']')) return Close();
  if (block[at_] != ',') return Leave();
  ++at_;
  place_ = map ? Place::kEntry : Place::kItem;
  return true;
}

// What was told, closed where it stands.
std::string ToolCallStream::Completed() const {
  std::string text = told_;
  if (in_string_) text += '"';
  if (wants_value_) text += "null";
  for (auto bracket = open_.rbegin(); bracket != open_.rend(); ++bracket) text += bracket->map ? '}' : ']';
  return text;
}

ToolCall ToolCallStream::Whole(ToolCall read) const {
  if (read.arguments.starts_with(told_)) return read;
  std::string text = Completed();
  const Json told = Json::parse(text, nullptr, false), meant = Json::parse(read.arguments, nullptr, false);
  bool first = told.empty();
  text.pop_back();
  for (const auto& [key, value] : meant.items()) {
    const auto same = told.find(key);
    if (same != told.end() && *same == value) continue;
    if (!std::exchange(first, false)) text += ',';
    text += JsonText(key) + ":" + JsonText(value);
  }
  read.arguments = text + "}";
  return read;
}

}  // namespace linnet
