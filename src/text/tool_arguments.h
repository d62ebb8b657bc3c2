// Reads the arguments of a tool call as a model wrote them: Gemma's own notation, JSON, Python's, and what
// lies between them. Linear in the length of the text.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace linnet {

// The length of the tool's name at the front of `text`, 0 if there is none: letters, digits and `_.-/$`, and
// `:` between two of them.
size_t ToolNameLength(std::string_view text);

inline constexpr size_t kMaxToolWord = 64;  // bytes of a name, a key or a number that is looked for ahead

inline bool IsJsonSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsToolNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) ||
         static_cast<unsigned char>(c) >= 0x80 || std::string_view("_.-/$").find(c) != std::string_view::npos;
}

class ArgumentReader {
 public:
  using Json = nlohmann::ordered_json;

  // `cut`: more would have followed, so that the last word may be the beginning of another. REQUIRES: `text`
  // outlives the reader.
  ArgumentReader(std::string_view text, bool cut) : text_(text), cut_(cut) {}

  size_t at() const { return at_; }
  void GoTo(size_t position) { at_ = position; }
  bool AtEnd() const { return at_ >= text_.size(); }
  std::string_view rest() const { return text_.substr(std::min(at_, text_.size())); }
  void SkipSpace();
  bool Take(std::string_view token);

  // Whether anything since the last ClearRepaired() was cut off or not well-formed.
  bool repaired() const { return repaired_; }
  void Repair() { repaired_ = true; }
  void ClearRepaired() { repaired_ = false; }

  // The entries of a map whose opening bracket has been read, up to and with `closer`, or up to the end or to
  // where another call begins. Of two entries with one key the later one counts, as in JSON.
  Json Map(int depth, char closer);
  // Any value. REQUIRES: not at the end.
  Json Value(int depth);
  // Whether `key:` or `key=` follows here.
  bool LooksLikeEntry() const { return EntryAt(at_, Around{}) == Guess::kYes; }
  // `call:NAME{` or `call:NAME({` at this position, where a word may begin.
  bool CallBegins(size_t position) const;

 private:
  enum class Guess : uint8_t { kNo, kYes, kCut };  // kCut: the text was cut off before it could be told
  enum class Place : uint8_t { kKey, kEntry, kItem };
  enum class Follow : uint8_t { kNone, kWeak, kStrong, kCut };
  struct Quotes {
    std::string_view open, close, other;  // `other` closes too where `close` is missing
    bool escapes;                         // a backslash escapes
    bool certain;                         // the closing quote cannot occur inside
    bool sound;                           // needs no repair
    bool word;                            // without its end it is an ordinary character
  };
  struct Around {       // what stands around a value or a key
    int depth = 1;      // of the map or list
    char closer = '}';  // of it
    Place place = Place::kEntry;
    char separator = 0;       // between key and value; 0: either
    bool digit_keys = false;  // keys of this map may begin with a digit
  };
  static const std::array<Quotes, 10> kQuotes;

  Json Value(const Around& around);
  Json List(int depth);
  std::optional<std::string> Key();
  bool TakeComma(bool& separated);
  bool TakeSeparator(char& separator);

  const Quotes* TakeQuote();
  bool Quoted(const Quotes& quotes, const Around& around, std::string& value);
  size_t FindQuote(std::string_view quote, bool escapes, size_t from) const;
  size_t ClosingQuote(const Quotes& quotes, const Around& around, size_t begin);
  size_t OtherClosing(const Quotes& quotes, const Around& around, size_t begin);
  size_t CallIn(size_t begin, size_t end) const;
  Follow After(size_t position, const Quotes& quotes, const Around& around) const;
  std::string Unescaped(const Quotes& quotes, std::string_view raw, bool cut_off);

  Json Bare(const Around& around);
  size_t BareEnd(const Around& around);
  Guess EndsWord(size_t position, size_t begin, const Around& around) const;
  Json Word(std::string_view word, bool may_go_on);
  size_t Match(size_t bracket);

  Guess EntryAt(size_t position, const Around& around) const;
  size_t SpaceEnd(size_t position) const;

  std::string_view text_;
  bool cut_;
  size_t at_ = 0;
  bool repaired_ = false;
  int open_maps_ = 0, open_lists_ = 0;
  std::vector<size_t> matches_;  // of each bracket the one that closes it, or 0; filled when first asked for
  // By kind of quotes and place: no strong closing quote, no closing quote at all, is left in the text.
  std::array<std::array<bool, 3>, 10> no_strong_{}, no_weak_{}, no_other_{};
};

}  // namespace linnet
