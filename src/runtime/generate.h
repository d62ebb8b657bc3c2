// The loop from a prompt to an answer: feed, choose, decode, stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/engine.h"
#include "linnet/session.h"
#include "runtime/prompt.h"
#include "runtime/speculative.h"
#include "text/chat_format.h"
#include "text/tool_syntax.h"

namespace linnet {

enum class FinishReason {
  kStop,       // the model ended its turn, or a stop text or token came
  kLength,     // max_tokens were written
  kContext,    // the session is full
  kCancelled,  // the caller asked to stop
  kToolCall,   // the model ended its turn with at least one tool call and waits for results
};
std::string_view FinishReasonName(
    FinishReason reason);  // "stop", "length", "context", "cancelled", "tool_call"

struct GenerateStats {
  int64_t prompt_tokens = 0;     // fed by this call
  int64_t generated_tokens = 0;  // in the answer, without the token that ended it
  int64_t decode_steps = 0;      // tokens fed after the prompt
  double prompt_seconds = 0;
  double decode_seconds = 0;       // of the decode steps with their sampling
  double first_token_seconds = 0;  // from the call to the first token
  uint64_t peak_memory = 0;        // bytes, largest resident size of the process so far
  DraftStats draft;

  // 0 where nothing was measured.
  double PromptSpeed() const {
    return prompt_seconds > 0 ? static_cast<double>(prompt_tokens) / prompt_seconds : 0;
  }
  double DecodeSpeed() const {
    return decode_seconds > 0 ? static_cast<double>(decode_steps) / decode_seconds : 0;
  }
};

// One answer, taken apart.
struct Generation {
  std::string thought;
  std::string text;  // what a person reads: without thoughts, tool calls, turn ends and stop texts
  std::vector<ToolCall> tool_calls;
  WrittenTurn
      written;  // the tokens of these three, where they say exactly this; empty with GenerateInput::plain
  std::vector<int32_t>
      ids;  // without the token that ended it; the session holds the first decode_steps of them
  FinishReason finish = FinishReason::kStop;
  GenerateStats stats;
};

// Called while the answer is written; each may be empty. The pieces joined are the fields of the Generation.
struct GenerateHooks {
  std::function<void(std::string_view)> on_thought;
  std::function<void(std::string_view)> on_text;
  std::function<void(const ToolCall&)> on_tool_call;
  Progress on_prompt;
  const std::atomic<bool>* cancel = nullptr;  // looked at before each token, and as in FeedHooks
};

struct GenerateInput {
  const Prompt& prompt;              // what to append to the session; not empty
  std::span<const int32_t> earlier;  // tokens the session holds already, for the repetition penalty
  bool inside_thought = false;       // the prompt ends in an open thought
  bool plain = false;                // all output is text: thoughts and tool calls have no meaning in it
};

// Errors: those of ResolveSampling and of Session::Feed, kCancelled before the first token. When an error
// comes the session may hold part of the prompt and of the answer. Stop texts are looked for in the visible
// text only, never in thoughts and tool calls.
Result<Generation> Generate(Engine& engine, Session& session, const GenerateInput& input,
                            const GenerateOptions& options, const GenerateHooks& hooks = {});

}  // namespace linnet
