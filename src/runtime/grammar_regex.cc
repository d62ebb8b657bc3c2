#include "runtime/grammar_regex.h"

#include <vector>

#include <fmt/format.h>

namespace linnet {
namespace {

// Nesting is read by recursion in the library.
constexpr int kMostNesting = 100;

// Walks over an expression and keeps what it is made of.
class RegexReader {
 public:
  explicit RegexReader(std::string_view regex) : regex_(regex) {}

  Result<std::string> Read(RegexMatch match) {
    while (at_ < regex_.size()) LINNET_TRY(Next());
    if (in_class_ || depth_ != 0) return Wrong("has a bracket that is not closed");
    branches_.push_back(std::move(branch_));
    const std::string_view around = match == RegexMatch::kAnywhere ? "(?s:.*)" : "";
    std::string whole;
    for (const Branch& branch : branches_) {
      if (!whole.empty()) whole += "|";
      whole += fmt::format("{}(?:{}){}", branch.from_start ? "" : around, branch.text,
                           branch.to_end ? "" : around);
    }
    return whole;
  }

 private:
  struct Branch {
    std::string text;
    bool from_start = false, to_end = false;
  };

  std::unexpected<Error> Wrong(std::string_view problem) const {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the regular expression '{}' {}", regex_, problem));
  }
  std::unexpected<Error> Unsupported(std::string_view what) const {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the regular expression '{}' has {}, which a grammar cannot keep", regex_, what),
                "write it without");
  }

  Status Next() {
    const char c = regex_[at_];
    if (c == '\\') return Escape();
    if (in_class_) {
      if (c == ']' && at_ > class_first_) in_class_ = false;
      return Keep(1);
    }
    switch (c) {
      case '[':
        in_class_ = true;
        class_first_ = at_ + (regex_.substr(at_ + 1).starts_with('^') ? 2 : 1);
        return Keep(1);
      case '(':
        return Group();
      case ')':
        if (--depth_ < 0) return Wrong("closes a bracket that is not open");
        return Keep(1);
      case '|':
        if (depth_ > 0) return Keep(1);
        branches_.push_back(std::move(branch_));
        branch_ = {};
        ++at_;
        return {};
      case '^':
        if (depth_ > 0 || !branch_.text.empty()) return Unsupported("a ^ that is not at its beginning");
        branch_.from_start = true;
        ++at_;
        return {};
      case '$':
        if (depth_ > 0 || (at_ + 1 < regex_.size() && regex_[at_ + 1] != '|')) {
          return Unsupported("a $ that is not at its end");
        }
        branch_.to_end = true;
        ++at_;
        return {};
      default:
        return Keep(1);
    }
  }

  Status Keep(size_t characters) {
    branch_.text += regex_.substr(at_, characters);
    at_ += characters;
    return {};
  }

  Status Replace(size_t characters, std::string_view text) {
    branch_.text += text;
    at_ += characters;
    return {};
  }

  Status Group() {
    if (++depth_ > kMostNesting) return Unsupported("more than 100 brackets in each other");
    const std::string_view rest = regex_.substr(at_);
    for (const std::string_view look : {"(?=", "(?!", "(?<=", "(?<!"}) {
      if (rest.starts_with(look)) return Unsupported(fmt::format("an assertion {}…)", look));
    }
    return Keep(1);
  }

  Status Escape() {
    if (at_ + 1 >= regex_.size()) return Wrong("ends in a backslash");
    const char c = regex_[at_ + 1];
    switch (c) {
      case 'd':
        return Replace(2, in_class_ ? "0-9" : "[0-9]");
      case 'w':
        return Replace(2, in_class_ ? "A-Za-z0-9_" : "[A-Za-z0-9_]");
      case 'D':
        return Replace(2, "[^0-9]");
      case 'W':
        return Replace(2, "[^A-Za-z0-9_]");
      case 'b':
        if (in_class_) return Replace(2, "\\x08");
        return Unsupported("a word border \\b");
      case 'B':
        return Unsupported("a word border \\B");
      case 'A':
      case 'z':
      case 'Z':
        return Unsupported(fmt::format("an anchor \\{}", c));
      case '/':
        return Replace(2, "/");
      case 'c':
        return Unsupported("a control character \\c");
      default:
        if (c >= '1' && c <= '9') return Unsupported(fmt::format("a reference back \\{}", c));
        return Keep(2);
    }
  }

  std::string_view regex_;
  size_t at_ = 0;
  int depth_ = 0;
  bool in_class_ = false;
  size_t class_first_ = 0;  // of the class that is open
  Branch branch_;
  std::vector<Branch> branches_;
};

}  // namespace

std::string LarkString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string LarkRegex(std::string_view regex) {
  std::string text = "/";
  for (size_t i = 0; i < regex.size(); ++i) {
    const char c = regex[i];
    if (c == '\\' && i + 1 < regex.size() && regex[i + 1] != '\n') {
      text += c;
      text += regex[++i];
    } else if (c == '/') {
      text += "\\/";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c != '\\') {
      text += c;
    }
  }
  return text + "/";
}

Result<std::string> WholeRegex(std::string_view regex, RegexMatch match) {
  return RegexReader(regex).Read(match);
}

}  // namespace linnet
