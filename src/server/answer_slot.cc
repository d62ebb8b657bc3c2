#include "server/answer_slot.h"

#include <span>
#include <utility>

#include "base/memory_guard.h"
#include "runtime/engine_impl.h"
#include "runtime/turn.h"

namespace linnet {

Result<std::unique_ptr<AnswerSlot>> AnswerSlot::Create(Engine& engine, const SessionOptions& options) {
  LINNET_ASSIGN(std::unique_ptr<Session> session, engine.NewSession(options));
  return std::make_unique<AnswerSlot>(engine, std::move(session));
}

Result<Turn*> AnswerSlot::Begin(AnswerJobPtr job) {
  return WithinMemory(kAnswer, kShorten, [&]() -> Result<Turn*> {
    const PreparedPrompt& prepared = job->request().prepared;
    Prompt rest = *prepared.prompt;
    LINNET_ASSIGN(PrefixReuse::Reused reused, reuse_.Reuse(*prepared.key, rest, prepared.parts));
    auto begun = BeginTurn(engine_, *session_,
                           {.prompt = std::make_shared<const Prompt>(std::move(rest)),
                            .earlier = reuse_.held().ids,
                            .inside_thought = prepared.inside_thought,
                            .plain = !prepared.history,
                            .cancel = &job->cancelled(),
                            .stops = std::move(reused.stops),
                            .reused = reused.tokens,
                            .dropped = reused.dropped},
                           job->request().options);
    if (!begun) {
      reuse_.HoldWhatWasRead();
      return std::unexpected(begun.error());
    }
    turn_ = std::move(*begun);
    job_ = std::move(job);
    return turn_.get();
  });
}

Result<Generation> AnswerSlot::End() {
  turn_->Cancel();  // if it is not done
  Result<Generation> answer = WithinMemory(kAnswer, kShorten, [&] { return turn_->Finish(); });
  turn_.reset();
  const AnswerJobPtr job = std::exchange(job_, nullptr);
  if (!answer) {
    reuse_.HoldWhatWasRead();
    return answer;
  }
  reuse_.EndTurn(std::span(answer->ids).first(static_cast<size_t>(answer->stats.decode_steps)));
  if (job->request().prepared.history && engine_.impl().prefixes.cap() > 0) {
    (void)WithinMemory(kAnswer, kShorten, [&]() -> Status {  // without it the next prompt is read again
      ChatHistory& history = *job->request().prepared.history;
      // As a client sends it back: what it says, not the tokens.
      history.AddAnswer({.thought = answer->thought, .text = answer->text, .tool_calls = answer->tool_calls});
      if (!history.AwaitsToolResult()) history.AddUser({});
      LINNET_ASSIGN(const ChatHistory::Rendered next,
                    history.Render(*engine_.impl().tokenizer, engine_.impl().config));
      reuse_.KeepEnd(SharedLength(reuse_.held(), linnet::KeyOf(next.prompt, engine_.impl().config.audio)));
      return {};
    });
  }
  return answer;
}

TextState& AnswerSlot::BeginState(std::vector<int32_t> ids) {
  reuse_.ForgetTurn();
  reuse_.SetHeld({});
  state_ = std::make_unique<TextState>(*session_, std::move(ids));
  return *state_;
}

}  // namespace linnet
