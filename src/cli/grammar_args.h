// --schema, --regex, --grammar and --strict: what an answer must follow.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cli/args.h"
#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/grammar.h"
#include "linnet/options.h"

namespace linnet {

struct GrammarArgs {
  std::string schema, regex, grammar;  // files but for the expression
  bool strict = false;                 // of every tool
};

void DeclareGrammar(Args& args, GrammarArgs& values);

// What was asked for, read from its files. Errors: those of the files; kInvalidArgument for two of them at
// once.
Result<std::optional<GrammarSource>> ReadGrammar(const GrammarArgs& values,
                                                 const std::set<std::string>& given);

// What answers must follow.
struct GrammarChoice {
  std::optional<GrammarSource> source;
  std::string tools;  // JSON; empty = none
  bool strict = false;

  // Whether there is anything to follow: a source, or a tool that says "strict": true.
  bool Any() const;
};

// The mask of all answers, to be held as long as they are made; null where there is nothing to follow. Says
// what of the tools' declarations is not kept. Errors: those of GrammarCompiler.
Result<std::unique_ptr<TokenMask>> MaskOf(const GrammarChoice& choice, const Engine& engine);

// What a mask takes beside the model.
void PlanGrammar(const GrammarChoice& choice, MemoryUse& use);

}  // namespace linnet
