// Texts and regular expressions in the notation of llguidance's Lark.
#pragma once

#include <string>
#include <string_view>

#include "linnet/error.h"

namespace linnet {

// "text", whatever the text has in it.
std::string LarkString(std::string_view text);
// /regex/ of an expression that is valid for the library.
std::string LarkRegex(std::string_view regex);

enum class RegexMatch { kWhole, kAnywhere };
// An expression of JavaScript's or Rust's notation as one that the whole text must match: anchors are taken
// away, \d and \w are ASCII as in JSON schemas. Errors: kUnsupported names what no grammar can keep
// (assertions, references back); kInvalidArgument for brackets that do not match.
Result<std::string> WholeRegex(std::string_view regex, RegexMatch match);

}  // namespace linnet
