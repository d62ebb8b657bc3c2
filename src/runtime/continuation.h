// A sequence that is read and continued token by token, as a state machine: Want() says which rows are to be
// computed next, Take() is given what came of them and chooses. Who runs the steps, and with which other
// sequences beside it, is the caller's affair and does not show in what is chosen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "linnet/error.h"
#include "runtime/engine_impl.h"
#include "runtime/prompt_reader.h"
#include "runtime/speculative.h"

namespace linnet {

struct RowLimits {
  int64_t prompt_rows = 512;    // of a prompt; a picture is always whole
  int64_t drafts = kMaxDrafts;  // behind a chosen token
  int64_t beside = 0;           // rows of other sequences in the same call
};

// What a step computed for the rows that Want() named.
struct Computed {
  Rows hidden, logits;
  double seconds = 0;  // of the call; 0 where it also read prompts and says nothing of decoding
};

class Continuation {
 public:
  // Of every choice; false ends the sequence with it. `logits` are those it was chosen from, as the model
  // computed them.
  using Choose = std::function<bool(int32_t id, std::span<const float> logits)>;

  // `draft` as in GenerateOptions. Reserves what decoding needs. Throws std::bad_alloc. Session, sampler and
  // mask must outlive it, and nothing else may use the session until the sequence has ended or is given up.
  Continuation(Session::Impl& session, Choosing choosing, int32_t draft);

  // Reads the prompt first, which must live until reading() is false. `earlier`: the tokens that the session
  // holds. `stops`, which may be null, must live as long as the prompt. Errors: kInvalidArgument and the
  // like, see CheckPrompt(); kOutOfMemory.
  Status Begin(const Prompt& prompt, std::span<const int32_t> earlier, const ReadingStops* stops = nullptr);

  // How many rows of the prompt Want() will name: more than the limit where they are a picture's. REQUIRES:
  // reading().
  int64_t NextRows(const RowLimits& limits) const { return reader_->NextRows(PromptRows(limits)); }
  // REQUIRES: not ended.
  SequenceRows Want(const RowLimits& limits);
  // The rows are in the cache. Afterwards the cache holds exactly the prompt and the choices that were fed.
  // Errors: kBadFile, the logits are no numbers; kInvalidArgument, the mask allows none.
  Status Take(const Computed& computed, const Choose& choose);

  bool ended() const { return ended_; }
  bool reading() const { return reader_.has_value(); }
  double fraction_read() const { return reader_ ? reader_->fraction() : 1.0; }
  int64_t largest_block() const { return reader_ ? reader_->largest_block() : 1; }
  int64_t fed() const { return fed_; }                               // choices that the cache holds
  bool full() const { return length_ >= session_.cache.context(); }  // no token can follow

  Speculator& speculator() { return speculator_; }

 private:
  int64_t PromptRows(const RowLimits& limits) const {
    return std::min(limits.prompt_rows, session_.cache.rows_per_call());
  }

  Session::Impl& session_;
  Choosing choosing_;
  Speculator speculator_;
  std::optional<PromptReader> reader_;
  std::span<const int32_t> round_;  // the rows of the round; empty: the next choice follows the prompt
  int32_t next_ = -1;               // chosen, not fed
  int64_t length_ = 0;              // tokens before the next choice
  int64_t fed_ = 0;
  bool ended_ = false;
};

// Runs a continuation, with no other beside it, until a choice ends it. Errors: those of a step; kBadFile.
Status RunAlone(Session& session, Continuation& continuation, const Continuation::Choose& choose);

}  // namespace linnet
