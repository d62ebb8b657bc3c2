#include "server/responses_items.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "server/message_parts.h"

namespace linnet {
namespace {

// Tools that OpenAI runs itself.
constexpr std::array kHosted = {
    "web_search",           "web_search_preview", "web_search_2025_08_26", "web_search_preview_2025_03_11",
    "file_search",          "code_interpreter",   "image_generation",      "mcp",
    "computer_use_preview", "computer",           "local_shell",           "shell",
    "apply_patch",          "tool_search"};
// What they left behind in a conversation.
constexpr std::array kHostedItems = {
    "web_search_call",  "file_search_call",  "code_interpreter_call", "image_generation_call",
    "mcp_call",         "mcp_list_tools",    "mcp_approval_request",  "mcp_approval_response",
    "tool_search_call", "tool_search_output"};

constexpr std::string_view kSeal = "linnet1.";

bool IsAmong(const auto& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

std::string ItemType(const Json& item) {
  const Json& type = Fields(item).at("type");
  if (type.is_string()) return type.get<std::string>();
  return Fields(item).has("role") ? "message" : "";
}

// The only argument of a tool that takes a text.
Json TextParameters() {
  return {{"type", "object"},
          {"properties", {{"input", {{"type", "string"}}}}},
          {"required", Json::array({"input"})}};
}

}  // namespace

std::string SealThought(const std::string& thought) {
  std::string text(4 * ((thought.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(thought.data()),
                                   static_cast<int>(thought.size()));
  text.resize(static_cast<size_t>(size));
  return std::string(kSeal) + text;
}

std::string UnsealThought(const std::string& sealed) {
  if (!sealed.starts_with(kSeal)) return {};
  const std::string_view text = std::string_view(sealed).substr(kSeal.size());
  std::string thought(text.size() / 4 * 3 + 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(thought.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  const auto padding = std::ranges::count(text.substr(text.size() - std::min<size_t>(2, text.size())), '=');
  thought.resize(static_cast<size_t>(size - padding));
  return thought;
}

std::string ResponseTools::FlatName(const std::string& space, const std::string& name) {
  if (space.empty()) return name;
  return space + (space.ends_with("__") ? "" : "__") + name;
}

ResponseTools::Tool ResponseTools::Named(const std::string& flat) const {
  const auto found = tools_.find(flat);
  return found == tools_.end() ? Tool{.space = {}, .name = flat} : found->second;
}

Status ResponseTools::Read(const Fields& body) {
  LINNET_ASSIGN(const Json* tools, body.List("tools"));
  for (size_t i = 0; i < tools->size(); ++i) {
    LINNET_TRY(ReadOne((*tools)[i], fmt::format("{}[{}]", body.PathOf("tools"), i), {}));
  }
  return {};
}

Status ResponseTools::ReadOne(const Json& json, const std::string& where, const std::string& space) {
  const Fields tool(json, where);
  LINNET_ASSIGN(const auto type, tool.Text("type"));
  if (type && IsAmong(kHosted, *type)) {
    notes_.push_back(where + " is left out: '" + *type + "' is a tool of OpenAI's");
    return {};
  }
  LINNET_ASSIGN(const auto name, tool.Text("name"));
  if (!name) return tool.Wrong("name", "is missing", "give the tool's name");
  if (type == "namespace" && space.empty()) {
    LINNET_ASSIGN(const Json* inner, tool.List("tools"));
    for (size_t i = 0; i < inner->size(); ++i) {
      LINNET_TRY(ReadOne((*inner)[i], fmt::format("{}[{}]", tool.PathOf("tools"), i), *name));
    }
    return {};
  }
  const bool custom = type == "custom";
  if (type != "function" && !custom) {
    return tool.Wrong("type", type ? "is '" + *type + "'" : "is missing",
                      "give function, namespace or custom");
  }
  LINNET_ASSIGN(const Json* parameters, tool.Object("parameters"));
  const std::string flat = FlatName(space, *name);
  if (!tools_.emplace(flat, Tool{space, *name, custom}).second) {
    return tool.Wrong("name", "is '" + *name + "', as that of another tool", "give each a name of its own");
  }
  LINNET_ASSIGN(const auto strict, tool.Flag("strict"));
  declarations_.push_back(ToolInHistory(flat, tool.at("description"), custom ? TextParameters() : *parameters,
                                        strict.value_or(false)));
  return {};
}

void ResponseItems::Instructions(const std::string& text) {
  if (!text.empty()) messages_.push_back({{{"role", "system"}, {"content", text}}, {}, {}});
}

Status ResponseItems::Add(const Json& json, const std::string& where) {
  const Fields item(json, where);
  const std::string type = ItemType(json);
  if (type == "message") return Message(item);
  if (type == "function_call" || type == "custom_tool_call") return Call(item, type != "function_call");
  if (type == "function_call_output" || type == "custom_tool_call_output") return Output(item);
  if (type == "reasoning") return Thought(item);
  if (IsAmong(kHostedItems, type)) {
    notes_.push_back(where + " is left out: '" + type + "' is of a tool of OpenAI's");
    return {};
  }
  return item.Wrong("type", type.empty() ? "is missing" : "is '" + type + "'",
                    "this server takes message, function_call, function_call_output, custom_tool_call, "
                    "custom_tool_call_output and reasoning");
}

ChatHistory::Message& ResponseItems::Answer() {
  if (!answering_) {
    messages_.push_back({{{"role", "assistant"}, {"content", ""}}, {}, {}});
    waiting_.clear();  // results stand directly behind their calls
  }
  answering_ = true;
  return messages_.back();
}

Result<ChatHistory::Message> ResponseItems::Content(const Fields& item, const char* member,
                                                    const char* role) {
  MessageParts parts;
  const Json& content = item.at(member);
  if (content.is_string()) {
    parts.AddText(content.get<std::string>());
    return std::move(parts).Message(role);
  }
  if (!content.is_array()) {
    return item.Wrong(member, "is neither a text nor a list of parts", "give a text");
  }
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", item.PathOf(member), i);
    const Fields part(content[i], place);
    LINNET_ASSIGN(const auto type, part.Text("type"));
    if (type && MediaReader::Takes(*type)) {
      LINNET_ASSIGN(MessageMedia media, media_.Read(content[i], place));
      for (std::string& note : media.notes) notes_.push_back(place + ": " + note);
      parts.AddMedia(std::move(media));
    } else if (type == "input_text" || type == "output_text" || type == "text" || type == "refusal") {
      LINNET_ASSIGN(auto text, part.Text(type == "refusal" ? "refusal" : "text"));
      if (!text) return part.Wrong("text", "is missing", "give a text");
      parts.AddText(std::move(*text));
    } else {
      return part.Wrong("type", type ? "is '" + *type + "'" : "is missing",
                        "this server takes input_text, output_text, input_image, input_audio, input_video "
                        "and input_file");
    }
  }
  return std::move(parts).Message(role);
}

Status ResponseItems::Message(const Fields& item) {
  LINNET_ASSIGN(const auto role, item.Text("role"));
  const bool system = role == "system" || role == "developer";
  if (!role || (!system && *role != "user" && *role != "assistant")) {
    return item.Wrong("role", role ? "is '" + *role + "'" : "is missing",
                      "give user, assistant, system or developer");
  }
  LINNET_ASSIGN(ChatHistory::Message message, Content(item, "content", system ? "system" : role->c_str()));
  Json& content = message.json["content"];
  if (*role == "assistant") {
    if (content.is_array()) {
      std::string text;
      for (const Json& part : content) text += part.value("text", "");
      content = std::move(text);
    }
    std::string text = Answer().json["content"].get<std::string>();
    text += (text.empty() ? "" : "\n") + content.get<std::string>();
    Answer().json["content"] = std::move(text);
    return {};
  }
  EndAnswer();
  waiting_.clear();
  // Those at the beginning are one message to the model.
  if (system && messages_.size() == 1 && messages_[0].json["role"] == "system" && content.is_string() &&
      messages_[0].json["content"].is_string()) {
    messages_[0].json["content"] =
        messages_[0].json["content"].get<std::string>() + "\n\n" + content.get<std::string>();
    return {};
  }
  messages_.push_back(std::move(message));
  return {};
}

Status ResponseItems::Call(const Fields& item, bool custom) {
  LINNET_ASSIGN(const auto id, item.Text("call_id"));
  LINNET_ASSIGN(const auto name, item.Text("name"));
  LINNET_ASSIGN(const auto space, item.Text("namespace"));
  LINNET_ASSIGN(const auto arguments, item.Text(custom ? "input" : "arguments"));
  if (!id || !name) return item.Wrong(id ? "name" : "call_id", "is missing", "give the call's own");
  const std::string flat = ResponseTools::FlatName(space.value_or(""), *name);
  Json given = custom ? Json{{"input", arguments.value_or("")}} : Json(arguments.value_or("{}"));
  Answer().json["tool_calls"].push_back(CallInHistory(*id, flat, std::move(given)));
  waiting_.emplace_back(*id, flat);
  return {};
}

Status ResponseItems::Output(const Fields& item) {
  LINNET_ASSIGN(const auto id, item.Text("call_id"));
  const auto call = std::ranges::find_if(waiting_, [&](const auto& one) { return one.first == id; });
  if (call == waiting_.end()) {
    return item.Wrong("call_id", id ? "is '" + *id + "', and no call waits for that result" : "is missing",
                      "send the call before its result");
  }
  LINNET_ASSIGN(ChatHistory::Message message, Content(item, "output", "tool"));
  message.json["tool_call_id"] = *id;
  message.json["name"] = call->second;
  waiting_.erase(call);
  EndAnswer();
  messages_.push_back(std::move(message));
  return {};
}

Status ResponseItems::Thought(const Fields& item) {
  LINNET_ASSIGN(const Json* content, item.List("content"));
  LINNET_ASSIGN(const auto sealed, item.Text("encrypted_content"));
  std::string thought;
  for (const Json& part : *content) {
    LINNET_ASSIGN(const auto text, Fields(part, item.PathOf("content")).Text("text"));
    thought += text.value_or("");
  }
  if (thought.empty() && sealed) thought = UnsealThought(*sealed);
  if (thought.empty()) return {};  // another server's, or a summary alone
  Json& reasoning = Answer().json["reasoning"];
  reasoning = (reasoning.is_string() ? reasoning.get<std::string>() + "\n" : "") + thought;
  return {};
}

Result<std::vector<ChatHistory::Message>> ResponseItems::TakeMessages() {
  if (!waiting_.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "input has no result for the call '" + waiting_.front().first + "'",
                "send a function_call_output for each function_call");
  }
  if (messages_.empty()) return Fail(ErrorCode::kInvalidArgument, "input is empty", "give a text or items");
  return std::move(messages_);
}

}  // namespace linnet
