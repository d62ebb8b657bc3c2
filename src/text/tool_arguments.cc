#include "text/tool_arguments.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// A map under construction: finding a key takes constant time, as it would not in an ordered_json.
class Entries {
 public:
  // False if the key was there: its value is replaced.
  bool Set(std::string key, Json value) {
    const auto [found, added] = index_.emplace(key, entries_.size());
    if (added) {
      entries_.emplace_back(std::move(key), std::move(value));
    } else {
      entries_[found->second].second = std::move(value);
    }
    return added;
  }
  // Null, unless the key is there.
  void Name(std::string key) {
    if (!index_.contains(key)) Set(std::move(key), nullptr);
  }
  Json Take() {
    Json map = Json::object();
    auto& object = map.get_ref<Json::object_t&>();
    for (auto& [key, value] : entries_) object.emplace_back(std::move(key), std::move(value));
    return map;
  }

 private:
  std::vector<std::pair<std::string, Json>> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace

size_t ToolNameLength(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const bool colon = text[length] == ':' && length > 0 && length + 1 < text.size() &&
                       IsToolNameCharacter(text[length + 1]);
    if (!IsToolNameCharacter(text[length]) && !colon) break;
    ++length;
  }
  return length;
}

// The longest opening quote comes first.
const std::array<ArgumentReader::Quotes, 10> ArgumentReader::kQuotes = {{
    {kToolQuote, kToolQuote, "\"", false, true, true, false},
    {"\"\"\"", "\"\"\"", "", false, false, false, true},
    {"'''", "'''", "", false, false, false, true},
    {"```", "```", "", false, false, false, true},
    {"\"", "\"", kToolQuote, true, false, true, false},
    {"'", "'", "\"", true, false, false, true},
    {"`", "`", "\"", false, false, false, true},
    {"“", "”", "\"", false, false, false, true},
    {"‘", "’", "'", false, false, false, true},
    {"«", "»", "", false, false, false, true},
}};

bool ArgumentReader::Take(std::string_view token) {
  if (!rest().starts_with(token)) return false;
  at_ += token.size();
  return true;
}

size_t ArgumentReader::SpaceEnd(size_t position) const {
  while (position < text_.size() && IsJsonSpace(text_[position])) ++position;
  return position;
}

void ArgumentReader::SkipSpace() { at_ = SpaceEnd(at_); }

bool ArgumentReader::CallBegins(size_t position) const {
  if (position >= text_.size()) return false;
  const std::string_view text = text_.substr(position);
  if (!text.starts_with("call:") || (position > 0 && IsToolNameCharacter(text_[position - 1]))) return false;
  const size_t name = ToolNameLength(text.substr(5, kMaxToolWord));
  const std::string_view after = text.substr(5 + name);
  return name > 0 && (after.starts_with('{') || after.starts_with("({"));
}

// Where, in a string text_[begin, end) that may not be closed, a call ends and the next one begins; `end` if
// nowhere.
size_t ArgumentReader::CallIn(size_t begin, size_t end) const {
  const std::string_view text = text_.substr(0, end);
  for (size_t at = text.find("call:", begin); at != text.npos; at = text.find("call:", at + 1)) {
    const size_t before = at > begin ? text_.find_last_not_of(" \n\t\r,;", at - 1) : text_.npos;
    const bool closed =
        before != text_.npos && before >= begin && (text_[before] == '}' || text_[before] == ')');
    if (closed && CallBegins(at)) return at;
  }
  return end;
}

// Whether an entry begins at `position`: a quoted key or one word, and a colon or what this map has in its
// place.
ArgumentReader::Guess ArgumentReader::EntryAt(size_t position, const Around& around) const {
  position = SpaceEnd(position);
  const Guess at_end = cut_ ? Guess::kCut : Guess::kNo;
  if (position >= text_.size()) return at_end;
  size_t end = position;
  const std::string_view ahead = text_.substr(position, 2 * kMaxToolWord);
  const auto quotes =
      std::ranges::find_if(kQuotes, [&](const Quotes& q) { return ahead.starts_with(q.open); });
  if (quotes != kQuotes.end()) {
    const size_t close = ahead.find(quotes->close, quotes->open.size());
    if (close == ahead.npos) return position + ahead.size() == text_.size() ? at_end : Guess::kNo;
    end = position + close + quotes->close.size();
  } else {
    if (IsDigit(text_[position]) && !around.digit_keys) return Guess::kNo;
    while (end < text_.size() && end - position < kMaxToolWord && IsToolNameCharacter(text_[end])) ++end;
    if (end == position) return Guess::kNo;
  }
  end = SpaceEnd(end);
  if (end >= text_.size()) return at_end;
  const char c = text_[end];
  const bool separator = around.separator == 0 ? c == ':' || c == '=' : c == around.separator;
  return separator ? Guess::kYes : Guess::kNo;
}

bool ArgumentReader::TakeSeparator(char& separator) {
  SkipSpace();
  if (AtEnd()) return false;
  separator = text_[at_];
  if (Take("=>")) {
    Repair();
    return true;
  }
  if (Take(":")) return true;
  if (Take("=")) {
    Repair();
    return true;
  }
  separator = 0;  // a map or a list as value needs none
  if (text_[at_] != '{' && text_[at_] != '[') return false;
  Repair();
  return true;
}

// A comma, or what stands for one, between two entries or items. `separated`: there has been one.
bool ArgumentReader::TakeComma(bool& separated) {
  const bool semicolon = !AtEnd() && text_[at_] == ';';
  if (!semicolon && !Take(",")) return false;
  if (semicolon) ++at_;
  if (semicolon || separated) Repair();
  return separated = true;
}

Json ArgumentReader::Map(int depth, char closer) {
  Entries entries;
  bool separated = true;  // by a comma or the map's beginning
  bool first = true;
  open_maps_ += closer == '}' ? 1 : 0;
  for (;;) {
    SkipSpace();
    if (AtEnd() || CallBegins(at_)) {
      if (closer != 0 || !AtEnd()) Repair();
      break;
    }
    const char c = text_[at_];
    if (closer != 0 && c == closer) {
      if (separated && !first) Repair();
      ++at_;
      break;
    }
    if (TakeComma(separated)) continue;
    if (!separated) Repair();
    const bool next_item = c == '{' && separated && !first && closer == '}';
    if ((c == ']' || next_item) && open_lists_ > 0) {  // the list around it goes on: the closer is missing
      Repair();
      break;
    }
    separated = first = false;
    Around around{.depth = depth, .closer = closer == 0 ? '}' : closer, .digit_keys = IsDigit(c)};
    const std::optional<std::string> key = Key();
    if (!key) {  // a bracket that closes or opens nothing
      Repair();
      ++at_;
      separated = true;
      continue;
    }
    const bool has_value = TakeSeparator(around.separator);
    if (!has_value || key->empty()) Repair();
    if (!has_value) {
      entries.Name(*key);
    } else if (!entries.Set(*key, Value(around))) {
      Repair();
    }
  }
  open_maps_ -= closer == '}' ? 1 : 0;
  return entries.Take();
}

Json ArgumentReader::List(int depth) {
  Json list = Json::array();
  const Around around{.depth = depth, .closer = ']', .place = Place::kItem};
  bool separated = true;
  ++open_lists_;
  for (;;) {
    SkipSpace();
    if (AtEnd() || CallBegins(at_)) {
      Repair();
      break;
    }
    if (Take("]")) {
      if (separated && !list.empty()) Repair();
      break;
    }
    if (TakeComma(separated)) continue;
    if (text_[at_] == '}') {  // the map around it ends: the `]` is missing
      Repair();
      break;
    }
    if (!separated) Repair();
    separated = false;
    list.push_back(Value(around));
  }
  --open_lists_;
  return list;
}

// A key, quoted or not; nothing where a bracket stands instead.
std::optional<std::string> ArgumentReader::Key() {
  if (const Quotes* quotes = TakeQuote()) {
    std::string key;
    if (Quoted(*quotes, {.place = Place::kKey}, key)) return key;
    Repair();
  } else if (std::string_view("{}[]()").find(text_[at_]) != std::string_view::npos) {
    return std::nullopt;
  }
  const size_t end = std::min(text_.find_first_of(":=,;{}[]()", at_), text_.size());
  const std::string_view key = Strip(text_.substr(at_, end - at_));
  at_ = end;
  return std::string(key);
}

Json ArgumentReader::Value(int depth) { return Value(Around{.depth = depth, .place = Place::kItem}); }

Json ArgumentReader::Value(const Around& around) {
  SkipSpace();
  if (AtEnd()) {
    Repair();
    return nullptr;
  }
  const size_t begin = at_;
  if (const Quotes* quotes = TakeQuote()) {
    std::string value;
    if (Quoted(*quotes, around, value)) return value;
    at_ = begin;
  }
  const int depth = around.depth + 1;
  if (depth <= kMaxToolDepth) {
    if (Take("{")) return Map(depth, '}');
    if (Take("[")) return List(depth);
  } else if (text_[at_] == '{' || text_[at_] == '[') {  // too deep: its text, up to its end
    const size_t match = Match(at_);
    at_ = match > 0 ? match + 1 : CallIn(at_, text_.size());
    Repair();
    return std::string(Strip(text_.substr(begin, at_ - begin)));
  }
  return Bare(around);
}

}  // namespace linnet
