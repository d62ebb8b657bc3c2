// Several tokens for the price of one: guesses what will be chosen, so that one call of the target computes
// the rows of the token and of all guesses.
//
// Rows do not know their batch, so the bits of a row are those it has when its token is fed alone, and the
// text is the same for every sampler, seed, penalty and mask, whatever is guessed. In terms of the
// accept/resample rule: a guess is a point mass at d, the choice x is drawn from the target's own
// distribution p with the random number of its position, and d is kept if x = d. So d is accepted with
// probability p(d) and otherwise replaced by a draw from p without d.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "runtime/draft_depth.h"
#include "runtime/engine_impl.h"
#include "runtime/prompt_lookup.h"
#include "runtime/sampler.h"

namespace linnet {

// What choosing needs beside the logits.
struct Choosing {
  Sampler& sampler;
  AllowedTokens& allowed;

  int32_t Sample(std::span<const float> logits) { return sampler.Sample(logits, allowed.Words()); }
  void Accept(int32_t id) {
    sampler.Accept(id);
    allowed.Advance(id);
  }
};

class Speculator {
 public:
  // Replaces drafts before they are verified; for tests and benchmarks. `position` is that of the first
  // draft.
  using Edit = std::function<void(std::span<int32_t> drafts, int64_t position)>;

  // `draft` as in GenerateOptions. The arguments must outlive it. Allocates; Propose() and Settle() do not.
  Speculator(Engine::Impl& engine, const KvCache& cache, Choosing choosing, int32_t draft);

  // Tokens of the sequence in their order: those before the prompt, the prompt, each choice.
  void Add(std::span<const int32_t> ids) {
    if (draft_ != 0) lookup_.Add(ids);
  }
  // The target's hidden state (D) of the last token that the cache holds: what the drafter begins from.
  void Remember(const float* hidden);

  // At most so many drafts, in a call that also computes `beside` rows of others.
  struct Limits {
    int64_t drafts = kMaxDrafts;
    int64_t beside = 0;
  };
  // The rows of the next round: `id`, which was chosen, and the drafts that promise most. Valid until the
  // next call.
  std::span<const int32_t> Propose(int32_t id, const Limits& limits);

  // How a round ended: `kept` of its rows stay. `decided` false: the answer ended before the next draft was
  // looked at. `seconds` is what the call took; 0 where that says nothing, because it read prompts as well.
  struct Outcome {
    int64_t kept = 1;
    bool decided = true;
    double seconds = 0;
  };
  void Settle(const Outcome& outcome);

  const DraftStats& stats() const { return stats_; }
  void set_edit(Edit edit) { edit_ = std::move(edit); }
  void set_lookup(bool on) { use_lookup_ = on; }

 private:
  void ProposeFromDrafter(int32_t id, int64_t count);

  Engine::Impl& engine_;
  const KvCache& cache_;
  Choosing choosing_;
  int32_t draft_;
  DraftDepth& depth_;
  PromptLookup lookup_;
  bool use_lookup_ = true;
  Edit edit_;
  DraftStats stats_;
  std::vector<float> hidden_;  // (D); empty without a drafter

  // The round.
  std::vector<int32_t> ids_;
  DraftSource source_ = DraftSource::kDrafter;
  int64_t beside_ = 0;
  double draft_seconds_ = 0;
};

}  // namespace linnet
