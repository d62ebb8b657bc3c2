// The rules of a grammar in GBNF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

struct GbnfNode {
  enum class Kind : uint8_t {
    kText,      // `text`, as it is written
    kClass,     // one character: `text` is a class of a regular expression
    kRule,      // what the rule `rule` stands for
    kToken,     // `text` is a token in Lark's notation
    kSequence,  // all of `nodes`
    kChoice,    // one of `nodes`
    kRepeat,    // nodes[0] `least` to `most` times; most = -1: as often as it likes
  };
  Kind kind = Kind::kSequence;
  std::string text;
  size_t rule = 0;
  int least = 0, most = -1;
  std::vector<GbnfNode> nodes;
};

struct GbnfRule {
  std::string name;
  int line = 0;  // where it is first named
  bool defined = false;
  GbnfNode body;
};

// Rule 0 is `root`. Errors: kInvalidArgument with the line.
Result<std::vector<GbnfRule>> ReadGbnf(std::string_view gbnf);

}  // namespace linnet
