#include "runtime/gbnf_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/hex.h"
#include "base/utf8.h"

namespace linnet {
namespace {

using Kind = GbnfNode::Kind;

constexpr int kMostBrackets = 64, kMostRepeats = 2000;

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfReader {
 public:
  explicit GbnfReader(std::string_view text) : text_(text) {}

  Result<std::vector<GbnfRule>> Read() {
    Named("root");
    Skip(true);
    while (at_ < text_.size()) LINNET_TRY(Rule());
    for (const GbnfRule& rule : rules_) {
      if (!rule.defined) {
        line_ = rule.line;
        return Wrong(fmt::format("the rule '{}' is not defined", rule.name));
      }
    }
    return std::move(rules_);
  }

 private:
  std::unexpected<Error> Wrong(std::string_view problem) const {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("grammar in GBNF, line {}: {}", line_, problem),
                "give rules as: root ::= \"yes\" | \"no\"");
  }

  bool Ahead(std::string_view token) const { return text_.substr(at_).starts_with(token); }
  bool Take(std::string_view token) {
    if (!Ahead(token)) return false;
    at_ += token.size();
    return true;
  }

  // Space and comments; and ends of lines, where a rule goes on behind them.
  void Skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        line_ += c == '\n' ? 1 : 0;
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view Word() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsWordCharacter(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  size_t Named(std::string_view name) {
    const auto found = std::ranges::find(rules_, name, &GbnfRule::name);
    if (found != rules_.end()) return static_cast<size_t>(found - rules_.begin());
    rules_.push_back({.name = std::string(name), .line = line_});
    return rules_.size() - 1;
  }

  Status Rule() {
    const std::string_view name = Word();
    if (name.empty()) return Wrong("a rule's name is expected");
    const size_t rule = Named(name);
    Skip(false);
    if (!Take("::=")) return Wrong(fmt::format("'::=' is expected behind '{}'", name));
    if (rules_[rule].defined) return Wrong(fmt::format("the rule '{}' is defined twice", name));
    rules_[rule].defined = true;
    Skip(true);
    LINNET_ASSIGN(GbnfNode body, Choice(0));
    rules_[rule].body = std::move(body);
    if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') {
      return Wrong(fmt::format("'{}' is not expected here", text_.substr(at_, 1)));
    }
    Skip(true);
    return {};
  }

  Result<GbnfNode> Choice(int brackets) {
    if (brackets > kMostBrackets) return Wrong("more than 64 brackets in each other");
    GbnfNode choice{.kind = Kind::kChoice};
    do {
      Skip(true);
      LINNET_ASSIGN(GbnfNode sequence, Sequence(brackets));
      choice.nodes.push_back(std::move(sequence));
    } while (Take("|"));
    if (choice.nodes.size() == 1) return std::move(choice.nodes[0]);
    return choice;
  }

  // Up to the end of the choice: a line's end outside of brackets where no bar follows.
  Result<GbnfNode> Sequence(int brackets) {
    GbnfNode sequence{.kind = Kind::kSequence};
    while (true) {
      Skip(brackets > 0);
      if (at_ >= text_.size() || text_[at_] == ')' || text_[at_] == '|') break;
      if (text_[at_] == '\n' || text_[at_] == '\r') {
        const size_t at = at_;
        const int line = line_;
        Skip(true);
        if (Ahead("|")) break;
        at_ = at, line_ = line;
        break;
      }
      LINNET_ASSIGN(GbnfNode item, Item(brackets));
      LINNET_ASSIGN(item, Repeated(std::move(item)));
      sequence.nodes.push_back(std::move(item));
    }
    return sequence;
  }

  Result<GbnfNode> Item(int brackets) {
    const char c = text_[at_];
    if (c == '"') return Text();
    if (c == '[') return Class();
    if (c == '<' || Ahead("!<")) return Token();
    if (Take(".")) return GbnfNode{.kind = Kind::kClass, .text = "(?s:.)"};
    if (Take("(")) {
      LINNET_ASSIGN(GbnfNode inner, Choice(brackets + 1));
      Skip(true);
      if (!Take(")")) return Wrong("a ')' is missing");
      return inner;
    }
    const std::string_view name = Word();
    if (name.empty()) return Wrong(fmt::format("'{}' is not expected here", text_.substr(at_, 1)));
    return GbnfNode{.kind = Kind::kRule, .rule = Named(name)};
  }

  Result<GbnfNode> Repeated(GbnfNode item) {
    Skip(false);
    int least = 1, most = 1;
    if (Take("*")) {
      least = 0, most = -1;
    } else if (Take("+")) {
      most = -1;
    } else if (Take("?")) {
      least = 0;
    } else if (Take("{")) {
      LINNET_ASSIGN(least, Number());
      most = least;
      Skip(false);
      if (Take(",")) {
        Skip(false);
        most = -1;
        if (!Ahead("}")) {
          LINNET_ASSIGN(most, Number());
        }
      }
      Skip(false);
      if (!Take("}")) return Wrong("a '}' is missing");
      if (most >= 0 && most < least) return Wrong(fmt::format("'{{{},{}}}' asks for nothing", least, most));
    } else {
      return item;
    }
    GbnfNode repeat{.kind = Kind::kRepeat, .least = least, .most = most};
    repeat.nodes.push_back(std::move(item));
    return repeat;
  }

  Result<int> Number() {
    Skip(false);
    int number = 0;
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && number <= kMostRepeats) {
      number = number * 10 + (text_[at_++] - '0');
    }
    if (at_ == begin) return Wrong("a number of repetitions is expected");
    if (number > kMostRepeats) return Wrong(fmt::format("more than {} repetitions", kMostRepeats));
    return number;
  }

  // One character of a text or a class, behind a backslash or not.
  Result<char32_t> Character() {
    if (Take("\\")) {
      for (const auto& [letter, character] : {std::pair("n", U'\n'),
                                              {"r", U'\r'},
                                              {"t", U'\t'},
                                              {"\\", U'\\'},
                                              {"\"", U'"'},
                                              {"[", U'['},
                                              {"]", U']'},
                                              {"-", U'-'},
                                              {"^", U'^'},
                                              {"/", U'/'}}) {
        if (Take(letter)) return character;
      }
      for (const auto& [letter, digits] : {std::pair("x", 2), {"u", 4}, {"U", 8}}) {
        if (Take(letter)) return CodePointOf(static_cast<size_t>(digits));
      }
      return Wrong(fmt::format("'\\{}' is no character", text_.substr(at_, 1)));
    }
    const CodePoint c = DecodeCodePoint(text_, at_);
    if (!c.valid) return Wrong("it is not UTF-8");
    if (text_[at_] == '\n') ++line_;
    at_ += c.length;
    return c.value;
  }

  Result<char32_t> CodePointOf(size_t digits) {
    const std::string_view hex = text_.substr(at_, digits);
    if (hex.size() < digits || std::ranges::any_of(hex, [](char c) { return HexDigit(c) < 0; })) {
      return Wrong(fmt::format("{} hexadecimal digits are expected", digits));
    }
    at_ += digits;
    char32_t code = 0;
    for (const char c : hex) code = 16 * code + static_cast<char32_t>(HexDigit(c));
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      return Wrong(fmt::format("{} is no character", hex));
    return code;
  }

  Result<GbnfNode> Text() {
    ++at_;
    GbnfNode node{.kind = Kind::kText};
    while (!Take("\"")) {
      if (at_ >= text_.size()) return Wrong("a '\"' is missing");
      LINNET_ASSIGN(const char32_t character, Character());
      AppendCodePoint(character, node.text);
    }
    return node;
  }

  // A character as a regular expression has it inside of a class.
  static std::string InClass(char32_t character) {
    return fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(character));
  }

  Result<GbnfNode> Class() {
    ++at_;
    GbnfNode node{.kind = Kind::kClass, .text = Take("^") ? "[^" : "["};
    const size_t empty = node.text.size();
    while (!Take("]")) {
      if (at_ >= text_.size()) return Wrong("a ']' is missing");
      const size_t begin = at_;
      LINNET_ASSIGN(const char32_t first, Character());
      node.text += InClass(first);
      if (Ahead("-") && !Ahead("-]")) {
        ++at_;
        if (at_ >= text_.size()) return Wrong("a ']' is missing");
        LINNET_ASSIGN(const char32_t last, Character());
        if (last < first) return Wrong(fmt::format("'{}' is no range", text_.substr(begin, at_ - begin)));
        node.text += "-" + InClass(last);
      }
    }
    if (node.text.size() == empty) return Wrong("a class without a character");
    node.text += "]";
    return node;
  }

  Result<GbnfNode> Token() {
    if (Take("!")) return Wrong("tokens that may not come ('!<…>') are not read");
    const size_t end = text_.find('>', at_);
    const std::string_view token = text_.substr(at_, end == text_.npos ? 0 : end + 1 - at_);
    if (token.empty() || token.find_first_of(" \t\r\n") != token.npos) return Wrong("a '>' is missing");
    at_ += token.size();
    return GbnfNode{.kind = Kind::kToken, .text = std::string(token)};
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<GbnfRule> rules_;
};

}  // namespace

Result<std::vector<GbnfRule>> ReadGbnf(std::string_view gbnf) { return GbnfReader(gbnf).Read(); }

}  // namespace linnet
