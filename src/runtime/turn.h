// What runs a turn's steps (linnet/turn.h): the rows that it wants, and what was computed for them.
// generate.cc loops over one, scheduler.h over many.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/memory_guard.h"
#include "base/stopwatch.h"
#include "linnet/engine.h"
#include "linnet/session.h"
#include "linnet/turn.h"
#include "runtime/continuation.h"
#include "runtime/prompt.h"
#include "runtime/sampler.h"
#include "runtime/token_mask.h"

namespace linnet {

// What there may be no memory for, and what to do then.
inline constexpr std::string_view kAnswer = "an answer",
                                  kShorten = "shorten the conversation, or close other programs";

struct TurnInput {
  std::shared_ptr<const Prompt> prompt;  // what to append to the session; not empty
  std::span<const int32_t> earlier;      // tokens the session holds already, for the repetition penalty
  bool inside_thought = false;           // the prompt ends in an open thought
  bool may_think = false;                // the model may open one itself
  bool plain = false;                    // all output is text: thoughts and tool calls have no meaning in it
  const std::atomic<bool>* cancel = nullptr;  // as of Turn::Begin()
  ReadingStops stops = {};
  int64_t reused = 0, dropped = 0;  // GenerateStats
};

// Errors: those of ResolveSampling and Session::Feed; kInvalidArgument for options out of range.
Result<std::unique_ptr<Turn>> BeginTurn(Engine& engine, Session& session, TurnInput input,
                                        const GenerateOptions& options);

class TurnWriter;

struct LINNET_HIDDEN Turn::Impl {
  Impl(Engine& engine, Session& session, TurnInput turn_input, const GenerateOptions& options,
       const SamplingPlan& plan);
  ~Impl();

  // REQUIRES: !done.
  SequenceRows Want(const RowLimits& limits);
  // What came of the rows of Want(), which the session's cache now holds.
  void Take(const Computed& computed);
  void Cancel();
  // Ends it without an answer.
  void Fail(Error why);
  // Runs what may find no memory, and returns a Status; what goes wrong with it ends the turn.
  template <typename Body>
  void FailUnless(const Body& body) {
    const Status done = WithinMemory(kAnswer, kShorten, body);
    if (!done) Fail(done.error());
  }
  bool cancelled() const { return input.cancel != nullptr && *input.cancel; }

  void End(FinishReason reason);
  bool Choose(int32_t id, std::span<const float> logits);

  TurnInput input;
  Sampler sampler;
  AllowedTokens allowed;
  Continuation continuation;
  std::unique_ptr<TurnWriter> writer;
  bool done = false, chosen = false;
  std::optional<Error> error;
  Clock::time_point start = Clock::now(), first_token;
  double prompt_seconds = 0, first_token_seconds = 0;
};

}  // namespace linnet
