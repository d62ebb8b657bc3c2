#include "server/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/memory_guard.h"
#include "runtime/conversation.h"
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

// What two rules allow.
class BothMasks : public TokenMask {
 public:
  BothMasks(std::unique_ptr<TokenMask> first, std::unique_ptr<TokenMask> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  void Begin(const AnswerStart& start) override { first_->Begin(start), second_->Begin(start); }
  AllowedWords Allowed() override {
    const AllowedWords first = first_->Allowed(), second = second_->Allowed();
    if (first.empty() || second.empty()) return first.empty() ? second : first;
    both_.resize(std::min(first.size(), second.size()));
    std::ranges::transform(first, second, both_.begin(), std::bit_and());
    return both_;
  }
  void Advance(int32_t id) override { first_->Advance(id), second_->Advance(id); }
  void RollBack(int64_t tokens) override { first_->RollBack(tokens), second_->RollBack(tokens); }
  bool Endless() const override { return first_->Endless() || second_->Endless(); }
  const Error* error() const override {
    return first_->error() != nullptr ? first_->error() : second_->error();
  }
  void Prepare(std::span<const int32_t> drafts) override {
    first_->Prepare(drafts), second_->Prepare(drafts);
  }

 private:
  std::unique_ptr<TokenMask> first_, second_;
  std::vector<uint32_t> both_;
};

}  // namespace

void AnswerRequest::Hold(std::unique_ptr<TokenMask> rule) {
  if (rule == nullptr) return;
  if (mask != nullptr) rule = std::make_unique<BothMasks>(std::move(mask), std::move(rule));
  mask = std::move(rule);
  options.mask = mask.get();
}

Result<PreparedPrompt> Prepare(Engine& engine, ChatHistory history, int64_t context) {
  return WithinMemory(kPrompt, kLess, [&]() -> Result<PreparedPrompt> {
    const Engine::Impl& impl = engine.impl();
    LINNET_ASSIGN(ChatHistory::Rendered now, history.Render(*impl.tokenizer, impl.config));
    LINNET_TRY(CheckRoom(static_cast<int64_t>(now.prompt.ids.size()), context));
    PreparedPrompt prepared;
    prepared.key = std::make_shared<const PrefixKey>(linnet::KeyOf(now.prompt, impl.config.audio));
    LINNET_ASSIGN(prepared.parts, PartsFrom(engine, history, *prepared.key, false));
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
