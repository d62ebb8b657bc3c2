// From a prompt to an answer: one turn, step by step.
#pragma once

#include <functional>
#include <string_view>

#include "linnet/engine.h"
#include "linnet/session.h"
#include "runtime/turn.h"

namespace linnet {

// Called while the answer is written; each may be empty. The pieces joined are the fields of the Generation.
struct GenerateHooks {
  std::function<void(std::string_view)> on_thought;
  std::function<void(std::string_view)> on_text;
  std::function<void(const ToolCall&)> on_tool_call;
  Progress on_prompt;
  const std::atomic<bool>* cancel = nullptr;  // as in TurnInput
};

// Errors: those of Turn::Begin and of a step, kCancelled before the first token. When an error comes the
// session may hold part of the prompt and of the answer. Stop texts are looked for in the visible text only,
// never in thoughts and tool calls.
Result<Generation> Generate(Engine& engine, Session& session, TurnInput input, const GenerateOptions& options,
                            const GenerateHooks& hooks = {});

// Runs a turn of this session that has begun until it is done.
void Run(Session& session, Turn& turn, const GenerateHooks& hooks);

// What has become of a turn since the last call, to whom it may concern.
void Tell(Turn& turn, const GenerateHooks& hooks);

}  // namespace linnet
