// `linnet perplexity`: how well a model predicts given texts, and how far its distributions are from
// another's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

struct TokenText {
  std::string name;          // for messages and the result
  std::vector<int32_t> ids;  // without bos
};

// One stretch of a text that a model sees at once: ids [first, last), of which those from `scored` on count.
struct ScoringWindow {
  int64_t first = 0, last = 0, scored = 0;
};

// Cuts a text into windows of at most `room` ids. Every id counts exactly once, and behind the first window
// each has at least half a window of text before it. REQUIRES: room >= 1.
std::vector<ScoringWindow> ScoringWindows(int64_t ids, int64_t room);

inline constexpr int64_t kScoredContext = 2048;

struct PerplexityOptions {
  int64_t context = 0;       // tokens the model sees at once; 0 = the model's maximum, at most kScoredContext
  KvType kv = KvType::kF32;  // of the tested model; the reference's is float32
};

// The tested model beside the reference, over the predicted tokens of a text or of all.
struct ModelComparison {
  double kl_mean = 0, kl_99 = 0, kl_max = 0;  // KL divergence of the tested from the reference, in nats
  double top1 = 0;                            // share of positions with the same most probable token
  double reference_nll = 0;                   // mean
};

struct TextScore {
  std::string name;
  int64_t tokens = 0;   // predicted
  double mean_nll = 0;  // negative log likelihood a token, in nats
  std::optional<ModelComparison> comparison;

  double Perplexity() const;
};

struct PerplexityResult {
  int64_t context = 0;
  std::vector<TextScore> texts;
  TextScore total;  // over the tokens of all texts
};

// `reference` may be null. Memory beside the models and their caches: kRows rows of logits each, and 16 bytes
// a token. Errors, kInvalidArgument: a text without tokens, a context the model does not have, vocabularies
// of different size; kBadFile: a model that computes no usable number.
Result<PerplexityResult> MeasurePerplexity(Engine& tested, Engine* reference,
                                           std::span<const TokenText> texts, const PerplexityOptions& options,
                                           const Progress& progress = {});

}  // namespace linnet
