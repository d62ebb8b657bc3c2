#include "runtime/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/rng.h"

namespace linnet {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

// While candidates are being selected `probability` is a logit.
bool Better(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

Status CheckRange(std::string_view name, double value, double low, double high, std::string_view meaning) {
  if (value >= low && value <= high) return {};  // false for NaN
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}", name, value),
              fmt::format("give a value from {} to {} ({})", low, high, meaning));
}

}  // namespace

Result<SamplingPlan> ResolveSampling(const SamplingOptions& options, const GenerationDefaults& defaults) {
  SamplingPlan plan;
  plan.temperature = options.temperature.value_or(defaults.do_sample ? defaults.temperature : 0.0f);
  plan.top_k = options.top_k.value_or(defaults.top_k);
  plan.top_p = options.top_p.value_or(defaults.top_p);
  plan.min_p = options.min_p;
  plan.repetition_penalty = options.repetition_penalty;
  plan.seed = options.seed;
  LINNET_TRY(CheckRange("temperature", plan.temperature, 0.0, 1000.0, "0 is greedy"));
  LINNET_TRY(CheckRange("top-k", plan.top_k, 0, std::numeric_limits<int32_t>::max(), "0 is off"));
  LINNET_TRY(CheckRange("top-p", plan.top_p, 0.0, 1.0, "1 is off"));
  LINNET_TRY(CheckRange("min-p", plan.min_p, 0.0, 1.0, "0 is off"));
  LINNET_TRY(CheckRange("repetition penalty", plan.repetition_penalty, 0.01, 100.0, "1 is off"));
  return plan;
}

int32_t ArgMax(std::span<const float> logits, AllowedWords allowed) {
  float best = kNone;
  int32_t id = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > best && IsAllowed(allowed, i)) {
      best = logits[i];
      id = static_cast<int32_t>(i);
    }
  }
  return id;
}

Sampler::Sampler(const SamplingPlan& plan, int64_t vocab_size) : plan_(plan), vocab_size_(vocab_size) {
  const size_t size = static_cast<size_t>(vocab_size);
  candidates_.reserve(size);
  if (plan.repetition_penalty != 1.0f) {
    penalised_.resize(size);
    seen_.resize(size);
    seen_ids_.reserve(size);
  }
}

uint64_t Sampler::PlannedBytes(int64_t vocab_size) {
  constexpr uint64_t kEach = sizeof(Candidate) + sizeof(float) + sizeof(uint8_t) + sizeof(int32_t);
  return static_cast<uint64_t>(vocab_size) * kEach;
}

void Sampler::Accept(int32_t id) {
  if (id < 0 || static_cast<size_t>(id) >= seen_.size() || seen_[static_cast<size_t>(id)] != 0) return;
  seen_[static_cast<size_t>(id)] = 1;
  seen_ids_.push_back(id);
}

void Sampler::Reset() {
  for (int32_t id : seen_ids_) seen_[static_cast<size_t>(id)] = 0;
  seen_ids_.clear();
  draws_ = 0;
}

// As transformers: a positive logit is divided by the penalty, a negative one multiplied, once per distinct
// token.
std::span<const float> Sampler::Penalise(std::span<const float> logits) {
  if (seen_ids_.empty()) return logits;
  std::copy(logits.begin(), logits.end(), penalised_.begin());
  for (int32_t id : seen_ids_) {
    float& logit = penalised_[static_cast<size_t>(id)];
    logit = logit < 0.0f ? logit * plan_.repetition_penalty : logit / plan_.repetition_penalty;
  }
  return penalised_;
}

// A heap of the k best so far with the worst on top. Ids come in ascending order, so a logit equal to the
// worst one never displaces it: the lowest ids of equal logits stay.
void Sampler::SelectTopK(std::span<const float> logits, size_t k, AllowedWords allowed) {
  candidates_.clear();
  float worst = kNone;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > worst) || !IsAllowed(allowed, i)) continue;
    const Candidate candidate{static_cast<int32_t>(i), logits[i]};
    if (candidates_.size() == k) {
      std::pop_heap(candidates_.begin(), candidates_.end(), Better);
      candidates_.back() = candidate;
    } else {
      candidates_.push_back(candidate);
    }
    std::push_heap(candidates_.begin(), candidates_.end(), Better);
    if (candidates_.size() == k) worst = candidates_.front().probability;
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), Better);
}

void Sampler::SelectAll(std::span<const float> logits, AllowedWords allowed) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kNone && IsAllowed(allowed, i))
      candidates_.push_back({static_cast<int32_t>(i), logits[i]});
  }
}

// Logits become probabilities of softmax(logit / temperature). The largest is subtracted before the division,
// so that no temperature, however small, overflows.
void Sampler::Softmax() {
  constexpr float kLargest = std::numeric_limits<float>::max();
  float largest = kNone;
  for (const Candidate& c : candidates_) largest = std::max(largest, std::min(c.probability, kLargest));
  for (Candidate& c : candidates_) {
    c.probability = std::exp((std::min(c.probability, kLargest) - largest) / plan_.temperature);
  }
  Normalise();
}

void Sampler::Normalise() {
  double sum = 0.0;
  for (const Candidate& c : candidates_) sum += c.probability;
  for (Candidate& c : candidates_) c.probability = static_cast<float>(c.probability / sum);
}

// Keeps the smallest set of the most probable candidates whose sum reaches top_p, at least one.
void Sampler::CutTopP(bool sorted) {
  const auto better_last = [](const Candidate& a, const Candidate& b) { return Better(b, a); };
  // Unsorted candidates are taken from a heap one by one: the set is small compared with a vocabulary.
  if (!sorted) std::make_heap(candidates_.begin(), candidates_.end(), better_last);
  double sum = 0.0;
  size_t kept = 0;
  auto heap_end = candidates_.end();
  while (kept < candidates_.size() && (kept == 0 || sum < plan_.top_p)) {
    if (!sorted) {
      std::pop_heap(candidates_.begin(), heap_end, better_last);
      sum += (--heap_end)->probability;
    } else {
      sum += candidates_[kept].probability;
    }
    ++kept;
  }
  if (!sorted) std::reverse(candidates_.begin(), candidates_.end());  // the heap left the best at the end
  candidates_.resize(kept);
}

void Sampler::CutMinP() {
  float largest = 0.0f;
  for (const Candidate& c : candidates_) largest = std::max(largest, c.probability);
  std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < plan_.min_p * largest; });
}

std::span<const Candidate> Sampler::Distribution(std::span<const float> logits, AllowedWords allowed) {
  LINNET_CHECK(static_cast<int64_t>(logits.size()) == vocab_size_);
  const std::span<const float> scores = Penalise(logits);
  if (plan_.temperature == 0.0f) {
    candidates_.clear();
    if (const int32_t best = ArgMax(scores, allowed); best >= 0) candidates_.push_back({best, 1.0f});
    return candidates_;
  }
  const bool top_k = plan_.top_k > 0 && plan_.top_k < vocab_size_;
  if (top_k) {
    SelectTopK(scores, static_cast<size_t>(plan_.top_k), allowed);
  } else {
    SelectAll(scores, allowed);
  }
  if (candidates_.empty()) return candidates_;
  Softmax();
  if (plan_.top_p < 1.0f) CutTopP(top_k);
  if (plan_.min_p > 0.0f) CutMinP();
  if (plan_.top_p < 1.0f || plan_.min_p > 0.0f) Normalise();
  return candidates_;
}

int32_t Sampler::Sample(std::span<const float> logits, AllowedWords allowed) {
  const int32_t id = Choose(logits, draws_, allowed);
  if (id >= 0 && plan_.temperature != 0.0f) ++draws_;
  return id;
}

int32_t Sampler::Choose(std::span<const float> logits, uint64_t draw, AllowedWords allowed) {
  const std::span<const Candidate> candidates = Distribution(logits, allowed);
  if (candidates.empty()) return -1;
  if (candidates.size() == 1 && plan_.temperature == 0.0f) return candidates[0].id;
  const double target = RandomUniform(plan_.seed, draw);
  double sum = 0.0;
  int32_t chosen = -1;
  for (const Candidate& c : candidates) {
    if (c.probability <= 0.0f) continue;
    chosen = c.id;  // the last possible one, should rounding leave the sum below the target
    sum += c.probability;
    if (sum > target) break;
  }
  return chosen;
}

}  // namespace linnet
