#include "server/chat_messages.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace linnet {
namespace {

constexpr std::array kRoles = {"system", "developer", "user", "assistant", "tool", "function"};

std::unexpected<Error> Wrong(std::string what, std::string hint) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what), std::move(hint));
}

// A list of parts, with media as parts without content, as a history keeps them.
Status ReadParts(const Json& content, const std::string& where, const MediaReader& reader,
                 std::pair<ChatHistory::Message&, std::vector<std::string>&> out) {
  Json parts = Json::array();
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string place = fmt::format("{}.content[{}]", where, i);
    if (!content[i].is_object()) return Wrong(place + " is not an object", "give {\"type\": …}");
    const Fields part(content[i], place);
    LINNET_ASSIGN(const auto type, part.Text("type"));
    if (!type) return part.Wrong("type", "is missing", "give \"text\", \"image_url\", \"input_audio\" …");
    if (MediaReader::Takes(*type)) {
      LINNET_ASSIGN(MessageMedia media, reader.Read(content[i], place));
      for (const std::string& kind : media.types) parts.push_back({{"type", kind}});
      for (MediaInput& input : media.inputs) out.first.media.push_back(std::move(input));
      for (std::string& note : media.notes) out.second.push_back(place + ": " + note);
      continue;
    }
    const bool refusal = *type == "refusal";
    if (*type != "text" && *type != "input_text" && *type != "output_text" && !refusal) {
      return part.Wrong("type", "is '" + *type + "'",
                        "this server takes text, image_url, input_audio, video_url, input_video and file");
    }
    LINNET_ASSIGN(const auto text, part.Text(refusal ? "refusal" : "text"));
    if (!text) return part.Wrong("text", "is missing", "give a text");
    parts.push_back({{"type", "text"}, {"text", *text}});
  }
  out.first.json["content"] = std::move(parts);
  return {};
}

// Whether a result of a tool has a call to belong to: the last message that is no result calls some.
bool FollowsCalls(const std::vector<ChatHistory::Message>& before) {
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    if (it->json["role"] == "tool") continue;
    const auto calls = it->json.find("tool_calls");
    return calls != it->json.end() && calls->is_array() && !calls->empty();
  }
  return false;
}

// The results of tools carry the name of the call that they answer.
void NameResult(Json& message, const std::vector<ChatHistory::Message>& before) {
  if (message.contains("name") || !message.contains("tool_call_id")) return;
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    const auto calls = it->json.find("tool_calls");
    if (calls == it->json.end() || !calls->is_array()) continue;
    for (const Json& call : *calls) {
      if (!call.is_object() || call.value("id", Json()) != message["tool_call_id"]) continue;
      const auto function = call.find("function");
      if (function != call.end() && function->is_object() && function->contains("name")) {
        message["name"] = (*function)["name"];
      }
      return;
    }
  }
}

}  // namespace

Result<ReadMessages> ReadChatMessages(const Json& messages, const MediaReader& media) {
  if (!messages.is_array() || messages.empty()) {
    return Wrong("messages is not a list with at least one message",
                 R"(give [{"role": "user", "content": "…"}])");
  }
  ReadMessages read;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string where = fmt::format("messages[{}]", i);
    if (!messages[i].is_object())
      return Wrong(where + " is not an object", "give {\"role\": …, \"content\": …}");
    const Fields fields(messages[i], where);
    LINNET_ASSIGN(const auto role, fields.Text("role"));
    if (!role || std::ranges::find(kRoles, *role) == kRoles.end()) {
      return fields.Wrong("role", role ? "is '" + *role + "'" : "is missing",
                          "give system, developer, user, assistant or tool");
    }
    ChatHistory::Message message;
    for (const char* name :
         {"role", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content"}) {
      if (fields.has(name)) message.json[name] = fields.at(name);
    }
    if (*role == "function") message.json["role"] = "tool";
    if (message.json["role"] == "tool") {
      if (!FollowsCalls(read.messages)) {
        return fields.Wrong("role", "is '" + *role + "', and no call waits for this result",
                            "send the assistant's message with its tool_calls before it");
      }
      NameResult(message.json, read.messages);
    }
    const Json& content = fields.at("content");
    if (content.is_array()) {
      LINNET_TRY(ReadParts(content, where, media, {message, read.notes}));
    } else if (content.is_null() && *role != "assistant") {
      return fields.Wrong("content", "is missing", "give a text or a list of parts");
    } else {
      LINNET_ASSIGN(const auto text, fields.Text("content"));
      message.json["content"] = text ? Json(*text) : Json();
    }
    read.messages.push_back(std::move(message));
  }
  return read;
}

}  // namespace linnet
