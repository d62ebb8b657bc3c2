#include "runtime/conversation.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/memory_guard.h"
#include "linnet/session.h"
#include "runtime/chat_history.h"
#include "runtime/context_use.h"
#include "runtime/engine_impl.h"
#include "runtime/full_context.h"
#include "runtime/generate.h"
#include "runtime/media_composer.h"
#include "runtime/prefix_key.h"
#include "runtime/prefix_reuse.h"
#include "runtime/turn.h"
#include "text/chat_format.h"
#include "text/tokenizer.h"

namespace linnet {

namespace {

// How much of a prompt lies before a place between two media blocks.
struct Cut {
  int64_t tokens = 0;
  int64_t images = 0, clips = 0;
};

// The last such place at or before `length`.
Cut CutAt(const Prompt& prompt, int64_t length) {
  Cut cut;
  const int64_t size = static_cast<int64_t>(prompt.ids.size());
  while (cut.tokens < std::min(length, size)) {
    const TokenType type = prompt.types[static_cast<size_t>(cut.tokens)];
    int64_t end = cut.tokens + 1;
    if (type == TokenType::kAudio) {
      while (end < size && prompt.types[static_cast<size_t>(end)] == type)
        ++end;  // markers stand between clips
    } else if (type != TokenType::kText) {
      end = cut.tokens + prompt.images[static_cast<size_t>(cut.images)].rows;
    }
    if (end > length) break;
    if (type == TokenType::kAudio) ++cut.clips;
    if (type == TokenType::kImage || type == TokenType::kVideo) ++cut.images;
    cut.tokens = end;
  }
  return cut;
}

void Drop(Prompt& prompt, const Cut& cut) {
  prompt.ids.erase(prompt.ids.begin(), prompt.ids.begin() + cut.tokens);
  prompt.types.erase(prompt.types.begin(), prompt.types.begin() + cut.tokens);
  prompt.images.erase(prompt.images.begin(), prompt.images.begin() + cut.images);
  prompt.clips.erase(prompt.clips.begin(), prompt.clips.begin() + cut.clips);
}

}  // namespace

struct LINNET_HIDDEN ChatPoint::Impl {
  ChatHistory history;
};

struct LINNET_HIDDEN Conversation::Impl {
  Impl(Engine& the_engine, std::unique_ptr<Session> the_session, ChatHistory the_history)
      : engine(the_engine),
        session(std::move(the_session)),
        history(std::move(the_history)),
        reuse(*session) {}

  Engine& engine;
  std::unique_ptr<Session> session;
  ChatHistory history;
  WhenFull when_full = WhenFull::kRefuse;
  std::optional<ContextShift> shift;     // of the turn
  std::optional<ChatHistory> unshifted;  // what was said before that, to come back to
  PrefixReuse reuse;                     // what the session holds
  SamplingOptions sampling;              // of the last answer
  std::unique_ptr<Turn> turn;            // the answer in the making

  Result<ChatHistory::Rendered> Render() const {
    return history.Render(*engine.impl().tokenizer, engine.impl().config);
  }
  FullContext Fuller(int64_t max_tokens) const {
    return {*engine.impl().tokenizer,
            engine.impl().config,
            {.context = session->context(), .max_tokens = max_tokens, .when_full = when_full}};
  }
  Status MakeRoom(ChatHistory::Rendered& all, const GenerateOptions& options, const GenerateHooks& hooks);
  Result<std::string> Summary(const ChatHistory& asked, const GenerateOptions& options,
                              const GenerateHooks& hooks);
  struct WayBack;
  Status CheckTurn(int64_t number) const;
  Status Start(ChatHistory::Rendered all, const GenerateOptions& options, const std::atomic<bool>* cancel);
  Result<Generation> Stop();
  Status Begin(const GenerateOptions& options, const GenerateHooks& hooks);
  Result<Generation> End();
};

// Takes back what was added to a history for a while.
class AddedMessages {
 public:
  explicit AddedMessages(ChatHistory& history) : history_(history), before_(history.messages().size()) {}
  ~AddedMessages() {
    while (history_.messages().size() > before_) history_.DropLast();
  }
  AddedMessages(const AddedMessages&) = delete;
  AddedMessages& operator=(const AddedMessages&) = delete;

 private:
  ChatHistory& history_;
  size_t before_;
};

// What is rendered then is what stays. A failure leaves the messages as they were.
Status Conversation::Impl::MakeRoom(ChatHistory::Rendered& all, const GenerateOptions& options,
                                    const GenerateHooks& hooks) {
  const auto summarise = [&](const ChatHistory& asked, int64_t max_tokens) {
    return Summary(asked, {.sampling = options.sampling, .max_tokens = max_tokens, .draft = options.draft},
                   hooks);
  };
  LINNET_ASSIGN(
      std::optional<Shifted> shifted,
      Fuller(options.max_tokens).MakeRoom(history, static_cast<int64_t>(all.prompt.ids.size()), summarise));
  if (!shifted) return {};
  if (!unshifted) unshifted = history;
  history = std::move(shifted->history);
  all = std::move(shifted->rendered);
  shift = std::move(shifted->shift);
  return {};
}

Result<std::string> Conversation::Impl::Summary(const ChatHistory& asked, const GenerateOptions& options,
                                                const GenerateHooks& hooks) {
  unshifted = history;
  history = asked;
  const auto write = [&]() -> Result<Generation> {
    LINNET_ASSIGN(ChatHistory::Rendered all, Render());
    LINNET_TRY(Start(std::move(all), options, hooks.cancel));
    GenerateHooks reading;
    reading.on_prompt = [&](double fraction, std::string_view) {
      if (hooks.on_prompt) hooks.on_prompt(fraction, "reading what is to be summarised");
    };
    try {
      Run(*session, *turn, reading);
    } catch (...) {  // the hook
      (void)Stop();
      throw;
    }
    return Stop();
  };
  LINNET_ASSIGN(const Generation written, write());
  history = *unshifted;
  // Half a summary that somebody stopped is none.
  if (written.finish == FinishReason::kCancelled) return Fail(ErrorCode::kCancelled, "stopped");
  return written.text;
}

// Where no answer is in the making any more, what made room for it comes back.
struct Conversation::Impl::WayBack {
  Impl& impl;
  ~WayBack() {
    if (impl.turn == nullptr && impl.unshifted) {
      impl.history = *std::exchange(impl.unshifted, std::nullopt);
    }
  }
};

Result<Conversation> Conversation::Create(Engine& engine, const SessionOptions& options,
                                          const ChatSetup& setup) {
  return WithinMemory("a conversation", "give it a shorter --context, or close other programs",
                      [&] { return Make(engine, options, setup); });
}

Result<Conversation> Conversation::Make(Engine& engine, const SessionOptions& options,
                                        const ChatSetup& setup) {
  ChatHistory::Json tools;
  if (!setup.tools.empty()) {
    tools = ChatHistory::Json::parse(setup.tools, nullptr, false);
    if (!tools.is_array()) {
      return Fail(ErrorCode::kInvalidArgument, "the tools are not a JSON list",
                  R"(give [{"type": "function", "function": {"name": …, "parameters": {…}}}, …])");
    }
    LINNET_TRY(RenderChat({{{"role", "user"}, {"content", ""}}}, tools, {}));  // names the tool that is wrong
  }
  LINNET_ASSIGN(std::unique_ptr<Session> session, engine.NewSession(options));
  ChatHistory history(setup.system, std::move(tools), setup.thinking);
  auto impl = std::make_unique<Impl>(engine, std::move(session), std::move(history));
  impl->when_full = setup.when_full;
  return Conversation(std::move(impl));
}

Conversation::Conversation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Conversation::Conversation(Conversation&&) noexcept = default;
Conversation& Conversation::operator=(Conversation&&) noexcept = default;
Conversation::~Conversation() = default;

void Conversation::AddUser(UserMessage message) { impl_->history.AddUser(std::move(message)); }

Result<MediaRoom> Conversation::Room(const UserMessage& message) {
  return WithinMemory("a message", "shorten it, or close other programs", [&]() -> Result<MediaRoom> {
    const AddedMessages added(impl_->history);
    impl_->history.AddUser(message);
    LINNET_ASSIGN(const ChatHistory::Rendered all, impl_->Render());
    MediaRoom room{impl_->session->context(), static_cast<int64_t>(all.prompt.ids.size())};
    if (impl_->when_full != WhenFull::kRefuse) {
      LINNET_ASSIGN(const int64_t alone, impl_->Fuller(0).LastTurnAlone(impl_->history));
      room.can_go = room.taken - alone;
    }
    return room;
  });
}

Result<std::vector<MediaUse>> Conversation::Attach(const MediaLoader& loader, std::vector<MediaPart> parts,
                                                   UserMessage& message) {
  LINNET_ASSIGN(const MediaRoom room, Room(message));
  return AddMedia(loader, impl_->engine.impl().config, room, std::move(parts), message);
}

Result<double> Conversation::RoomForSound(const UserMessage& message) {
  LINNET_ASSIGN(const MediaRoom room, Room(message));
  return linnet::RoomForSound(impl_->engine.impl().config, room);
}

bool Conversation::AwaitsToolResult() const { return impl_->history.AwaitsToolResult(); }
void Conversation::AddToolResult(const std::string& result) { impl_->history.AddToolResult(result); }

Status Conversation::Impl::Start(ChatHistory::Rendered all, const GenerateOptions& options,
                                 const std::atomic<bool>* cancel) {
  sampling = options.sampling;
  PrefixKey key = KeyOf(all.prompt, engine.impl().config.audio);
  const int64_t parts = PartsFrom(engine, history, key, false).value_or(0);
  LINNET_ASSIGN(turn, reuse.Begin(engine, *session,
                                  {.prompt = std::move(all.prompt),
                                   .key = std::move(key),
                                   .parts = parts,
                                   .inside_thought = all.inside_thought,
                                   .cancel = cancel},
                                  options));
  return {};
}

Result<Generation> Conversation::Impl::Stop() {
  Result<Generation> answer = reuse.End(*turn);
  turn.reset();
  return answer;
}

Status Conversation::Impl::Begin(const GenerateOptions& options, const GenerateHooks& hooks) {
  shift.reset();
  const WayBack way_back{*this};
  LINNET_ASSIGN(ChatHistory::Rendered all, Render());
  LINNET_TRY(MakeRoom(all, options, hooks));
  return Start(std::move(all), options, hooks.cancel);
}

Result<Generation> Conversation::Impl::End() {
  const WayBack way_back{*this};
  Result<Generation> answer = Stop();
  if (!answer) return answer;
  history.AddAnswer(*answer);
  unshifted.reset();
  answer->shift = shift;
  if (engine.impl().prefixes.cap() == 0) return answer;
  (void)WithinMemory(kAnswer, kShorten, [&]() -> Status {  // without it the next prompt is read again
    LINNET_ASSIGN(const int64_t parts, PartsFrom(engine, history, reuse.held(), true));
    reuse.KeepEnd(parts);
    return {};
  });
  return answer;
}

Result<Turn*> Conversation::Begin(const GenerateOptions& options, const std::atomic<bool>* cancel) {
  return BeginWith(options, {.cancel = cancel});
}

Result<Turn*> Conversation::BeginWith(const GenerateOptions& options, const GenerateHooks& hooks) {
  LINNET_CHECK(impl_->turn == nullptr);
  LINNET_TRY(WithinMemory(kAnswer, kShorten, [&] { return impl_->Begin(options, hooks); }));
  return impl_->turn.get();
}

Result<Generation> Conversation::End() {
  LINNET_CHECK(impl_->turn != nullptr);
  return WithinMemory(kAnswer, kShorten, [&] { return impl_->End(); });
}

Result<Generation> Conversation::Answer(const GenerateOptions& options, const GenerateHooks& hooks) {
  LINNET_ASSIGN(Turn * turn, BeginWith(options, hooks));
  try {
    if (impl_->shift && hooks.on_shift) hooks.on_shift(*impl_->shift);
    Run(*impl_->session, *turn, hooks);
  } catch (...) {  // a hook: the answer ends where it is
    (void)End();
    throw;
  }
  return End();
}

const std::optional<ContextShift>& Conversation::shift() const { return impl_->shift; }

void Conversation::DropUnanswered() {
  if (impl_->history.unanswered()) impl_->history.DropLast();
}

void Conversation::Reset() {
  impl_->reuse.ForgetTurn();
  impl_->history.Clear();
}

void Conversation::SetSystem(const std::string& system) {
  impl_->reuse.ForgetTurn();
  impl_->history.SetSystem(system);
}

int64_t Conversation::turns() const { return static_cast<int64_t>(impl_->history.TurnBegins().size()); }

Status Conversation::Impl::CheckTurn(int64_t number) const {
  const auto turns = static_cast<int64_t>(history.TurnBegins().size());
  if (number >= 1 && number <= turns) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("there is no turn {}", number),
              turns == 0 ? "nothing has been said yet" : fmt::format("the turns are 1 to {}", turns));
}

Result<UserMessage> Conversation::Asked(int64_t turn) const {
  LINNET_TRY(impl_->CheckTurn(turn));
  return MessageAt(impl_->history, impl_->history.TurnBegins()[static_cast<size_t>(turn - 1)]);
}

Status Conversation::DropTurns(int64_t first) {
  LINNET_TRY(impl_->CheckTurn(first));
  impl_->history.DropTurnsFrom(static_cast<size_t>(first - 1));
  return {};
}

ChatPoint Conversation::Point() const {
  return ChatPoint(std::make_shared<const ChatPoint::Impl>(ChatPoint::Impl{impl_->history}));
}

void Conversation::GoTo(const ChatPoint& point) { impl_->history = point.impl().history; }

Result<ContextUse> Conversation::Use(const UserMessage& next) const {
  return WithinMemory("counting the context", "close other programs", [&]() -> Result<ContextUse> {
    const Engine::Impl& engine = impl_->engine.impl();
    const bool given = !next.text.empty() || !next.pictures.empty() || !next.sounds.empty();
    ChatHistory all = impl_->history;
    if (given) all.AddUser(next);
    LINNET_ASSIGN(ContextUse use, CountUse(all, *engine.tokenizer, engine.config));
    if (given) {
      use.next = use.turns.back().tokens;
      use.turns.pop_back();
    }
    use.context = impl_->session->context();
    use.answer_room = AnswerRoom(use.context, 0);
    return use;
  });
}

void Conversation::SetWhenFull(WhenFull when_full) { impl_->when_full = when_full; }
WhenFull Conversation::when_full() const { return impl_->when_full; }

void Conversation::SetThinking(bool thinking) { impl_->history.SetThinking(thinking); }
bool Conversation::thinking() const { return impl_->history.thinking(); }
int64_t Conversation::length() const { return impl_->session->length(); }
int64_t Conversation::context() const { return impl_->session->context(); }

ConversationParts PartsOf(Conversation& conversation) {
  Conversation::Impl& impl = *conversation.impl_;
  return {impl.engine, *impl.session, impl.history, impl.reuse, impl.sampling};
}

Result<int64_t> PartsFrom(const Engine& engine, ChatHistory& history, const PrefixKey& key, bool answered) {
  const Engine::Impl& impl = engine.impl();
  if (impl.prefixes.cap() == 0) return 0;
  const AddedMessages added(history);
  if (!answered) history.AddAnswer({.text = "-"});
  if (!history.AwaitsToolResult()) history.AddUser({});
  LINNET_ASSIGN(const ChatHistory::Rendered next, history.Render(*impl.tokenizer, impl.config));
  return SharedLength(key, KeyOf(next.prompt, impl.config.audio));
}

Session& SessionOf(Conversation& conversation) { return PartsOf(conversation).session; }
ChatHistory& HistoryOf(Conversation& conversation) { return PartsOf(conversation).history; }

int64_t DropPrefix(Prompt& prompt, int64_t length) {
  const Cut cut = CutAt(prompt, length);
  Drop(prompt, cut);
  return cut.tokens;
}

}  // namespace linnet
