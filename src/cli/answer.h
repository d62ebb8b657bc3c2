// How an answer is shown: as it is written for a person, at its end as JSON for a program.
#pragma once

#include <string>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/engine.h"
#include "linnet/turn.h"

namespace linnet {

// Text goes to standard output as it comes, thoughts to standard error, each tool call as one readable line.
class AnswerPrinter {
 public:
  GenerateHooks Hooks();
  // Ends the last line, and says so when the answer was cut.
  void Finish(const Generation& answer);

 private:
  void Text(std::string_view text);
  void Thought(std::string_view text);
  void Call(const ToolCall& call);
  void EndThought();

  bool in_line_ = false;     // standard output is in the middle of a line
  bool in_thought_ = false;  // standard error is in the middle of a thought
};

// One line: call phone(name: "tom").
std::string ReadableCall(const ToolCall& call);
// "prompt 20 tokens, 1204 reused, 410.2 tokens/s; answer 8 tokens, 95.1 tokens/s; first token after 0.05 s;
// peak memory 64.1 MB"
std::string StatsLine(const GenerateStats& stats);
// One line with a JSON object; its fields are documented in docs/cli.md.
std::string AnswerJson(const Generation& answer, const Engine& engine, const std::vector<MediaUse>& media);

}  // namespace linnet
