#include "runtime/chat_history.h"

#include <algorithm>
#include <span>
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
         messages_.back().json["role"] != "system" && !IsSummary(messages_.back());
}

bool ChatHistory::GoesOn() const {
  if (messages_.empty() || messages_.back().json["role"] != "assistant") return false;
  const Json& last = messages_.back().json;
  return !last.contains("tool_calls") && last.contains("content") && last["content"].is_string();
}

size_t ChatHistory::AfterSystem() const {
  return !messages_.empty() && messages_.front().json["role"] == "system" ? 1 : 0;
}

std::vector<size_t> ChatHistory::TurnBegins() const {
  std::vector<size_t> begins;
  for (size_t m = 0; m < messages_.size(); ++m) {
    if (messages_[m].json["role"] == "user" && !IsSummary(messages_[m])) begins.push_back(m);
  }
  return begins;
}

void ChatHistory::DropFirstTurns(size_t count) {
  const std::vector<size_t> begins = TurnBegins();
  LINNET_CHECK(count < begins.size());
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(AfterSystem()),
                  messages_.begin() + static_cast<std::ptrdiff_t>(begins[count]));
}

void ChatHistory::DropTurnsFrom(size_t first) {
  const std::vector<size_t> begins = TurnBegins();
  LINNET_CHECK(first < begins.size());
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(begins[first]), messages_.end());
}

bool ChatHistory::HasSummary() const {
  return AfterSystem() < messages_.size() && IsSummary(messages_[AfterSystem()]);
}

void ChatHistory::SetSummary(const std::string& summary) {
  const auto place = messages_.begin() + static_cast<std::ptrdiff_t>(AfterSystem());
  const std::string text = "A summary of what we said before, which is no longer here:\n\n" + summary;
  Message message{{{"role", "user"}, {"content", text}, {"summary", true}}, {}, {}};
  if (HasSummary()) {
    *place = std::move(message);
  } else {
    messages_.insert(place, std::move(message));
  }
}

std::vector<MediaInput> ChatHistory::MediaOf(size_t begin, size_t end) const {
  std::vector<MediaInput> media;
  for (size_t m = begin; m < end; ++m) {
    media.insert(media.end(), messages_[m].media.begin(), messages_[m].media.end());
  }
  return media;
}

Result<RenderedChat> ChatHistory::RenderText(const ModelConfig& config, bool answer) const {
  ChatOptions options;
  if (config.model_type.starts_with("gemma3")) options.style = ChatStyle::kGemma3;
  options.enable_thinking = thinking_;
  using enum ChatOptions::Generation;
  options.generation = answer ? kAlways : kNone;
  Json list = Json::array();
  std::vector<WrittenTurn> written;
  const bool goes_on = answer && GoesOn();
  const std::span<const Message> whole = std::span(messages_).first(messages_.size() - (goes_on ? 1 : 0));
  for (const Message& message : whole) {
    // There users and models take turns, so that a summary is part of the message behind it.
    if (options.style == ChatStyle::kGemma3 && !list.empty() && list.back().contains("summary") &&
        message.json["content"].is_string()) {
      list.back() = {{"role", "user"},
                     {"content", list.back()["content"].get<std::string>() + "\n\n" +
                                     message.json["content"].get<std::string>()}};
      continue;
    }
    list.push_back(message.json);
    written.push_back(message.written);
  }
  options.written = written;
  LINNET_ASSIGN(RenderedChat chat, RenderChat(list, tools_, options));
  if (goes_on && !chat.inside_thought) chat.text.Text(messages_.back().json["content"].get<std::string>());
  return chat;
}

Result<ChatHistory::Rendered> ChatHistory::Render(const Tokenizer& tokenizer,
                                                  const ModelConfig& config) const {
  LINNET_ASSIGN(const RenderedChat chat, RenderText(config, true));
  LINNET_ASSIGN(Prompt prompt, BuildPrompt(tokenizer, config, chat.text, MediaOf(0, messages_.size())));
  return Rendered{std::move(prompt), chat.inside_thought};
}

}  // namespace linnet
