#include "eval/scoring.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "runtime/engine_impl.h"

namespace linnet {

void ScoringSession::Recorder::See(std::string_view name, int64_t, Rows rows) {
  if (name != "logits") return;
  values.clear();
  for (int64_t r = 0; r < rows.rows; ++r) values.insert(values.end(), rows.row(r), rows.row(r) + rows.width);
}

Result<ScoringSession> ScoringSession::Open(Engine& engine, int64_t context, KvType kv) {
  SessionOptions options;
  options.kv = kv;
  options.context = context;
  options.rows_per_call = kRows;
  ScoringSession scoring;
  scoring.recorder_ = std::make_unique<Recorder>();
  LINNET_ASSIGN(scoring.session_, engine.NewSession(options));
  scoring.session_->impl().probe = scoring.recorder_.get();
  scoring.session_->impl().all_logits = true;
  return scoring;
}

Result<Rows> ScoringSession::Feed(std::span<const int32_t> ids) {
  LINNET_CHECK(static_cast<int64_t>(ids.size()) <= kRows);
  LINNET_TRY(session_->Feed(ids));
  const int64_t rows = static_cast<int64_t>(ids.size());
  return MakeRows(recorder_->values.data(), rows, static_cast<int64_t>(recorder_->values.size()) / rows);
}

Status ScoringSession::Skip(std::span<const int32_t> ids) {
  if (ids.empty()) return {};
  session_->impl().all_logits = false;
  const Status status = session_->Feed(ids);
  session_->impl().all_logits = true;
  return status;
}

double LogSumExp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  return largest + std::log(sum);
}

int32_t Argmax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double KlDivergence(std::span<const float> reference, std::span<const float> tested) {
  LINNET_CHECK(reference.size() == tested.size());
  const double reference_sum = LogSumExp(reference), tested_sum = LogSumExp(tested);
  double divergence = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_sum;
    const double p = std::exp(log_p);
    if (p > 0) divergence += p * (log_p - (tested[i] - tested_sum));
  }
  return std::max(divergence, 0.0);  // rounding can leave a little below zero
}

}  // namespace linnet
