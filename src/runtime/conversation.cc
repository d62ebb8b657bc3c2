#include "runtime/conversation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/memory_guard.h"
#include "linnet/session.h"
#include "runtime/engine_impl.h"
#include "runtime/generate.h"
#include "runtime/media_composer.h"
#include "runtime/turn.h"
#include "text/chat_format.h"
#include "text/tokenizer.h"
#include "text/tool_syntax.h"

namespace linnet {

using Json = nlohmann::ordered_json;

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

struct LINNET_HIDDEN Conversation::Impl {
  Impl(Engine& the_engine, std::unique_ptr<Session> the_session, Json the_tools)
      : engine(the_engine), session(std::move(the_session)), tools(std::move(the_tools)) {}

  Engine& engine;
  std::unique_ptr<Session> session;
  Json tools;  // a list, or null
  Json messages = Json::array();
  std::vector<MediaInput> media;     // of all messages, in the order of their places
  std::vector<size_t> media_before;  // for each message: media of the messages before it
  std::vector<WrittenTurn> written;  // for each message: its tokens, if the model wrote it
  std::vector<int32_t> held;         // the tokens that the session holds
  bool thinking = false;
  std::string system;
  std::shared_ptr<const Prompt> prompt;  // of the turn: what the session did not hold
  std::unique_ptr<Turn> turn;            // the answer in the making

  // Takes no message where there is no memory for all of it.
  void Add(Json message, std::vector<MediaInput> more = {}, WrittenTurn turn = {}) {
    media.reserve(media.size() + more.size());
    media_before.reserve(messages.size() + 1);
    written.reserve(messages.size() + 1);
    messages.push_back(std::move(message));
    media_before.push_back(media.size());
    written.push_back(std::move(turn));
    for (MediaInput& medium : more) media.push_back(std::move(medium));
  }

  void AddUser(UserMessage message);

  void DropLast() {
    ForgetMediaFrom(media_before.back());
    media.resize(media_before.back());
    media_before.pop_back();
    written.pop_back();
    messages.erase(messages.size() - 1);
  }

  void Clear() {
    ForgetMediaFrom(0);
    messages = Json::array();
    media.clear();
    media_before.clear();
    written.clear();
    if (!system.empty()) Add({{"role", "system"}, {"content", system}});
  }

  Result<Prompt> Render(bool& inside_thought) const;
  Status ReuseHeld(Prompt& prompt);
  void ForgetMediaFrom(size_t medium);
  void HoldAfterFailure();
  Status Begin(const GenerateOptions& options, const std::atomic<bool>* cancel);
  Result<Generation> End();
  void AddAnswer(const Generation& answer);
};

// The whole conversation as a prompt.
Result<Prompt> Conversation::Impl::Render(bool& inside_thought) const {
  ChatOptions options;
  if (engine.impl().config.model_type.starts_with("gemma3")) options.style = ChatStyle::kGemma3;
  options.enable_thinking = thinking;
  options.generation = ChatOptions::Generation::kAlways;
  options.written = written;
  LINNET_ASSIGN(const RenderedChat chat, RenderChat(messages, tools, options));
  inside_thought = chat.inside_thought;
  return BuildPrompt(*engine.impl().tokenizer, engine.impl().config, chat.text, media);
}

// Rolls the session back to what it shares with the prompt and leaves the rest in `prompt`. Media of earlier
// messages never change, so equal ids are equal inputs.
Status Conversation::Impl::ReuseHeld(Prompt& prompt) {
  const auto differ = std::mismatch(held.begin(), held.end(), prompt.ids.begin(), prompt.ids.end());
  const int64_t last = static_cast<int64_t>(prompt.ids.size()) - 1;  // its logits are needed
  Cut cut = CutAt(prompt, std::min<int64_t>(differ.first - held.begin(), last));
  if (!session->Truncate(cut.tokens)) {  // further back than the sliding layers remember
    LINNET_TRY(session->Truncate(0));
    cut = {};
  }
  Drop(prompt, cut);
  held.resize(static_cast<size_t>(cut.tokens));
  return {};
}

// Other media of the same size have the same tokens, so what is held ends before the first one that is given
// up: its place begins with a marker, which no text gives.
void Conversation::Impl::ForgetMediaFrom(size_t medium) {
  size_t places = 0;
  for (size_t i = 0; i < medium; ++i) {
    const auto* video = std::get_if<VideoInput>(&media[i]);
    places += video == nullptr ? 1 : video->frames.size();
  }
  const TokenIds& tokens = engine.impl().config.tokens;
  const auto given_up = std::ranges::find_if(held, [&](int32_t id) {
    return (id == tokens.begin_image || id == tokens.begin_audio) && places-- == 0;
  });
  held.erase(given_up, held.end());
}

// After an answer that was not given: the session keeps what it has read of the prompt.
void Conversation::Impl::HoldAfterFailure() {
  held.insert(held.end(), prompt->ids.begin(), prompt->ids.end());
  const int64_t length = std::min(session->length(), static_cast<int64_t>(held.size()));
  const bool kept = session->Truncate(length).has_value();
  if (!kept) (void)session->Truncate(0);
  held.resize(kept ? static_cast<size_t>(length) : 0);
}

void Conversation::Impl::AddAnswer(const Generation& answer) {
  Json message = {{"role", "assistant"}, {"content", answer.text}};
  if (!answer.thought.empty()) message["reasoning"] = answer.thought;
  for (const ToolCall& call : answer.tool_calls) {
    Json arguments = Json::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) arguments = Json::object();
    const std::string id =
        "call_" + std::to_string(messages.size()) + "_" + std::to_string(message["tool_calls"].size());
    message["tool_calls"].push_back(
        {{"id", id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  Add(std::move(message), {}, answer.written);
}

Result<Conversation> Conversation::Create(Engine& engine, const SessionOptions& options,
                                          const ChatSetup& setup) {
  return WithinMemory("a conversation", "give it a shorter --context, or close other programs",
                      [&] { return Make(engine, options, setup); });
}

Result<Conversation> Conversation::Make(Engine& engine, const SessionOptions& options,
                                        const ChatSetup& setup) {
  Json tools;
  if (!setup.tools.empty()) {
    tools = Json::parse(setup.tools, nullptr, false);
    if (!tools.is_array()) {
      return Fail(ErrorCode::kInvalidArgument, "the tools are not a JSON list",
                  R"(give [{"type": "function", "function": {"name": …, "parameters": {…}}}, …])");
    }
    LINNET_TRY(RenderChat({{{"role", "user"}, {"content", ""}}}, tools, {}));  // names the tool that is wrong
  }
  LINNET_ASSIGN(std::unique_ptr<Session> session, engine.NewSession(options));
  auto impl = std::unique_ptr<Impl>(new Impl(engine, std::move(session), std::move(tools)));
  impl->thinking = setup.thinking;
  impl->system = setup.system;
  impl->Clear();
  return Conversation(std::move(impl));
}

Conversation::Conversation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Conversation::Conversation(Conversation&&) noexcept = default;
Conversation& Conversation::operator=(Conversation&&) noexcept = default;
Conversation::~Conversation() = default;

void Conversation::AddUser(UserMessage message) { impl_->AddUser(std::move(message)); }

Result<MediaRoom> Conversation::Room(const UserMessage& message) {
  return WithinMemory("a message", "shorten it, or close other programs", [&]() -> Result<MediaRoom> {
    impl_->AddUser(message);
    struct Undo {
      Impl& impl;
      ~Undo() { impl.DropLast(); }
    } const undo{*impl_};
    bool inside_thought = false;
    LINNET_ASSIGN(const Prompt prompt, impl_->Render(inside_thought));
    return MediaRoom{impl_->session->context(), static_cast<int64_t>(prompt.ids.size())};
  });
}

void Conversation::Impl::AddUser(UserMessage message) {
  if (message.pictures.empty() && message.sounds.empty()) {
    Add({{"role", "user"}, {"content", std::move(message.text)}});
    return;
  }
  Json parts = Json::array();
  std::vector<MediaInput> media;
  for (const Medium& picture : message.pictures) {
    media.push_back(picture.impl().input);
    parts.push_back({{"type", std::holds_alternative<VideoInput>(media.back()) ? "video" : "image"}});
  }
  if (!message.text.empty()) parts.push_back({{"type", "text"}, {"text", std::move(message.text)}});
  for (const Medium& sound : message.sounds) {
    media.push_back(sound.impl().input);
    parts.push_back({{"type", "audio"}});
  }
  Add({{"role", "user"}, {"content", std::move(parts)}}, std::move(media));
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

bool Conversation::AwaitsToolResult() const {
  const Json& messages = impl_->messages;
  size_t answered = 0;
  for (auto it = messages.rbegin(); it != messages.rend(); ++it, ++answered) {
    if ((*it)["role"] != "tool") return it->contains("tool_calls") && answered < (*it)["tool_calls"].size();
  }
  return false;
}

void Conversation::AddToolResult(const std::string& result) {
  LINNET_CHECK(AwaitsToolResult());
  const Json& messages = impl_->messages;
  size_t answered = 0;
  while (messages[messages.size() - 1 - answered]["role"] == "tool") ++answered;
  const Json call = messages[messages.size() - 1 - answered]["tool_calls"][answered];
  impl_->Add({{"role", "tool"},
              {"tool_call_id", call["id"]},
              {"name", call["function"]["name"]},
              {"content", result}});
}

Status Conversation::Impl::Begin(const GenerateOptions& options, const std::atomic<bool>* cancel) {
  bool inside_thought = false;
  LINNET_ASSIGN(Prompt whole, Render(inside_thought));
  LINNET_TRY(ReuseHeld(whole));
  prompt = std::make_shared<const Prompt>(std::move(whole));
  held.reserve(held.size() + prompt->ids.size());
  auto begun = BeginTurn(
      engine, *session,
      {.prompt = prompt, .earlier = held, .inside_thought = inside_thought, .cancel = cancel}, options);
  if (!begun) HoldAfterFailure();
  if (begun) turn = std::move(*begun);
  return begun ? Status() : std::unexpected(begun.error());
}

Result<Generation> Conversation::Impl::End() {
  turn->Cancel();  // if it is not done
  auto answer = turn->Finish();
  turn.reset();
  if (!answer) {
    HoldAfterFailure();
    return answer;
  }
  held.insert(held.end(), prompt->ids.begin(), prompt->ids.end());
  held.insert(held.end(), answer->ids.begin(), answer->ids.begin() + answer->stats.decode_steps);
  AddAnswer(*answer);
  return answer;
}

Result<Turn*> Conversation::Begin(const GenerateOptions& options, const std::atomic<bool>* cancel) {
  LINNET_CHECK(impl_->turn == nullptr);
  LINNET_TRY(WithinMemory(kAnswer, kShorten, [&] { return impl_->Begin(options, cancel); }));
  return impl_->turn.get();
}

Result<Generation> Conversation::End() {
  LINNET_CHECK(impl_->turn != nullptr);
  return WithinMemory(kAnswer, kShorten, [&] { return impl_->End(); });
}

Result<Generation> Conversation::Answer(const GenerateOptions& options, const GenerateHooks& hooks) {
  LINNET_ASSIGN(Turn * turn, Begin(options, hooks.cancel));
  try {
    Run(*impl_->session, *turn, hooks);
  } catch (...) {  // a hook: the answer ends where it is
    (void)End();
    throw;
  }
  return End();
}

void Conversation::DropUnanswered() {
  const Json& messages = impl_->messages;
  if (!messages.empty() && messages.back()["role"] != "assistant" && messages.back()["role"] != "system") {
    impl_->DropLast();
  }
}

void Conversation::Reset() { impl_->Clear(); }

void Conversation::SetSystem(const std::string& system) {
  impl_->system = system;
  impl_->Clear();
}

void Conversation::SetThinking(bool thinking) { impl_->thinking = thinking; }
bool Conversation::thinking() const { return impl_->thinking; }
int64_t Conversation::length() const { return impl_->session->length(); }
int64_t Conversation::context() const { return impl_->session->context(); }

Session& SessionOf(Conversation& conversation) { return *conversation.impl_->session; }

int64_t DropPrefix(Prompt& prompt, int64_t length) {
  const Cut cut = CutAt(prompt, length);
  Drop(prompt, cut);
  return cut.tokens;
}

}  // namespace linnet
