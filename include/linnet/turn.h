// One answer in the making. Between any two steps of it, it can be looked at and cancelled.
//
// Invariant: its bits are those it would have alone, whatever else its steps compute.
//
// Thread safety: one thread at a time, that of its engine; a flag to cancel may be set from any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/context.h"
#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

class Engine;
class Session;

// One bit a token, 32 in a word, the lowest id in the lowest bit. Empty: every token is allowed.
using AllowedWords = std::span<const uint32_t>;

// What may stand before an answer proper.
struct AnswerStart {
  bool may_think = false;       // a thought of the model's, which it opens itself
  bool inside_thought = false;  // the prompt has opened one
};

// A rule on which tokens may come next that depends on those so far, such as a grammar. Logits stay what the
// model computed; the sampler passes over what is not allowed. It is asked while the engine's threads are
// held, so it must not wait for another engine.
class LINNET_API TokenMask {
 public:
  virtual ~TokenMask() = default;
  // An answer begins, also another one than before.
  virtual void Begin(const AnswerStart& /*start*/) {}
  // For the next token; valid until the next call. As many words as the vocabulary needs, or none. Where it
  // allows no token that can follow, the answer fails with error(), or with kInvalidArgument.
  virtual AllowedWords Allowed() = 0;
  // The token that was chosen, or a draft, whether or not it is allowed.
  virtual void Advance(int32_t id) = 0;
  // Takes back the last `tokens` calls of Advance().
  virtual void RollBack(int64_t tokens) = 0;
  // Whether the answer repeats itself without end, so that it is to stop here (FinishReason::kRepetition).
  virtual bool Endless() const { return false; }
  // What has gone wrong with the rule itself, or null.
  virtual const Error* error() const { return nullptr; }
  // The engine begins to compute what Allowed() will be asked for: here, and behind each of these drafts as
  // long as they are allowed. A rule may do so meanwhile, on a thread of its own; it says the same without.
  virtual void Prepare(std::span<const int32_t> /*drafts*/) {}
};

struct ToolCall {
  std::string name;
  std::string arguments;  // JSON text of an object
  bool complete = true;   // false: cut off or not well-formed, and repaired as it was most likely meant
};

// Where drafts come from; each has an acceptance of its own.
enum class DraftSource : uint8_t {
  kDrafter,
  kShortMatch,  // prompt lookup: the last 2 or 3 tokens occurred before
  kLongMatch,   // more than that
};
inline constexpr size_t kDraftSources = 3;

struct LINNET_API DraftStats {
  int64_t passes = 0;                                              // calls of the target
  int64_t tokens = 0;                                              // that came out of them
  std::array<int64_t, kMaxDrafts> drafted{}, accepted{};           // by position in the round
  std::array<int64_t, kDraftSources> drafted_by{}, accepted_by{};  // by DraftSource
  double draft_seconds = 0;                                        // spent on guessing
  double verify_seconds = 0;                                       // spent in the target
  double plain_seconds = 0;  // a plain step as measured; 0 = none was made

  int64_t drafts() const;
  double TokensPerPass() const {
    return passes > 0 ? static_cast<double>(tokens) / static_cast<double>(passes) : 0;
  }
  // Speed over plain decoding, from the measured time of a plain step; 0 = unknown.
  double Gain() const;
};

enum class FinishReason {
  kStop,        // the model ended its turn, or a stop text or token came
  kLength,      // max_tokens were written
  kContext,     // the session is full
  kCancelled,   // the caller asked to stop
  kToolCall,    // the model ended its turn with at least one tool call and waits for results
  kRepetition,  // it repeats itself and cannot stop, because a grammar holds it (TokenMask::Endless())
};
// "stop", "length", "context", "cancelled", "tool_call", "repetition".
LINNET_API std::string_view FinishReasonName(FinishReason reason);

struct GenerateStats {
  int64_t prompt_tokens = 0;     // of the prompt, read by this call
  int64_t reused_tokens = 0;     // of the prompt, read before: by this conversation or by another
  int64_t dropped_tokens = 0;    // of those read, known before and dropped for LoadOptions::cache_ram
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

// The tokens of a turn that a model wrote itself. A part that is not empty stands for that of the message, so
// that history reads as it was written.
struct WrittenTurn {
  std::vector<int32_t> thought;  // between the markers of its channel, with the channel's name
  std::vector<int32_t> calls;    // all of them, with their markers
  std::vector<int32_t> text;
};

// A token, the bytes that it stands for, which need be no whole character, and the logarithm of its
// probability.
struct TokenChance {
  int32_t id = 0;
  std::string text;
  float logprob = 0;
};
// Of the distribution that the model computed, before temperature, penalties and masks.
struct TokenLogprob {
  TokenChance chosen;
  std::vector<TokenChance> top;  // the most probable, in order (GenerateOptions::logprobs)
};

// One answer, taken apart.
struct Generation {
  std::string thought;
  std::string text;  // what a person reads: without thoughts, tool calls, turn ends and stop texts
  std::vector<ToolCall> tool_calls;
  WrittenTurn written;  // the tokens of these three, where they say exactly this; empty where all is text
  // Without the token that ended it; the session holds the first decode_steps of them.
  std::vector<int32_t> ids;
  std::vector<TokenLogprob> logprobs;  // of the tokens of `text`, where they were asked for
  FinishReason finish = FinishReason::kStop;
  std::string stop_text;  // of GenerateOptions::stop, that ended it; empty: none did
  GenerateStats stats;
  std::optional<ContextShift> shift;  // of a conversation: what went before it
};

// What a turn tells while it goes on. The pieces joined are the fields of the Generation.
struct TurnEvent {
  // kCallPart: more of the arguments of a call that is being written, as far as they are certain. kToolCall
  // follows, whose arguments begin with all of its parts; a call that is not in the model's own notation has
  // none.
  enum class Kind { kThought, kText, kToolCall, kCallPart };
  Kind kind = Kind::kText;
  std::string text;                         // of kThought, kText and kCallPart
  ToolCall call;                            // of kToolCall; of kCallPart its name
  std::vector<TokenLogprob> logprobs = {};  // of kText: of the tokens since the last
};

class LINNET_API Turn {
 public:
  // Continues tokens as they are, without a chat around them, behind what the session holds; all that is
  // written is text. The turns of a chat come from Conversation::Begin(). Engine and session must outlive it,
  // and nothing else may use the session meanwhile. `cancel` is looked at between two steps, and between the
  // layers of a step of this turn alone. Errors: those of Session::Feed; kInvalidArgument for options out of
  // range.
  static Result<std::unique_ptr<Turn>> Begin(Engine& engine, Session& session, std::span<const int32_t> ids,
                                             const GenerateOptions& options,
                                             const std::atomic<bool>* cancel = nullptr);
  ~Turn();

  // Ends it here. The answer is what was written so far; before the first token there is none, only
  // kCancelled.
  void Cancel();

  bool done() const;
  bool reading() const;  // the prompt; after that it writes
  double fraction_read() const;

  // Since the last call.
  std::vector<TurnEvent> TakeEvents();
  // The whole answer, or what went wrong: kCancelled before the first token, kOutOfMemory, kBadFile. Once,
  // and not of a conversation's turn, which ends with Conversation::End(). REQUIRES: done().
  Result<Generation> Finish();

  struct Impl;  // for Linnet's own floors
  explicit Turn(std::unique_ptr<Impl> impl);
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Called while an answer is written; each may be empty. The pieces joined are the fields of the Generation.
// What one throws comes out of the call that was given it, and the answer is as if it had been cancelled.
struct GenerateHooks {
  std::function<void(std::string_view)> on_thought;
  std::function<void(std::string_view)> on_text;
  std::function<void(const ToolCall&)> on_tool_call;
  std::function<void(const ContextShift&)> on_shift;  // of Conversation::Answer(), before anything else
  Progress on_prompt;                                 // while the prompt is read
  const std::atomic<bool>* cancel = nullptr;          // as of Turn::Begin()
};

// What has become of a turn since the last call, but for on_prompt: instead of Turn::TakeEvents().
LINNET_API void Tell(Turn& turn, const GenerateHooks& hooks);

// Turn::Begin() and all steps of it. When an error comes the session may hold part of the tokens and of the
// answer.
LINNET_API Result<Generation> Continue(Engine& engine, Session& session, std::span<const int32_t> ids,
                                       const GenerateOptions& options, const GenerateHooks& hooks = {});

}  // namespace linnet
