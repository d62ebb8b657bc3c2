// One answer in the making, as a state machine: it says which rows it wants, takes what was computed for
// them, and tells what has become of the answer. Between any two steps it can be cancelled. generate.h loops
// over one, scheduler.h over many.
//
// Invariant: its bits are those it would have alone, whatever else its steps compute.
//
// Thread safety: one thread at a time, that of its engine.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/engine.h"
#include "linnet/session.h"
#include "runtime/continuation.h"
#include "runtime/prompt.h"
#include "runtime/speculative.h"
#include "runtime/token_mask.h"
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
  WrittenTurn written;  // the tokens of these three, where they say exactly this; empty with TurnInput::plain
  std::vector<int32_t>
      ids;  // without the token that ended it; the session holds the first decode_steps of them
  FinishReason finish = FinishReason::kStop;
  GenerateStats stats;
};

// What a turn tells while it goes on. The pieces joined are the fields of the Generation.
struct TurnEvent {
  enum class Kind { kThought, kText, kToolCall };
  Kind kind = Kind::kText;
  std::string text;  // of kThought and kText
  ToolCall call;     // of kToolCall
};

struct TurnInput {
  const Prompt& prompt;              // what to append to the session; not empty; until it has been read
  std::span<const int32_t> earlier;  // tokens the session holds already, for the repetition penalty
  bool inside_thought = false;       // the prompt ends in an open thought
  bool plain = false;                // all output is text: thoughts and tool calls have no meaning in it
  TokenMask* mask = nullptr;         // rules out tokens; must outlive the turn
  const std::atomic<bool>* cancel = nullptr;  // looked at between two steps, and between the layers of a step
                                              // of this turn alone; must outlive the turn
};

class Turn {
 public:
  // Engine and session must outlive it, and nothing else may use the session meanwhile. Errors: those of
  // ResolveSampling and Session::Feed, kInvalidArgument for options out of range, kOutOfMemory.
  static Result<std::unique_ptr<Turn>> Begin(Engine& engine, Session& session, const TurnInput& input,
                                             const GenerateOptions& options);
  ~Turn();

  // REQUIRES: !done().
  SequenceRows Want(const RowLimits& limits);
  // What came of the rows of Want(), which the session's cache now holds.
  void Take(const Computed& computed);

  // Ends it here. The answer is what was written so far; before the first token there is none, only
  // kCancelled.
  void Cancel();
  // Ends it without an answer.
  void Fail(Error error);

  bool done() const;
  bool cancelled() const { return cancel_flag() != nullptr && *cancel_flag(); }
  const std::atomic<bool>* cancel_flag() const;  // may be null
  bool reading() const;                          // the prompt; after that it writes
  double fraction_read() const;
  int64_t largest_block() const;  // of the rows that are read at once

  // Since the last call.
  std::vector<TurnEvent> TakeEvents();
  // The whole answer, or what went wrong. Once. REQUIRES: done().
  Result<Generation> Finish();

 private:
  struct Impl;
  explicit Turn(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
