// An answer that may call tools as a grammar: text, and calls in Gemma's own syntax.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/grammar.h"

namespace linnet {

// The markers of calls in Lark's notation: "<[48]>".
struct CallMarkers {
  std::string open, close, quote;
};

// `answer`: an expression in Lark's notation for the answer without calls (ToolRules::answer); empty: any
// text. Errors: those of GrammarCompiler::CompileTools().
Result<std::string> ToolsToLark(const std::string& tools, const ToolRules& rules, const CallMarkers& markers,
                                const std::string& answer, std::vector<std::string>& warnings);

}  // namespace linnet
