#include "runtime/generate.h"

#include <memory>
#include <utility>

#include "runtime/engine_impl.h"
#include "runtime/scheduler.h"
#include "runtime/turn.h"

namespace linnet {

void Tell(Turn& turn, const GenerateHooks& hooks) {
  for (const TurnEvent& event : turn.TakeEvents()) {
    switch (event.kind) {
      case TurnEvent::Kind::kThought:
        if (hooks.on_thought) hooks.on_thought(event.text);
        break;
      case TurnEvent::Kind::kText:
        if (hooks.on_text) hooks.on_text(event.text);
        break;
      case TurnEvent::Kind::kToolCall:
        if (hooks.on_tool_call) hooks.on_tool_call(event.call);
        break;
      case TurnEvent::Kind::kCallPart:
        break;
    }
  }
}

void Run(Session& session, Turn& turn, const GenerateHooks& hooks) {
  Session::Impl& s = session.impl();
  const SchedulerOptions sizes{.turns = 1, .prompt_rows = s.cache.rows_per_call()};
  turn.impl().FailUnless([&]() -> Status {
    s.Reserve(WantedRows(1));
    return {};
  });
  Turn* const all[] = {&turn};
  Turn* in_step[1];
  while (!turn.done()) {
    const bool reading = turn.reading();
    RunTurns(s.engine, s.step, {all, in_step}, sizes);
    if (reading && hooks.on_prompt) hooks.on_prompt(turn.fraction_read(), "reading the prompt");
    Tell(turn, hooks);
  }
}

Result<Generation> Continue(Engine& engine, Session& session, std::span<const int32_t> ids,
                            const GenerateOptions& options, const GenerateHooks& hooks) {
  LINNET_ASSIGN(const std::unique_ptr<Turn> turn, Turn::Begin(engine, session, ids, options, hooks.cancel));
  Run(session, *turn, hooks);
  return turn->Finish();
}

}  // namespace linnet
