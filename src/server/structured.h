// Answers that must have a form: what requests ask for, compiled beside the engine.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/grammar.h"
#include "server/fields.h"

namespace linnet {

// What an answer must follow, as a protocol says it.
struct AnswerForm {
  std::optional<GrammarSource> source;  // of its text
  Json tools;                           // declarations in OpenAI's form; null: none
  ToolRules calls;                      // how they may be called
};

// The compiler of an engine, made when it is first needed. Thread safety: any.
class Grammars {
 public:
  explicit Grammars(const Engine& engine) : engine_(engine) {}

  // Nothing where any answer will do: no form of the text, no strict tool, no call that must be. Errors:
  // those of GrammarCompiler.
  Result<std::optional<Grammar>> Compile(const AnswerForm& form);

 private:
  const Engine& engine_;
  std::mutex mutex_;
  std::shared_ptr<const GrammarCompiler> compiler_;
};

// `response_format`, and what others added: `structured_outputs`, `guided_json` … `guided_grammar`, `grammar`
// and `json_schema`. Errors: kInvalidArgument; more than one of them is given.
Result<std::optional<GrammarSource>> ReadAnswerForm(const Fields& body);

// `tool_choice` and `parallel_tool_calls`, into rules and into which of the tools there are. Errors:
// kInvalidArgument.
Status ReadToolChoice(const Fields& body, AnswerForm& form);

}  // namespace linnet
