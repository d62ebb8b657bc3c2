// A message of a chat in the making, whatever protocol it came in.
#pragma once

#include <string>
#include <vector>

#include "runtime/chat_history.h"
#include "server/fields.h"
#include "server/request_media.h"

namespace linnet {

// Texts and media in their order, as a history keeps them.
class MessageParts {
 public:
  void AddText(std::string text) { parts_.push_back({{"type", "text"}, {"text", std::move(text)}}); }
  void AddMedia(MessageMedia media) {
    for (const std::string& kind : media.types) parts_.push_back({{"type", kind}});
    for (MediaInput& input : media.inputs) media_.push_back(std::move(input));
  }
  bool empty() const { return parts_.empty(); }

  // One text alone is the content itself, as clients send it either way.
  ChatHistory::Message Message(const char* role) && {
    ChatHistory::Message message{{{"role", role}}, std::move(media_), {}};
    const bool one_text = parts_.size() == 1 && parts_.front().contains("text");
    message.json["content"] = one_text ? std::move(parts_.front()["text"]) : std::move(parts_);
    return message;
  }

 private:
  Json parts_ = Json::array();
  std::vector<MediaInput> media_;
};

// A call of a tool as a history keeps it.
inline Json CallInHistory(const std::string& id, const std::string& name, Json arguments) {
  return {
      {"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", std::move(arguments)}}}};
}

// A tool as the chat format takes it. `description` and `parameters` may be null. `strict`: its calls are
// held to the parameters.
inline Json ToolInHistory(const std::string& name, const Json& description, const Json& parameters,
                          bool strict = false) {
  Json function = {{"name", name}};
  if (strict) function["strict"] = true;
  if (!description.is_null()) function["description"] = description;
  if (!parameters.is_null()) function["parameters"] = parameters;
  return {{"type", "function"}, {"function", std::move(function)}};
}

}  // namespace linnet
