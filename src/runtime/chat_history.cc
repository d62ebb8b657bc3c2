#include "runtime/chat_history.h"

#include <utility>
#include <variant>

#include "base/check.h"

namespace linnet {

ChatHistory::ChatHistory(std::string system, Json tools, bool thinking)
    : system_(std::move(system)), tools_(std::move(tools)), thinking_(thinking) {
  Clear();
}

void ChatHistory::AddUser(UserMessage message) {
  if (message.pictures.empty() && message.sounds.empty()) {
    messages_.push_back({{{"role", "user"}, {"content", std::move(message.text)}}, {}, {}});
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
  messages_.push_back({{{"role", "user"}, {"content", std::move(parts)}}, std::move(media), {}});
}

void ChatHistory::AddAnswer(const Generation& answer) {
  Json message = {{"role", "assistant"}, {"content", answer.text}};
  if (!answer.thought.empty()) message["reasoning"] = answer.thought;
  for (const ToolCall& call : answer.tool_calls) {
    Json arguments = Json::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) arguments = Json::object();
    const std::string id =
        "call_" + std::to_string(messages_.size()) + "_" + std::to_string(message["tool_calls"].size());
    message["tool_calls"].push_back(
        {{"id", id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  messages_.push_back({std::move(message), {}, answer.written});
}

const ChatHistory::Json* ChatHistory::WaitingCall() const {
  size_t answered = 0;
  for (auto it = messages_.rbegin(); it != messages_.rend(); ++it, ++answered) {
    if (it->json["role"] == "tool") continue;
    const auto calls = it->json.find("tool_calls");
    return calls != it->json.end() && answered < calls->size() ? &(*calls)[answered] : nullptr;
  }
  return nullptr;
}

bool ChatHistory::AwaitsToolResult() const { return WaitingCall() != nullptr; }

void ChatHistory::AddToolResult(const std::string& result) {
  const Json* call = WaitingCall();
  LINNET_CHECK(call != nullptr);
  messages_.push_back({{{"role", "tool"},
                        {"tool_call_id", (*call)["id"]},
                        {"name", (*call)["function"]["name"]},
                        {"content", result}},
                       {},
                       {}});
}

void ChatHistory::Clear() {
  messages_.clear();
  if (!system_.empty()) messages_.push_back({{{"role", "system"}, {"content", system_}}, {}, {}});
}

void ChatHistory::SetSystem(std::string system) {
  system_ = std::move(system);
  Clear();
}

bool ChatHistory::unanswered() const {
  return !messages_.empty() && messages_.back().json["role"] != "assistant" &&
         messages_.back().json["role"] != "system";
}

Result<ChatHistory::Rendered> ChatHistory::Render(const Tokenizer& tokenizer,
                                                  const ModelConfig& config) const {
  Json list = Json::array();
  std::vector<WrittenTurn> written;
  std::vector<MediaInput> media;
  for (const Message& message : messages_) {
    list.push_back(message.json);
    written.push_back(message.written);
    media.insert(media.end(), message.media.begin(), message.media.end());
  }
  ChatOptions options;
  if (config.model_type.starts_with("gemma3")) options.style = ChatStyle::kGemma3;
  options.enable_thinking = thinking_;
  options.generation = ChatOptions::Generation::kAlways;
  options.written = written;
  LINNET_ASSIGN(const RenderedChat chat, RenderChat(list, tools_, options));
  LINNET_ASSIGN(Prompt prompt, BuildPrompt(tokenizer, config, chat.text, media));
  return Rendered{std::move(prompt), chat.inside_thought};
}

}  // namespace linnet
