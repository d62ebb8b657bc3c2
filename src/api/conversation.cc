#include "api/handles.h"

namespace linnet::api {
namespace {

static_assert(static_cast<int>(FinishReason::kStop) == LINNET_FINISH_STOP);
static_assert(static_cast<int>(FinishReason::kToolCall) == LINNET_FINISH_TOOL_CALL);
static_assert(static_cast<int>(FinishReason::kRepetition) == LINNET_FINISH_REPETITION);
static_assert(static_cast<int>(WhenFull::kSummarise) == LINNET_FULL_SUMMARISE);

Result<std::unique_ptr<linnet_conversation>> Create(linnet_engine* engine,
                                                    const linnet_conversation_options* given) {
  if (engine == nullptr) return Wrong("a conversation without a model");
  LINNET_ASSIGN(const auto options, Given<linnet_conversation_options>(given, LINNET_CONVERSATION_OPTIONS));
  constexpr KvType kTypes[] = {KvType::kBf16, KvType::kF32, KvType::kInt8};
  const auto kv = static_cast<size_t>(options.kv);
  if (kv >= std::size(kTypes)) return Wrong("kv " + std::to_string(kv), "choose a linnet_kv_type");
  const int64_t when_full = options.when_full;
  if (when_full < LINNET_FULL_REFUSE || when_full > LINNET_FULL_SUMMARISE) {
    return Wrong("when_full " + std::to_string(when_full), "choose a linnet_when_full");
  }
  SessionOptions session;
  session.context = options.context;
  session.kv = kTypes[kv];
  LINNET_ASSIGN(auto conversation, Conversation::Create(*engine->model->engine, session,
                                                        {.system = OrEmpty(options.system),
                                                         .tools = OrEmpty(options.tools),
                                                         .thinking = options.thinking != 0,
                                                         .when_full = static_cast<WhenFull>(when_full)}));
  return std::make_unique<linnet_conversation>(engine->model, std::move(conversation));
}

// Whether something may be done with it now.
Status CheckFree(const linnet_conversation* conversation) {
  if (conversation == nullptr) return Wrong("no conversation");
  if (conversation->turn != nullptr || conversation->writing) {
    return Wrong("this conversation is writing an answer", "wait for its end");
  }
  return {};
}

GenerateOptions Generating(const linnet_answer_options& options) {
  GenerateOptions generate;
  // What is no number is not below 0: it is refused where the options are checked.
  if (!(options.temperature < 0)) generate.sampling.temperature = options.temperature;
  if (options.top_k >= 0) generate.sampling.top_k = options.top_k;
  if (!(options.top_p < 0)) generate.sampling.top_p = options.top_p;
  generate.sampling.seed = options.seed;
  generate.max_tokens = options.max_tokens;
  for (const char* const* stop = options.stop; stop != nullptr && *stop != nullptr; ++stop) {
    generate.stop.emplace_back(*stop);
  }
  return generate;
}

Status AddUser(linnet_conversation& c, const char* text) {
  UserMessage message;
  message.text = text;
  std::vector<MediaPart> parts = std::exchange(c.parts, {});
  if (!parts.empty()) {
    LINNET_ASSIGN(const std::vector<MediaUse> uses,
                  c.conversation.Attach(c.model->Loader(), std::move(parts), message));
    for (const MediaUse& use : uses) {
      for (const std::string& note : use.notes) Log(use.file + ": " + note);
    }
  }
  c.conversation.AddUser(std::move(message));
  return {};
}

Status Answer(linnet_conversation& c, const linnet_answer_options& options) {
  const linnet_conversation::Writing writing(c);
  const GenerateOptions generate = Generating(options);
  c.on_event = options.on_event;
  c.user = options.user;
  return c.Keep(c.conversation.Answer(generate, c.Hooks()));
}

}  // namespace
}  // namespace linnet::api

using linnet::Status;
using linnet::api::Guarded;
using linnet::api::GuardedValue;
using linnet::api::Wrong;

void linnet_conversation::Tell(linnet_event event) noexcept {
  if (on_event == nullptr || thrown) return;
  try {
    if (on_event(&event, user) != 0) cancel = true;
  } catch (...) {
    cancel = thrown = true;
  }
}

void linnet_conversation::TellPiece(linnet_event_kind kind, std::string_view piece) noexcept {
  try {
    const std::string text_now(piece);
    Tell({.kind = kind, .text = text_now.c_str()});
  } catch (...) {  // no memory
    cancel = thrown = true;
  }
}

void linnet_conversation::TellCall(const linnet::ToolCall& call) noexcept {
  Tell({.kind = LINNET_TOOL_CALL, .text = call.arguments.c_str(), .name = call.name.c_str()});
}

void linnet_conversation::TellShift(const linnet::ContextShift& shift) noexcept {
  Tell({.kind = LINNET_SHIFT,
        .text = shift.summary.empty() ? nullptr : shift.summary.c_str(),
        .turns = shift.turns,
        .tokens = shift.tokens});
}

Status linnet_conversation::Keep(linnet::Result<linnet::Generation> answer) {
  if (thrown) answer = linnet::Fail(linnet::ErrorCode::kInternal, "a callback threw, or had no memory");
  linnet_event end = {.kind = LINNET_END};
  linnet_error error = {LINNET_OK, ""};
  if (answer) {
    text = std::move(answer->text);
    finish = end.finish = static_cast<linnet_finish>(answer->finish);
  } else {
    text.clear();
    finish = end.finish = LINNET_FINISH_CANCELLED;
    end.status = linnet::api::Report(answer.error(), &error);
    end.text = error.message;
  }
  Tell(end);
  return answer ? Status() : std::unexpected(std::move(answer).error());
}

Status linnet_conversation::Begin(const linnet_answer_options& options) {
  LINNET_ASSIGN(turn, conversation.Begin(linnet::api::Generating(options), &cancel));
  on_event = options.on_event;
  user = options.user;
  if (conversation.shift()) TellShift(*conversation.shift());
  return {};
}

linnet::GenerateHooks linnet_conversation::Hooks() {
  linnet::GenerateHooks hooks;
  hooks.cancel = &cancel;
  hooks.on_thought = [this](std::string_view piece) { TellPiece(LINNET_THOUGHT, piece); };
  hooks.on_text = [this](std::string_view piece) { TellPiece(LINNET_TEXT, piece); };
  hooks.on_tool_call = [this](const linnet::ToolCall& call) { TellCall(call); };
  hooks.on_shift = [this](const linnet::ContextShift& shift) { TellShift(shift); };
  return hooks;
}

void linnet_conversation::End() {
  const Writing ending(*this);
  linnet::Tell(*turn, Hooks());
  turn = nullptr;
  scheduler = nullptr;
  (void)Keep(conversation.End());
}

linnet_conversation::~linnet_conversation() {
  if (scheduler != nullptr) scheduler->Forget(this);
}

linnet_conversation* linnet_conversation_new(linnet_engine* engine,
                                             const linnet_conversation_options* options,
                                             linnet_error* error) {
  return GuardedValue<linnet_conversation*>(nullptr, error, [&](linnet_conversation*& made) -> Status {
    LINNET_ASSIGN(auto conversation, linnet::api::Create(engine, options));
    made = conversation.release();
    return {};
  });
}

void linnet_conversation_free(linnet_conversation* conversation) { delete conversation; }

linnet_status linnet_attach_file(linnet_conversation* conversation, const char* path, linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    if (path == nullptr || *path == '\0') return Wrong("a medium without a path");
    conversation->parts.push_back({linnet::MediaSource(std::filesystem::path(path))});
    return {};
  });
}

linnet_status linnet_attach_bytes(linnet_conversation* conversation, const void* data, size_t size,
                                  const char* name, linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    if (data == nullptr) return Wrong("a medium without bytes");
    const auto* bytes = static_cast<const uint8_t*>(data);
    conversation->parts.push_back({linnet::MediaSource(std::vector<uint8_t>(bytes, bytes + size),
                                                       name == nullptr ? "a medium" : name)});
    return {};
  });
}

linnet_status linnet_add_user(linnet_conversation* conversation, const char* text, linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    if (text == nullptr) return Wrong("a message without a text");
    return linnet::api::AddUser(*conversation, text);
  });
}

linnet_status linnet_add_tool_result(linnet_conversation* conversation, const char* result,
                                     linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    if (result == nullptr) return Wrong("no result of a tool");
    if (!conversation->conversation.AwaitsToolResult())
      return Wrong("no tool was called, or all have results");
    conversation->conversation.AddToolResult(result);
    return {};
  });
}

linnet_status linnet_conversation_reset(linnet_conversation* conversation, linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    conversation->parts.clear();
    conversation->conversation.Reset();
    return {};
  });
}

linnet_status linnet_answer(linnet_conversation* conversation, const linnet_answer_options* options,
                            linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    LINNET_ASSIGN(const auto given,
                  linnet::api::Given<linnet_answer_options>(options, LINNET_ANSWER_OPTIONS));
    return linnet::api::Answer(*conversation, given);
  });
}

const char* linnet_answer_text(const linnet_conversation* conversation) {
  return conversation == nullptr ? "" : conversation->text.c_str();
}

linnet_finish linnet_answer_finish(const linnet_conversation* conversation) {
  return conversation == nullptr ? LINNET_FINISH_STOP : conversation->finish;
}

void linnet_cancel(linnet_conversation* conversation) {
  if (conversation != nullptr) conversation->cancel = true;
}

void linnet_scheduler::Forget(linnet_conversation* conversation) {
  scheduler.Remove(*conversation->turn);
  std::erase(running, conversation);
}

linnet_scheduler* linnet_scheduler_new(linnet_engine* engine, int64_t turns, linnet_error* error) {
  return GuardedValue<linnet_scheduler*>(nullptr, error, [&](linnet_scheduler*& made) -> Status {
    if (engine == nullptr) return Wrong("a scheduler without a model");
    LINNET_ASSIGN(auto scheduler, linnet::Scheduler::Create(*engine->model->engine, {.turns = turns}));
    made = new linnet_scheduler(engine->model, std::move(scheduler));
    return {};
  });
}

void linnet_scheduler_free(linnet_scheduler* scheduler) {
  (void)Guarded(nullptr, [&]() -> Status {
    while (scheduler != nullptr && !scheduler->running.empty()) {
      linnet_conversation* conversation = scheduler->running.back();
      scheduler->Forget(conversation);
      conversation->End();
    }
    return {};
  });
  delete scheduler;
}

linnet_status linnet_scheduler_add(linnet_scheduler* scheduler, linnet_conversation* conversation,
                                   const linnet_answer_options* options, linnet_error* error) {
  return Guarded(error, [&]() -> Status {
    LINNET_TRY(linnet::api::CheckFree(conversation));
    if (scheduler == nullptr || scheduler->model != conversation->model) {
      return Wrong("a scheduler of another model than the conversation's");
    }
    if (scheduler->scheduler.full())
      return Wrong("this scheduler has all its answers", "wait for one to end");
    LINNET_ASSIGN(const auto given,
                  linnet::api::Given<linnet_answer_options>(options, LINNET_ANSWER_OPTIONS));
    scheduler->running.reserve(scheduler->running.size() + 1);
    LINNET_TRY(conversation->Begin(given));
    if (const Status added = scheduler->scheduler.Add(*conversation->turn); !added) {
      conversation->on_event = nullptr;
      conversation->turn = nullptr;
      (void)conversation->conversation.End();
      return added;
    }
    conversation->scheduler = scheduler;
    scheduler->running.push_back(conversation);
    return {};
  });
}

namespace {

struct Stepping {
  explicit Stepping(linnet_scheduler& scheduler) : stepping(scheduler.stepping) { stepping = true; }
  ~Stepping() { stepping = false; }
  bool& stepping;
};

}  // namespace

int64_t linnet_scheduler_step(linnet_scheduler* scheduler, linnet_error* error) {
  return GuardedValue<int64_t>(-1, error, [&](int64_t& running) -> Status {
    if (scheduler == nullptr) return Wrong("no scheduler");
    if (scheduler->stepping) return Wrong("a step within a step", "do not step from a callback");
    const Stepping step(*scheduler);
    scheduler->scheduler.RunStep();
    for (const auto all = scheduler->running; linnet_conversation * conversation : all) {
      if (conversation->turn->done()) {
        std::erase(scheduler->running, conversation);
        conversation->End();
      } else {
        linnet::Tell(*conversation->turn, conversation->Hooks());
      }
    }
    running = static_cast<int64_t>(scheduler->running.size());
    return {};
  });
}
