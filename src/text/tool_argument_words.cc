// The strings and words of tool arguments.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "text/tool_arguments.h"
#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLiterals[] = {"true", "false", "null", "None", "True", "False"};

// A number as JSON writes it. What loses digits as a number (an account of thirty digits) is none.
std::optional<Json> Number(std::string_view word) {
  if (word.empty() || (!IsDigit(word[0]) && word[0] != '-')) return std::nullopt;
  const Json number = Json::parse(word, nullptr, false);
  if (!number.is_number()) return std::nullopt;
  const bool whole = word.find_first_of(".eE") == word.npos;
  if (number.is_number_float() && (whole || !std::isfinite(number.get<double>()))) return std::nullopt;
  return number;
}

bool IsLiteral(std::string_view word) {
  if (word.size() > kMaxToolWord) return false;
  return std::ranges::find(kLiterals, word) != std::end(kLiterals) || Number(word).has_value();
}

// Whether more characters could make another number, or true, false or null, of a word.
bool MayBecomeLiteral(std::string_view word) {
  const bool number = word.find_first_not_of("0123456789+-.eE_") == word.npos;
  return number || std::ranges::any_of(kLiterals, [&](std::string_view l) { return l.starts_with(word); });
}

// The four digits after `\u`, or nothing.
std::optional<char32_t> HexAt(std::string_view text, size_t at) {
  if (at + 4 > text.size()) return std::nullopt;
  char32_t value = 0;
  for (const char c : text.substr(at, 4)) {
    const std::string_view digits = "0123456789abcdef";
    const size_t digit = digits.find(IsDigit(c) ? c : static_cast<char>(c | 0x20));
    if (digit == digits.npos) return std::nullopt;
    value = value * 16 + static_cast<char32_t>(digit);
  }
  return value;
}

// The character of an escape whose backslash stands at `at`, which is moved behind it. False where it is
// none: the backslash stands for itself.
bool AppendEscape(std::string_view raw, size_t& at, std::string& out) {
  constexpr std::string_view kFrom = "nrtbf\\\"'`/", kTo = "\n\r\t\b\f\\\"'`/";
  const char c = at + 1 < raw.size() ? raw[at + 1] : '\0';
  if (const size_t i = kFrom.find(c); i != kFrom.npos && c != '\0') {
    out += kTo[i];
    at += 2;
    return true;
  }
  const std::optional<char32_t> unit = c == 'u' ? HexAt(raw, at + 2) : std::nullopt;
  if (!unit) {
    out += raw[at++];
    return false;
  }
  at += 6;
  char32_t value = *unit;
  if (value >= 0xD800 && value < 0xDC00 && raw.substr(at).starts_with("\\u")) {
    if (const auto low = HexAt(raw, at + 2); low && *low >= 0xDC00 && *low < 0xE000) {
      value = 0x10000 + ((value - 0xD800) << 10) + (*low - 0xDC00);
      at += 6;
    }
  }
  const bool half = value >= 0xD800 && value < 0xE000;
  if (half) {
    out += kReplacementCharacter;
  } else {
    AppendCodePoint(value, out);
  }
  return !half;
}

// Where an escape begins that the end of `raw` cuts off; its size if none does.
size_t WholeEscapes(std::string_view raw) {
  size_t at = 0;
  while (at < raw.size()) {
    if (raw[at] != '\\') {
      ++at;
      continue;
    }
    const bool unicode = at + 1 < raw.size() && raw[at + 1] == 'u';
    const size_t end = at + (unicode ? 6 : 2);
    if (end > raw.size()) return at;
    const auto unit = unicode ? HexAt(raw, at + 2) : std::nullopt;
    const bool high = unit && *unit >= 0xD800 && *unit < 0xDC00;  // half of a character
    if (high && end + 6 > raw.size() && std::string_view("\\u").starts_with(raw.substr(end).substr(0, 2))) {
      return at;
    }
    at = end;
  }
  return raw.size();
}

}  // namespace

const ArgumentReader::Quotes* ArgumentReader::TakeQuote() {
  const std::string_view text = rest();
  const auto found = std::ranges::find_if(kQuotes, [&](const Quotes& q) {
    if (!text.starts_with(q.open)) return false;
    // A run of three opens a string only if another ends it; otherwise it is an empty string and a quote.
    return q.open.size() != 3 || q.open[0] != q.open[2] || cut_ || text.find(q.close, 3) != text.npos;
  });
  if (found == kQuotes.end()) return nullptr;
  at_ += found->open.size();
  return &*found;
}

// What follows a quote at the end of a string: whether it can be the closing one.
ArgumentReader::Follow ArgumentReader::After(size_t position, const Quotes& quotes,
                                             const Around& around) const {
  position = SpaceEnd(position);
  if (position >= text_.size()) return Follow::kStrong;
  const char c = text_[position];
  if (around.place == Place::kKey) return c == ':' || c == '=' ? Follow::kStrong : Follow::kNone;
  const Follow weak = quotes.certain ? Follow::kStrong : Follow::kWeak;
  if (c == around.closer) return Follow::kStrong;
  if (c == '}') return open_maps_ > 0 ? Follow::kStrong : weak;
  if (c == ']') return open_lists_ > 0 ? Follow::kStrong : weak;
  if (CallBegins(position)) return Follow::kStrong;
  const bool comma = c == ',' || c == ';';
  if (around.place == Place::kItem) return comma ? Follow::kStrong : Follow::kNone;
  const size_t next = comma ? SpaceEnd(position + 1) : position;
  if (comma && next < text_.size() && text_[next] == around.closer) return Follow::kStrong;
  switch (EntryAt(next, around)) {
    case Guess::kYes:
      return Follow::kStrong;
    case Guess::kCut:
      return Follow::kCut;
    case Guess::kNo:
      return comma ? weak : Follow::kNone;
  }
  return Follow::kNone;
}

size_t ArgumentReader::FindQuote(std::string_view quote, bool escapes, size_t from) const {
  if (!escapes) return text_.find(quote, from);
  while (from < text_.size()) {
    if (text_[from] == '\\') {
      from += 2;
    } else if (text_[from] == quote[0]) {
      return from;
    } else {
      ++from;
    }
  }
  return text_.npos;
}

// The closing quote of a string that begins at `begin`: the first one that something follows which can follow
// a string. npos if there is none, or if another call begins before.
size_t ArgumentReader::ClosingQuote(const Quotes& quotes, const Around& around, size_t begin) {
  const size_t kind = static_cast<size_t>(&quotes - kQuotes.data());
  bool& no_strong = no_strong_[kind][static_cast<size_t>(around.place)];
  bool& no_weak = no_weak_[kind][static_cast<size_t>(around.place)];
  if (no_strong && no_weak) return text_.npos;
  size_t first_weak = text_.npos;
  size_t last = begin;
  size_t quote = FindQuote(quotes.close, quotes.escapes, begin);
  for (; quote != text_.npos; quote = FindQuote(quotes.close, quotes.escapes, quote + 1)) {
    const Follow follow = After(quote + quotes.close.size(), quotes, around);
    if (follow == Follow::kStrong) return quote;
    if (follow == Follow::kCut) {
      // Without a comma, or after a quote inside the string, nobody can tell what follows: leave it out.
      const size_t end = quote + quotes.close.size();
      const bool comma = text_[SpaceEnd(end)] == ',';
      if (!comma || last != begin) text_ = text_.substr(0, end);
      return quote;
    }
    if (follow == Follow::kWeak && first_weak == text_.npos) first_weak = quote;
    if (no_strong && first_weak != text_.npos) return first_weak;
    if (CallIn(last, quote) < quote) return text_.npos;
    last = quote;
  }
  no_strong = true;
  no_weak = no_weak || first_weak == text_.npos;
  return first_weak;
}

// The same for a string that another kind of quote closes; an even number of those is part of the string.
size_t ArgumentReader::OtherClosing(const Quotes& quotes, const Around& around, size_t begin) {
  const size_t kind = static_cast<size_t>(&quotes - kQuotes.data());
  bool& none = no_other_[kind][static_cast<size_t>(around.place)];
  if (none || cut_ || quotes.other.empty()) return text_.npos;
  bool odd = false;
  size_t last = begin;
  for (size_t quote = text_.find(quotes.other, begin); quote != text_.npos;
       quote = text_.find(quotes.other, quote + 1)) {
    odd = !odd;
    if (CallIn(last, quote) < quote) return text_.npos;
    last = quote;
    if (odd && After(quote + quotes.other.size(), quotes, around) == Follow::kStrong) return quote;
  }
  none = true;
  return text_.npos;
}

// A string whose opening quote has been read. False where it has no end and its quote may be an ordinary
// character.
bool ArgumentReader::Quoted(const Quotes& quotes, const Around& around, std::string& value) {
  const size_t begin = at_;
  if (const size_t end = ClosingQuote(quotes, around, begin); end != text_.npos) {
    at_ = end + quotes.close.size();
    value = Unescaped(quotes, text_.substr(begin, end - begin), false);
    return true;
  }
  if (const size_t end = OtherClosing(quotes, around, begin); end != text_.npos) {
    Repair();
    at_ = end + quotes.other.size();
    value = Unescaped(quotes, text_.substr(begin, end - begin), false);
    return true;
  }
  const size_t end = CallIn(begin, text_.size());
  if (end == text_.size() && (quotes.word || around.place == Place::kKey) && !cut_) return false;
  Repair();
  at_ = end;
  std::string_view raw = text_.substr(begin, end - begin);
  if (end < text_.size() || !cut_) {  // the closing quote is missing, the map's end is not
    while (!raw.empty() && end < text_.size() && std::string_view(" \n\t\r,;").find(raw.back()) != raw.npos) {
      raw.remove_suffix(1);
    }
    if (raw.ends_with(around.closer)) raw.remove_suffix(1);
  }
  const bool cut_off = end == text_.size() && cut_;
  for (size_t n = quotes.close.size() - 1; cut_off && n > 0; --n) {  // of the closing quote, what is there
    if (!raw.ends_with(quotes.close.substr(0, n))) continue;
    raw.remove_suffix(n);
    break;
  }
  value = Unescaped(quotes, raw, cut_off);
  return true;
}

// A string without its quotes. `cut_off`: the output ended inside it.
std::string ArgumentReader::Unescaped(const Quotes& quotes, std::string_view raw, bool cut_off) {
  if (!quotes.sound) Repair();
  if (!quotes.escapes) return std::string(raw);
  if (cut_off) raw = raw.substr(0, WholeEscapes(raw));
  std::string text;
  bool sound = true;
  for (size_t at = 0; at < raw.size();) {
    const char c = raw[at];
    if (c == '\\') {
      sound = AppendEscape(raw, at, text) && sound;
    } else {
      sound = sound && static_cast<unsigned char>(c) >= 0x20 && c != quotes.open[0];
      text += c;
      ++at;
    }
  }
  if (!sound) Repair();
  return text;
}

// The bracket that closes the one at `bracket`, both outside of the model's own quotes and rightly nested; 0
// if none does.
size_t ArgumentReader::Match(size_t bracket) {
  if (matches_.empty()) {
    matches_.resize(text_.size());
    std::vector<size_t> open;
    for (size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '{' || c == '[' || c == '(') open.push_back(i);
      if (c == '<' && text_.substr(i).starts_with(kToolQuote)) open.clear();
      if ((c != '}' && c != ']' && c != ')') || open.empty()) continue;
      const char opener = c == '}' ? '{' : c == ']' ? '[' : '(';
      if (text_[open.back()] != opener) continue;
      matches_[open.back()] = i;
      open.pop_back();
    }
  }
  return matches_[bracket] < text_.size() ? matches_[bracket] : 0;
}

// Whether the comma, space or line break at `position` ends the word that began at `begin`: always in a list,
// and in a map where another entry follows.
ArgumentReader::Guess ArgumentReader::EndsWord(size_t position, size_t begin, const Around& around) const {
  const char c = text_[position];
  const bool comma = c == ',' || c == ';';
  if (around.place == Place::kItem) return c == ',' ? Guess::kYes : Guess::kNo;
  const bool literal =
      position - begin <= kMaxToolWord && IsLiteral(Strip(text_.substr(begin, position - begin)));
  if (!comma && c != '\n' && !literal) return Guess::kNo;
  const size_t next = SpaceEnd(position + 1);
  if (comma && next < text_.size() && (text_[next] == around.closer || text_[next] == ','))
    return Guess::kYes;
  if (comma && literal && next < text_.size() && text_[next] == '{')
    return Guess::kYes;  // a map goes on: `}` is missing
  Around any = around;
  if (literal) any.separator = 0;
  const Guess guess = EntryAt(next, any);
  return guess == Guess::kCut && literal && comma ? Guess::kYes : guess;
}

size_t ArgumentReader::BareEnd(const Around& around) {
  const size_t begin = at_;  // behind a colon, a comma or a bracket
  bool open = false;         // a bracket that nothing closes, so far
  for (size_t i = begin; i < text_.size(); ++i) {
    const char c = text_[i];
    if (c == '{' || c == '[' || c == '(') {
      const size_t match = Match(i);
      open = open || match == 0;
      i = std::max(i, match);
    } else if (c == around.closer || (c == '}' && open_maps_ > 0) || (c == ']' && open_lists_ > 0)) {
      return i;
    } else if (c == ']' || c == '}') {  // closes nothing: an ordinary character inside a text
      const size_t next = SpaceEnd(i + 1);
      if (next >= text_.size() || std::string_view(",}])").find(text_[next]) != std::string_view::npos)
        return i;
    } else if (c == ',' || c == ';' || ((c == ' ' || c == '\n') && !IsJsonSpace(text_[i - 1]))) {
      const Guess guess = EndsWord(i, begin, around);
      if (guess == Guess::kCut || (guess == Guess::kYes && open && cut_)) text_ = text_.substr(0, i);
      if (guess != Guess::kNo) return i;
    } else if (c == 'c' && CallBegins(i)) {
      return i;
    }
  }
  return text_.size();
}

// A number, true, false, null, or words without quotes.
Json ArgumentReader::Bare(const Around& around) {
  const size_t begin = at_;
  at_ = BareEnd(around);
  return Word(Strip(text_.substr(begin, at_ - begin)), cut_ && at_ >= text_.size());
}

Json ArgumentReader::Word(std::string_view word, bool may_go_on) {
  if (word == "null" || word == "None") return nullptr;
  if (word == "true" || word == "false") return word == "true";
  if (std::optional<Json> number = Number(word); number && !may_go_on) return *number;
  Repair();
  if (word == "True" || word == "False") return word == "True";
  if (word.empty() || (may_go_on && MayBecomeLiteral(word))) return nullptr;   // not known
  for (const std::string_view quote : {kToolQuote, std::string_view("\"")}) {  // the opening one is missing
    if (word.ends_with(quote) && word.find(quote) == word.size() - quote.size())
      word.remove_suffix(quote.size());
  }
  return std::string(word);
}

}  // namespace linnet
