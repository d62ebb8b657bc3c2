#include "server/openai_request.h"

#include "server/sampling_fields.h"

namespace linnet {
namespace {

constexpr int64_t kMostChoices = 16;

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

Result<GenerateOptions> ReadOpenAiOptions(const Fields& body) {
  LINNET_TRY(RefuseWhatIsMissing(body));
  GenerateOptions options;
  LINNET_ASSIGN(options.sampling, ReadSampling(body));
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    LINNET_ASSIGN(const auto most, body.Integer(name, {1, kMostAsked}));
    if (most) options.max_tokens = *most;
  }
  LINNET_ASSIGN(options.stop, ReadStops(body, "stop"));
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
