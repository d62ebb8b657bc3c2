// A sequence of the engine in which one answer after the other is written.
#pragma once

#include <memory>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/session.h"
#include "linnet/turn.h"
#include "runtime/prefix_reuse.h"
#include "server/answer.h"
#include "server/text_state.h"

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
  bool busy() const { return turn_ != nullptr || state_ != nullptr; }

  // REQUIRES: no answer is being written. Errors: those of BeginTurn.
  Result<Turn*> Begin(AnswerJobPtr job);
  // Ends it where it is. What it has read stays for those that come after it.
  Result<Generation> End();

  // Reads a text for its state instead. What it has read before is gone. REQUIRES: not busy.
  TextState& BeginState(std::vector<int32_t> ids);
  TextState* state() const { return state_.get(); }
  void EndState() { state_.reset(); }

 private:
  Engine& engine_;
  std::unique_ptr<Session> session_;
  PrefixReuse reuse_;
  AnswerJobPtr job_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<TextState> state_;
};

}  // namespace linnet
