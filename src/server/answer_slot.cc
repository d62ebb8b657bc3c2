#include "server/answer_slot.h"

#include <optional>
#include <utility>

#include "base/memory_guard.h"
#include "runtime/conversation.h"
#include "runtime/engine_impl.h"
#include "runtime/turn.h"

namespace linnet {

Result<std::unique_ptr<AnswerSlot>> AnswerSlot::Create(Engine& engine, const SessionOptions& options) {
  LINNET_ASSIGN(std::unique_ptr<Session> session, engine.impl().NewSession(options, {}));
  return std::make_unique<AnswerSlot>(engine, std::move(session));
}

int64_t AnswerSlot::PagesFor(const AnswerRequest& request) const {
  const int64_t left = context() - request.prepared.tokens();
  const int64_t written = request.options.max_tokens;
  // Guesses are read behind the last token, and taken back.
  const bool all = written == 0 || written > left - kMaxDrafts;
  return KvCache::PagesOf(all ? context() : request.prepared.tokens() + written + kMaxDrafts);
}

void AnswerSlot::Forget() {
  (void)session_->Truncate(0);  // which always works
  reuse_.SetHeld({});
}

Result<Turn*> AnswerSlot::Begin(AnswerJobPtr job) {
  return WithinMemory(kAnswer, kShorten, [&]() -> Result<Turn*> {
    const PreparedPrompt& prepared = job->request().prepared;
    most_pages_ = PagesFor(job->request());
    LINNET_ASSIGN(turn_, reuse_.Begin(engine_, *session_,
                                      {.prompt = *prepared.prompt,
                                       .key = *prepared.key,
                                       .parts = prepared.parts,
                                       .inside_thought = prepared.inside_thought,
                                       .plain = !prepared.history,
                                       .cancel = &job->cancelled()},
                                      job->request().options));
    job_ = std::move(job);
    return turn_.get();
  });
}

Result<Generation> AnswerSlot::End() {
  Result<Generation> answer = WithinMemory(kAnswer, kShorten, [&] { return reuse_.End(*turn_); });
  turn_.reset();
  const AnswerJobPtr job = std::exchange(job_, nullptr);
  std::optional<ChatHistory>& history = job->request().prepared.history;
  if (!answer || !history || engine_.impl().prefixes.cap() == 0) return answer;
  (void)WithinMemory(kAnswer, kShorten, [&]() -> Status {  // without it the next prompt is read again
    // As a client sends it back: what it says, not the tokens.
    history->AddAnswer({.thought = answer->thought, .text = answer->text, .tool_calls = answer->tool_calls});
    LINNET_ASSIGN(const int64_t parts, PartsFrom(engine_, *history, reuse_.held(), true));
    reuse_.KeepEnd(parts);
    return {};
  });
  return answer;
}

TextState& AnswerSlot::BeginState(std::vector<int32_t> ids, int64_t most_pages) {
  reuse_.ForgetTurn();
  reuse_.SetHeld({});
  most_pages_ = most_pages;
  state_ = std::make_unique<TextState>(*session_, std::move(ids));
  return *state_;
}

}  // namespace linnet
