// Structured output: answers that follow a JSON schema, a regular expression, a list of choices or a grammar,
// and tool calls whose arguments follow their declarations (docs/structured-output.md). A grammar decides
// which tokens may come next; what it allows is chosen as ever.
//
// Thread safety: a compiler and a grammar never change and may be used from any threads at once, also while
// their engine computes; a mask is used by one thread at a time, and each answer has one of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/turn.h"

namespace linnet {

// What a compiler takes at most, beside a model with 262,144 tokens (MemoryUse::others); a grammar is small
// beside it.
inline constexpr uint64_t kGrammarCompilerBytes = uint64_t{160} << 20;

enum class GrammarKind {
  kJsonSchema,  // `text` is a JSON schema, draft 2020-12 or older: an object, true or false
  kJsonObject,  // any JSON object
  kRegex,       // `text` is a regular expression that the whole answer matches
  kChoice,      // one of `choices`
  kLark,  // `text` is a grammar in Lark's notation, as llguidance reads it; it begins with the rule `start`
  kGbnf,  // `text` is a grammar in GBNF; it begins with the rule `root`
};

struct GrammarSource {
  GrammarKind kind = GrammarKind::kJsonObject;
  std::string text;
  std::vector<std::string> choices;
};

// The notation that a grammar is written in, kGbnf or kLark: GBNF has ::= behind the names of its rules,
// which Lark has nowhere but in texts and comments.
LINNET_API GrammarKind NotationOf(std::string_view grammar);

// Whether one of the tools, a JSON list as for GrammarCompiler::CompileTools(), says "strict": true.
LINNET_API bool AnyStrict(const std::string& tools);

// Which tools an answer may call, and what else may stand in it.
struct ToolRules {
  enum class Choice {
    kMay,   // text, or calls of any tool
    kMust,  // a call of any tool
    kName,  // a call of the tool `name`
  };
  Choice choice = Choice::kMay;
  std::string name;
  bool parallel = true;     // several calls, at most 64
  bool text_before = true;  // any text may stand before the first call
  bool all_strict = false;  // every tool as if its declaration said "strict": true
  // kMay: what an answer without calls follows, one of JSON, a regular expression or choices; then no text
  // stands before a call. None: it is any text.
  std::optional<GrammarSource> answer;
};

// A compiled grammar. Copies share it.
class LINNET_API Grammar {
 public:
  // What is not kept of a declaration that is not strict, each with its JSON pointer. Otherwise empty.
  const std::vector<std::string>& warnings() const;
  // For GenerateOptions::mask, with the engine whose compiler made the grammar. Begins anew with each answer.
  // What it holds grows with the answer, so that a step may allocate.
  std::unique_ptr<TokenMask> NewMask() const;

  struct Impl;  // for Linnet's own floors
  explicit Grammar(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

// Whether this build of Linnet has structured output; without Rust it has none, and Create() says what to do.
LINNET_API bool HasGrammars();

// Compiles grammars for the vocabulary of an engine, which it may outlive.
class LINNET_API GrammarCompiler {
 public:
  // Takes about a second and kGrammarCompilerBytes with 262,144 tokens. Errors: kUnsupported for a build
  // without structured output, kOutOfMemory.
  static Result<std::shared_ptr<const GrammarCompiler>> Create(const Engine& engine);
  ~GrammarCompiler();

  // Errors: kInvalidArgument for what is not well-formed, kUnsupported for what cannot be kept; both name the
  // place (a JSON pointer, a line) and the keyword. Nothing is left out in silence.
  Result<Grammar> Compile(const GrammarSource& source) const;

  // `tools`: a JSON list of declarations in OpenAI's form, as ChatSetup::tools. Errors: those of Compile(),
  // with the tool's name; kInvalidArgument also for a name that no tool has. What a declaration that is not
  // strict asks for and a grammar cannot keep is left out, and the grammar's warnings say so.
  Result<Grammar> CompileTools(const std::string& tools, const ToolRules& rules = {}) const;

  struct Impl;  // for Linnet's own floors
  explicit GrammarCompiler(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
