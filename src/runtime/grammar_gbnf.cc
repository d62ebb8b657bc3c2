#include "runtime/grammar_gbnf.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/gbnf_reader.h"
#include "runtime/grammar_regex.h"

namespace linnet {
namespace {

using Node = GbnfNode;
using Kind = GbnfNode::Kind;

class LarkWriter {
 public:
  explicit LarkWriter(std::vector<GbnfRule> rules)
      : rules_(std::move(rules)), regular_(rules_.size(), false), empty_(rules_.size(), false) {
    // From the rules that refer to none upwards, until no other is found.
    for (bool found = true; found;) {
      found = false;
      for (size_t i = 0; i < rules_.size(); ++i) {
        if (!regular_[i] && IsRegular(rules_[i].body)) regular_[i] = found = true;
        if (!empty_[i] && MayBeEmpty(rules_[i].body)) empty_[i] = found = true;
      }
    }
  }

  std::string Write() {
    std::string text = "start: r0\n";
    for (size_t i = 0; i < rules_.size(); ++i) {
      // Both forms of a regular rule are there: a lexeme to be part of others, a rule to stand by itself.
      if (regular_[i]) text += fmt::format("T{}: {}\n", i, Lexeme(rules_[i].body));
      const std::string body = RuleBody(rules_[i].body);
      text += fmt::format("r{}: {}\n", i, body);
    }
    return text + lexemes_;
  }

 private:
  bool IsRegular(const Node& node) const {
    if (node.kind == Kind::kToken) return false;
    if (node.kind == Kind::kRule) return regular_[node.rule];
    return std::ranges::all_of(node.nodes, [&](const Node& inner) { return IsRegular(inner); });
  }

  bool MayBeEmpty(const Node& node) const {
    const auto may = [&](const Node& inner) { return MayBeEmpty(inner); };
    switch (node.kind) {
      case Kind::kText:
        return node.text.empty();
      case Kind::kClass:
      case Kind::kToken:
        return false;
      case Kind::kRule:
        return empty_[node.rule];
      case Kind::kSequence:
        return std::ranges::all_of(node.nodes, may);
      case Kind::kChoice:
        return std::ranges::any_of(node.nodes, may);
      case Kind::kRepeat:
        return node.least == 0 || may(node.nodes[0]);
    }
    return false;
  }

  static std::string Times(const Node& node) {
    return node.most < 0 ? fmt::format("{{{},}}", node.least)
                         : fmt::format("{{{},{}}}", node.least, node.most);
  }

  // A regular node as an expression over lexemes.
  std::string Lexeme(const Node& node) const {
    switch (node.kind) {
      case Kind::kText:
        return LarkString(node.text);
      case Kind::kClass:
        return LarkRegex(node.text);
      case Kind::kRule:
        return fmt::format("T{}", node.rule);
      case Kind::kSequence:
        return Joined(node.nodes, " ");
      case Kind::kChoice:
        return Joined(node.nodes, " | ");
      case Kind::kRepeat:
        return node.most == 0 ? "\"\"" : Lexeme(node.nodes[0]) + Times(node);
      case Kind::kToken:
        break;
    }
    return "\"\"";
  }
  std::string Joined(const std::vector<Node>& nodes, std::string_view between) const {
    std::string text;
    for (const Node& node : nodes) {
      if (!text.empty()) text += between;
      text += Lexeme(node);
    }
    return text.empty() ? "\"\"" : "(" + text + ")";
  }

  // A regular node as one lexeme in a rule; no lexeme is empty.
  std::string OneLexeme(const Node& node) {
    const std::string name = fmt::format("P{}", pieces_++);
    const bool empty = MayBeEmpty(node);
    lexemes_ += empty ? fmt::format("{}: {} & /(?s:.+)/\n", name, Lexeme(node))
                      : fmt::format("{}: {}\n", name, Lexeme(node));
    return empty ? name + "?" : name;
  }

  std::string RuleBody(const Node& node) {
    if (IsRegular(node)) return OneLexeme(node);
    switch (node.kind) {
      case Kind::kRule:
        return fmt::format("r{}", node.rule);
      case Kind::kToken:
        return node.text;
      case Kind::kSequence:
        return Sequence(node);
      case Kind::kChoice:
        return Choice(node);
      case Kind::kRepeat:
        return node.most == 0 ? "\"\"" : fmt::format("({}){}", RuleBody(node.nodes[0]), Times(node));
      default:
        return "\"\"";
    }
  }

  // What is regular beside each other is one lexeme.
  std::string Sequence(const Node& node) {
    std::string text;
    Node run{.kind = Kind::kSequence};
    const auto flush = [&] {
      if (!run.nodes.empty()) text += " " + OneLexeme(run);
      run.nodes.clear();
    };
    for (const Node& inner : node.nodes) {
      if (IsRegular(inner)) {
        run.nodes.push_back(inner);
        continue;
      }
      flush();
      text += " " + RuleBody(inner);
    }
    flush();
    return "(" + text + " )";
  }

  std::string Choice(const Node& node) {
    std::string text;
    for (const Node& inner : node.nodes) {
      if (!text.empty()) text += " | ";
      text += RuleBody(inner);
    }
    return "(" + text + ")";
  }

  std::vector<GbnfRule> rules_;
  std::vector<bool> regular_, empty_;
  std::string lexemes_;
  int pieces_ = 0;
};

}  // namespace

Result<std::string> GbnfToLark(std::string_view gbnf) {
  LINNET_ASSIGN(std::vector<GbnfRule> rules, ReadGbnf(gbnf));
  return LarkWriter(std::move(rules)).Write();
}

}  // namespace linnet
