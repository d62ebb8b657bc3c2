#include "server/answer.h"

#include <fmt/format.h>

#include <utility>

#include "base/memory_guard.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

constexpr std::string_view kPrompt = "this prompt", kLess = "send a shorter one, or ask for less at once";

Status CheckRoom(int64_t tokens, int64_t context) {
  if (tokens < context) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the prompt has {} tokens and the context holds {}", tokens, context),
              "send less, or start the server with a larger --context");
}

}  // namespace

Result<PreparedPrompt> Prepare(Engine& engine, ChatHistory history, int64_t context) {
  return WithinMemory(kPrompt, kLess, [&]() -> Result<PreparedPrompt> {
    const Engine::Impl& impl = engine.impl();
    LINNET_ASSIGN(ChatHistory::Rendered now, history.Render(*impl.tokenizer, impl.config));
    LINNET_TRY(CheckRoom(static_cast<int64_t>(now.prompt.ids.size()), context));
    ChatHistory next = history;
    next.AddAnswer({.text = "-"});
    next.AddUser({});
    LINNET_ASSIGN(const ChatHistory::Rendered then, next.Render(*impl.tokenizer, impl.config));
    PreparedPrompt prepared;
    prepared.key = std::make_shared<const PrefixKey>(linnet::KeyOf(now.prompt, impl.config.audio));
    prepared.parts = SharedLength(*prepared.key, linnet::KeyOf(then.prompt, impl.config.audio));
    prepared.prompt = std::make_shared<const Prompt>(std::move(now.prompt));
    prepared.inside_thought = now.inside_thought;
    prepared.history = std::move(history);
    return prepared;
  });
}

Result<PreparedPrompt> PreparePlain(Engine& engine, Prompt prompt, int64_t context) {
  return WithinMemory(kPrompt, kLess, [&]() -> Result<PreparedPrompt> {
    LINNET_TRY(CheckRoom(static_cast<int64_t>(prompt.ids.size()), context));
    PreparedPrompt prepared;
    prepared.key = std::make_shared<const PrefixKey>(linnet::KeyOf(prompt, engine.impl().config.audio));
    prepared.parts = static_cast<int64_t>(prompt.ids.size());
    prepared.prompt = std::make_shared<const Prompt>(std::move(prompt));
    return prepared;
  });
}

}  // namespace linnet
