// A sequence of the engine in which one answer after the other is written.
#pragma once

#include <memory>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/session.h"
#include "linnet/turn.h"
#include "model/kv_cache.h"
#include "runtime/prefix_reuse.h"
#include "server/answer.h"
#include "server/text_state.h"

namespace linnet {

// Thread safety: the engine's thread.
class AnswerSlot {
 public:
  // Of resolved options; its pages come from what others have room for. Errors: those of Engine::NewSession.
  static Result<std::unique_ptr<AnswerSlot>> Create(Engine& engine, const SessionOptions& options);
  AnswerSlot(Engine& engine, std::unique_ptr<Session> session)
      : engine_(engine), session_(std::move(session)), reuse_(*session_) {}

  // How much of a prompt it holds already.
  int64_t Holds(const PrefixKey& prompt) const { return SharedLength(reuse_.held(), prompt); }
  int64_t context() const { return session_->context(); }
  const AnswerJobPtr& job() const { return job_; }
  Turn* turn() const { return turn_.get(); }
  bool busy() const { return turn_ != nullptr || state_ != nullptr; }

  // Pages of the cache that a request can come to hold, at most: its prompt and all that may follow.
  int64_t PagesFor(const AnswerRequest& request) const;
  // Likewise of what it does now; where it is not busy, of what it still holds.
  int64_t pages() const { return busy() ? most_pages_ : KvCache::PagesOf(session_->length()); }
  // Lets go of what it holds. REQUIRES: not busy.
  void Forget();
  // The larger, the later it was used.
  int64_t used() const { return used_; }
  void set_used(int64_t used) { used_ = used; }

  // REQUIRES: no answer is being written. Errors: those of BeginTurn.
  Result<Turn*> Begin(AnswerJobPtr job);
  // Ends it where it is. What it has read stays for those that come after it.
  Result<Generation> End();

  // Reads a text for its state instead, and will read others that take at most so many pages. What it has
  // read before is gone. REQUIRES: not busy.
  TextState& BeginState(std::vector<int32_t> ids, int64_t most_pages);
  TextState* state() const { return state_.get(); }
  void EndState() { state_.reset(); }

 private:
  Engine& engine_;
  std::unique_ptr<Session> session_;
  PrefixReuse reuse_;
  AnswerJobPtr job_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<TextState> state_;
  int64_t most_pages_ = 0;  // of the answer or the state
  int64_t used_ = 0;
};

}  // namespace linnet
