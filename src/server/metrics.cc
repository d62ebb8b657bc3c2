#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/process.h"

namespace linnet {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;

}  // namespace

struct ServerMetrics::Impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = BuildCounter()
                                                          .Name("linnet_http_requests_total")
                                                          .Help("Requests by route and status")
                                                          .Register(registry);
  prometheus::Family<prometheus::Histogram>& seconds =
      prometheus::BuildHistogram()
          .Name("linnet_http_request_seconds")
          .Help("Time from the header to the end of the answer")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& now =
      BuildGauge().Name("linnet_answers").Help("Answers by what they do now").Register(registry);
  prometheus::Family<prometheus::Counter>& ended =
      BuildCounter().Name("linnet_answers_total").Help("Answers by how they ended").Register(registry);
  prometheus::Family<prometheus::Counter>& tokens =
      BuildCounter()
          .Name("linnet_tokens_total")
          .Help("Tokens of prompts read and known already, and tokens written")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& steps =
      BuildCounter().Name("linnet_steps_total").Help("Calls of the decoder").Register(registry);
  prometheus::Family<prometheus::Gauge>& connections =
      BuildGauge().Name("linnet_connections").Help("Open connections").Register(registry);
  prometheus::Family<prometheus::Gauge>& memory =
      BuildGauge().Name("linnet_resident_bytes").Help("Memory that the process holds").Register(registry);
};

ServerMetrics::ServerMetrics() : impl_(std::make_unique<Impl>()) {}
ServerMetrics::~ServerMetrics() = default;

void ServerMetrics::Count(const std::string& route, int status, double seconds) {
  impl_->requests.Add({{"route", route}, {"status", std::to_string(status)}}).Increment();
  static const prometheus::Histogram::BucketBoundaries kSeconds = {0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300};
  impl_->seconds.Add({{"route", route}}, kSeconds).Observe(seconds);
}

std::string ServerMetrics::Text(const AnswerCounts& counts, int64_t connections) {
  using Labels = std::map<std::string, std::string>;
  const auto gauge = [](auto& family, const Labels& labels, int64_t value) {
    family.Add(labels).Set(static_cast<double>(value));
  };
  const auto counter = [](auto& family, const Labels& labels, int64_t value) {
    auto& one = family.Add(labels);
    one.Increment(static_cast<double>(value) - one.Value());
  };
  gauge(impl_->now, {{"state", "waiting"}}, counts.waiting);
  gauge(impl_->now, {{"state", "reading"}}, counts.reading);
  gauge(impl_->now, {{"state", "writing"}}, counts.writing);
  counter(impl_->ended, {{"kind", "written"}}, counts.answers);
  counter(impl_->ended, {{"kind", "failed"}}, counts.failed);
  counter(impl_->ended, {{"kind", "cancelled"}}, counts.cancelled);
  counter(impl_->tokens, {{"kind", "read"}}, counts.prompt_tokens);
  counter(impl_->tokens, {{"kind", "reused"}}, counts.reused_tokens);
  counter(impl_->tokens, {{"kind", "written"}}, counts.written_tokens);
  counter(impl_->steps, {}, counts.steps);
  gauge(impl_->connections, {}, connections);
  gauge(impl_->memory, {}, static_cast<int64_t>(ResidentBytes()));
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace linnet
