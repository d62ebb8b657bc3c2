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

Result<Streaming> ReadStreaming(const Fields& body) {
  LINNET_ASSIGN(const auto stream, body.Flag("stream"));
  LINNET_ASSIGN(const Json* options, body.Object("stream_options"));
  LINNET_ASSIGN(const auto usage, Fields(*options, "stream_options").Flag("include_usage"));
  return Streaming{stream.value_or(false), usage.value_or(false)};
}

}  // namespace linnet
