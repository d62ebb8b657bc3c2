#include "server/openai_request.h"

#include <limits>
#include <random>

namespace linnet {
namespace {

constexpr double kMostTokens = 1 << 30;
constexpr int64_t kMostChoices = 16;
constexpr size_t kMostStops = 16;

Status RefuseWhatIsMissing(const Fields& body) {
  for (const char* name : {"presence_penalty", "frequency_penalty"}) {
    LINNET_ASSIGN(const auto penalty, body.Number(name, {-2, 2}));
    if (penalty.value_or(0) != 0) {
      return body.Wrong(name, "is not supported", "leave it out, or give repetition_penalty");
    }
  }
  LINNET_ASSIGN(const Json* bias, body.Object("logit_bias"));
  if (!bias->is_null() && !bias->empty()) return body.Wrong("logit_bias", "is not supported", "leave it out");
  return {};
}

}  // namespace

uint64_t RandomSeed() {
  static thread_local std::random_device random;
  return static_cast<uint64_t>(random()) << 32 | random();
}

Result<GenerateOptions> ReadOpenAiOptions(const Fields& body) {
  LINNET_TRY(RefuseWhatIsMissing(body));
  GenerateOptions options;
  SamplingOptions& sampling = options.sampling;
  LINNET_ASSIGN(const auto temperature, body.Number("temperature", {0, 100}));
  if (temperature) sampling.temperature = static_cast<float>(*temperature);
  LINNET_ASSIGN(const auto top_p, body.Number("top_p", {0, 1}));
  if (top_p && *top_p > 0) sampling.top_p = static_cast<float>(*top_p);
  if (top_p && *top_p == 0) sampling.temperature = 0.0F;  // nothing but the most probable
  LINNET_ASSIGN(const auto top_k, body.Integer("top_k", {-1, kMostTokens}));
  if (top_k) sampling.top_k = static_cast<int32_t>(std::max<int64_t>(0, *top_k));
  LINNET_ASSIGN(const auto min_p, body.Number("min_p", {0, 1}));
  if (min_p) sampling.min_p = static_cast<float>(*min_p);
  LINNET_ASSIGN(const auto repetition, body.Number("repetition_penalty", {0.01, 100}));
  if (repetition) sampling.repetition_penalty = static_cast<float>(*repetition);
  constexpr double kMostSeed = 9.3e18;
  LINNET_ASSIGN(const auto seed, body.Integer("seed", {-kMostSeed, kMostSeed}));
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : RandomSeed();
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    LINNET_ASSIGN(const auto most, body.Integer(name, {1, kMostTokens}));
    if (most) options.max_tokens = *most;
  }
  LINNET_ASSIGN(options.stop, body.Texts("stop"));
  std::erase(options.stop, "");
  if (options.stop.size() > kMostStops) {
    return body.Wrong("stop", "has more than 16 texts", "give fewer");
  }
  return options;
}

Result<int64_t> ReadChoices(const Fields& body) {
  LINNET_ASSIGN(const auto choices, body.Integer("n", {1, kMostChoices}));
  return choices.value_or(1);
}

Json OpenAiUsage(int64_t prompt, int64_t reused, int64_t written, int64_t thought) {
  return {{"prompt_tokens", prompt},
          {"completion_tokens", written},
          {"total_tokens", prompt + written},
          {"prompt_tokens_details", {{"cached_tokens", reused}, {"audio_tokens", 0}}},
          {"completion_tokens_details", {{"reasoning_tokens", thought}, {"audio_tokens", 0}}}};
}

}  // namespace linnet
