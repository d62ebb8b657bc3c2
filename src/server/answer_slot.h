// A sequence of the engine in which one answer after the other is written.
#pragma once

#include <memory>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/session.h"
#include "linnet/turn.h"
#include "runtime/prefix_reuse.h"
#include "server/answer.h"

namespace linnet {

// Thread safety: the engine's thread.
class AnswerSlot {
 public:
  // Errors: those of Engine::NewSession.
  static Result<std::unique_ptr<AnswerSlot>> Create(Engine& engine, const SessionOptions& options);
  AnswerSlot(Engine& engine, std::unique_ptr<Session> session)
      : engine_(engine), session_(std::move(session)), reuse_(*session_) {}

  // How much of a prompt it holds already.
  int64_t Holds(const PrefixKey& prompt) const { return SharedLength(reuse_.held(), prompt); }
  int64_t context() const { return session_->context(); }
  const AnswerJobPtr& job() const { return job_; }
  Turn* turn() const { return turn_.get(); }

  // REQUIRES: no answer is being written. Errors: those of BeginTurn.
  Result<Turn*> Begin(AnswerJobPtr job);
  // Ends it where it is. What it has read stays for those that come after it.
  Result<Generation> End();

 private:
  Engine& engine_;
  std::unique_ptr<Session> session_;
  PrefixReuse reuse_;
  AnswerJobPtr job_;
  std::unique_ptr<Turn> turn_;
};

}  // namespace linnet
