// Several tokens for the price of one: guesses what will be chosen, computes the rows of all guesses in one
// call of the target, and hands them out one by one as long as the choices agree with the guesses.
//
// The caller's loop is that of plain decoding: choose from logits(), Feed() the choice. Rows do not know
// their batch, so the bits of logits() are those of Session::Feed() token by token, and the text is the same
// for every sampler, seed, penalty and mask, whatever is guessed. In terms of the accept/resample rule: a
// guess is a point mass at d, the choice x is drawn from the target's own distribution p with the random
// number of its position, and d is kept if x = d. So d is accepted with probability p(d) and otherwise
// replaced by a draw from p without d.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/session.h"
#include "runtime/draft_depth.h"
#include "runtime/prompt_lookup.h"
#include "runtime/sampler.h"

namespace linnet {

struct DraftStats {
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

class Speculator {
 public:
  // Replaces drafts before they are verified; for tests and benchmarks. `position` is that of the first
  // draft.
  using Edit = std::function<void(std::span<int32_t> drafts, int64_t position)>;

  // `draft` as in GenerateOptions. Reserves memory, so it must be made before the prompt is fed. The
  // arguments must outlive it, and nothing else may use the session between Begin() and Finish(): it holds
  // rows that were computed ahead.
  Speculator(Session& session, Sampler& sampler, int32_t draft);

  // After the prompt has been fed: the tokens that the session held before, and the prompt.
  void Begin(std::span<const int32_t> earlier, std::span<const int32_t> prompt);

  // The same as Session::Feed(id), logits() and length().
  Status Feed(int32_t id);
  std::span<const float> logits() const;
  int64_t length() const { return base_ + 1 + row_; }

  // Takes back what was computed ahead and not asked for.
  Status Finish();

  const DraftStats& stats() const { return stats_; }
  void set_edit(Edit edit) { edit_ = std::move(edit); }
  void set_lookup(bool on) { use_lookup_ = on; }

 private:
  void CloseRound(bool decided);
  void Propose(int32_t id);
  void ProposeFromDrafter(int32_t id, int64_t count);
  Status RunTarget();

  Session::Impl& session_;
  Sampler& sampler_;
  int32_t draft_;
  DraftDepth& depth_;
  PromptLookup lookup_;
  bool use_lookup_ = true;
  Edit edit_;
  DraftStats stats_;

  // The round: the token that was fed, the drafts after it, and how far the choices have agreed.
  std::vector<int32_t> ids_;
  DraftSource source_ = DraftSource::kDrafter;
  int64_t base_ = 0;        // length before the round
  int64_t row_ = 0;         // row of the round whose logits are current
  int64_t output_row_ = 0;  // the same in the decoder's output
  double round_seconds_ = 0;
};

}  // namespace linnet
