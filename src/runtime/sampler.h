// Chooses the next token from a row of logits.
//
// Order of the steps: tokens that are not allowed are passed over, repetition penalty, temperature, top-k,
// softmax (float32), top-p, min-p. Of equal logits the lowest id goes first everywhere: in greedy
// choice, at the edge of top-k and at the edge of top-p.
//
// Invariants:
//  1. Nothing is allocated after construction.
//  2. The n-th choice of a seed depends on the logits, the seed and n only: not on threads, time or
//     addresses.
//  3. A NaN is never chosen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/options.h"
#include "model/config.h"
#include "runtime/token_mask.h"

namespace linnet {

// SamplingOptions with the model's defaults filled in; every value checked.
struct SamplingPlan {
  float temperature = 0.0f;  // 0 = greedy
  int32_t top_k = 0;         // 0 = off
  float top_p = 1.0f;        // 1 = off
  float min_p = 0.0f;        // 0 = off
  float repetition_penalty = 1.0f;
  uint64_t seed = 0;
};

// kInvalidArgument names the option that is out of its range. A model that does not sample by default
// (do_sample = false) is greedy unless a temperature is asked for.
Result<SamplingPlan> ResolveSampling(const SamplingOptions& options, const GenerationDefaults& defaults);

struct Candidate {
  int32_t id = 0;
  float probability = 0.0f;
};

class Sampler {
 public:
  Sampler(const SamplingPlan& plan, int64_t vocab_size);
  // What its tables take at most.
  static uint64_t PlannedBytes(int64_t vocab_size);

  // Tells the sampler of a token of the prompt or of the answer, for the repetition penalty. Ids out of range
  // are ignored (a prompt's ids are checked where it is fed).
  void Accept(int32_t id);
  void Accept(std::span<const int32_t> ids) {
    for (int32_t id : ids) Accept(id);
  }
  // Forgets the tokens and starts the seed's numbers again.
  void Reset();

  // The distribution from which Sample chooses: probabilities sum to 1. In descending order when top-k or
  // top-p is on, by id otherwise; one candidate when greedy. Empty when no allowed logit is a number above
  // -infinity. Valid until the next call. REQUIRES: logits.size() == vocab_size.
  std::span<const Candidate> Distribution(std::span<const float> logits, AllowedWords allowed = {});

  // A choice from Distribution(), or -1 where that is empty. Uses one random number (none when greedy).
  int32_t Sample(std::span<const float> logits, AllowedWords allowed = {});

  // What Sample would return for these logits after `ahead` further choices. Counts nothing: for guessing
  // ahead.
  int32_t Guess(std::span<const float> logits, uint64_t ahead, AllowedWords allowed = {}) {
    return Choose(logits, draws_ + ahead, allowed);
  }

  const SamplingPlan& plan() const { return plan_; }

 private:
  // A choice with the random number `draw`.
  int32_t Choose(std::span<const float> logits, uint64_t draw, AllowedWords allowed);
  std::span<const float> Penalise(std::span<const float> logits);
  void SelectTopK(std::span<const float> logits, size_t k, AllowedWords allowed);
  void SelectAll(std::span<const float> logits, AllowedWords allowed);
  void Softmax();
  void CutTopP(bool sorted);
  void CutMinP();
  void Normalise();

  SamplingPlan plan_;
  int64_t vocab_size_;
  uint64_t draws_ = 0;
  std::vector<Candidate> candidates_;  // capacity vocab_size; `probability` holds the logit until Softmax
  std::vector<float> penalised_;       // (V), empty when there is no penalty
  std::vector<uint8_t> seen_;          // (V), 1 where the token has occurred; empty when there is no penalty
  std::vector<int32_t> seen_ids_;      // the same as a list, each once
};

// The allowed id of the largest logit, the lowest of equal ones, NaN never; -1 if there is none above
// -infinity.
int32_t ArgMax(std::span<const float> logits, AllowedWords allowed = {});

}  // namespace linnet
