// The logits of every position of a text, a few rows at a time, and what is measured on one row of logits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "linnet/engine.h"
#include "linnet/options.h"
#include "linnet/session.h"
#include "model/probe.h"

namespace linnet {

// A session that gives the logits of all rows. The engine must outlive it.
class ScoringSession {
 public:
  // Rows of one call. With Gemma's vocabulary the logits of that many rows take 34 MB.
  static constexpr int64_t kRows = 32;

  // Room for `context` tokens. Errors: those of Engine::NewSession.
  static Result<ScoringSession> Open(Engine& engine, int64_t context, KvType kv = KvType::kF32);

  // Appends 1 to kRows ids. The result is (ids, V), after the soft-cap and before suppression, valid until
  // the next call. Errors: those of Session::Feed.
  Result<Rows> Feed(std::span<const int32_t> ids);
  // Appends ids whose logits nobody wants; any number, also none.
  Status Skip(std::span<const int32_t> ids);

  Session& session() { return *session_; }

 private:
  // Copies the logits: suppression edits the decoder's own.
  class Recorder : public Probe {
   public:
    void See(std::string_view name, int64_t layer, Rows rows) override;
    std::vector<float> values;  // (rows, V)
  };

  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Session> session_;
};

// log(sum(exp(logits))), in double.
double LogSumExp(std::span<const float> logits);

// The id of the largest logit, the first of equals.
int32_t Argmax(std::span<const float> logits);

// KL divergence of the distribution `tested` from `reference`, in nats: sum of p (log p - log q). Both (V).
double KlDivergence(std::span<const float> reference, std::span<const float> tested);

}  // namespace linnet
