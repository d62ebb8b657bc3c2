// GBNF, the notation of grammars that llama.cpp reads, in llguidance's Lark.
#pragma once

#include <string>
#include <string_view>

#include "linnet/error.h"

namespace linnet {

// A rule that refers to no rule that refers back to it, and to no token, becomes one lexeme, as do its like
// inside of the others; as everywhere in Lark a lexeme takes as much text as it can. Errors: kInvalidArgument
// with the line.
Result<std::string> GbnfToLark(std::string_view gbnf);

}  // namespace linnet
