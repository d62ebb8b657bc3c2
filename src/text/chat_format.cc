#include "text/chat_format.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kChannelOpen = "<|channel>", kChannelClose = "<channel|>";

std::unexpected<Error> Wrong(std::string what, std::string hint = {}) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what), std::move(hint));
}

const Json& Member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

// A string member; an absent or null one is empty.
Result<std::string> Text(const Json& object, const char* name, const std::string& where) {
  const Json& value = Member(object, name);
  if (value.is_null()) return std::string();
  if (!value.is_string()) return Wrong(fmt::format("{}.{} is not a string", where, name));
  return value.get<std::string>();
}

// A list member; an absent or null one is empty.
Result<std::vector<const Json*>> List(const Json& object, const char* name, const std::string& where) {
  const Json& value = Member(object, name);
  std::vector<const Json*> items;
  if (value.is_null()) return items;
  if (!value.is_array()) return Wrong(fmt::format("{}.{} is not a list", where, name));
  for (const Json& item : value) items.push_back(&item);
  return items;
}

// Puts a media part's place into the text; nothing for other types.
void AddPlace(std::string_view type, MarkedText& text) {
  if (type == "image" || type == "image_url") text.Medium(Segment::Kind::kImage);
  if (type == "audio" || type == "input_audio") text.Medium(Segment::Kind::kAudio);
  if (type == "video") text.Medium(Segment::Kind::kVideo);
}

struct Part {
  std::string type, text;
};

// The parts of a message's content; a plain text is one part. Null content has none.
Result<std::vector<Part>> Parts(const Json& message, const std::string& where) {
  const Json& content = Member(message, "content");
  std::vector<Part> parts;
  if (content.is_null()) return parts;
  if (content.is_string()) {
    parts.push_back({"text", content.get<std::string>()});
    return parts;
  }
  if (!content.is_array()) return Wrong(where + ".content is neither text nor a list of parts");
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string here = fmt::format("{}.content[{}]", where, i);
    if (!content[i].is_object()) return Wrong(here + " is not a map");
    Part part;
    LINNET_ASSIGN(part.type, Text(content[i], "type", here));
    LINNET_ASSIGN(part.text, Text(content[i], "text", here));
    parts.push_back(std::move(part));
  }
  return parts;
}

bool IsSystem(std::string_view role) { return role == "system" || role == "developer"; }

// A message with its role read and its place for error messages.
struct Message {
  const Json* json = nullptr;
  size_t index = 0;
  std::string role, where;
};

Result<std::vector<Message>> ReadMessages(const Json& messages) {
  if (!messages.is_array()) return Wrong("messages is not a list");
  if (DeeperThan(messages, kMaxToolDepth))
    return Wrong(fmt::format("messages are nested more than {} deep", kMaxToolDepth));
  std::vector<Message> read;
  for (size_t i = 0; i < messages.size(); ++i) {
    Message message{.json = &messages[i], .index = i, .where = fmt::format("messages[{}]", i)};
    const Json& role = Member(messages[i], "role");
    if (!role.is_string()) return Wrong(message.where + ".role is missing or not a string");
    message.role = role.get<std::string>();
    read.push_back(std::move(message));
  }
  return read;
}

// Renders one conversation in Gemma 4's form.
class Renderer {
 public:
  explicit Renderer(const ChatOptions& options) : options_(options) {}

  Result<RenderedChat> Render(std::vector<Message> messages, const Json& tools) {
    out_.Marker("<bos>");
    LINNET_TRY(System(messages, tools));
    int last_user = -1;
    for (size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role == "user") last_user = static_cast<int>(i);
    }
    std::string_view previous;  // the role of the last message that is not a tool's
    for (size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role == "tool") continue;
      LINNET_TRY(Turn(messages, i, static_cast<int>(i) > last_user, previous));
      previous = messages[i].role;
    }
    if (options_.generation != ChatOptions::Generation::kNone) OpenAnswer();
    return RenderedChat{std::move(out_), inside_thought_};
  }

 private:
  enum class Kind { kNone, kToolCall, kToolResponse };

  // The system turn; takes the system message off the list.
  Status System(std::vector<Message>& messages, const Json& tools) {
    if (!tools.is_null() && !tools.is_array()) return Wrong("tools is not a list");
    const bool has_message = !messages.empty() && IsSystem(messages[0].role);
    if (!options_.enable_thinking && tools.empty() && !has_message) return {};
    out_.Marker("<|turn>").Text("system\n");
    if (options_.enable_thinking) out_.Marker("<|think|>").Text("\n");
    if (has_message) {
      LINNET_ASSIGN(const std::vector<Part> parts, Parts(*messages[0].json, messages[0].where));
      const bool list = Member(*messages[0].json, "content").is_array();
      for (const Part& part : parts) {
        out_.Text(Strip(part.text));
        if (list) out_.Text(" ");  // as the reference does, after the last part too
      }
      messages.erase(messages.begin());
    }
    for (const Json& tool : tools) {
      if (DeeperThan(tool, kMaxToolDepth))
        return Wrong(fmt::format("a tool is nested more than {} deep", kMaxToolDepth));
      LINNET_ASSIGN(const MarkedText declaration, RenderToolDeclaration(tool));
      out_.Marker("<|tool>").Append(declaration).Marker("<tool|>");
    }
    EndTurn();
    return {};
  }

  Status Turn(const std::vector<Message>& messages, size_t index, bool after_last_user,
              std::string_view previous) {
    const Message& message = messages[index];
    const bool model = message.role == "assistant" || message.role == "model";
    LINNET_ASSIGN(const std::vector<const Json*> calls, List(*message.json, "tool_calls", message.where));
    last_kind_ = Kind::kNone;
    turn_open_ = true;
    if (!(model && previous == "assistant")) {
      out_.Marker("<|turn>").Text(model ? "model" : message.role).Text("\n");
    }
    const bool thought_wanted = after_last_user || (options_.preserve_thinking && !calls.empty());
    if (thought_wanted) LINNET_TRY(Thought(message));
    LINNET_TRY(Calls(message, calls));
    LINNET_ASSIGN(const bool answered, Responses(messages, index, calls));
    if (answered) last_kind_ = Kind::kToolResponse;
    LINNET_ASSIGN(const MarkedText content, Content(message, model));
    out_.Append(content);

    std::string_view next;
    for (size_t i = index + 1; i < messages.size() && next.empty(); ++i) {
      if (messages[i].role != "tool") next = messages[i].role;
    }
    const bool continues = model && next == "assistant" && (calls.empty() || answered);
    if (last_kind_ == Kind::kToolCall) {
      out_.Marker("<|tool_response>");
    } else if (!continues && !(answered && IsBlank(content) && next.empty())) {
      EndTurn();
    }
    return {};
  }

  void EndTurn() {
    out_.Marker("<turn|>").Text("\n");
    turn_open_ = false;
  }

  static bool IsBlank(const MarkedText& content) {
    return std::ranges::all_of(content.segments(), [](const Segment& segment) {
      return segment.kind == Segment::Kind::kText && Strip(segment.text).empty();
    });
  }

  const WrittenTurn& Written(const Message& message) const {
    static const WrittenTurn kNothing;
    return message.index < options_.written.size() ? options_.written[message.index] : kNothing;
  }

  Status Thought(const Message& message) {
    if (const std::vector<int32_t>& own = Written(message).thought; !own.empty()) {
      out_.Marker(kChannelOpen).Tokens(own).Marker(kChannelClose);
      return {};
    }
    LINNET_ASSIGN(std::string thought, Text(*message.json, "reasoning", message.where));
    if (thought.empty()) {
      LINNET_ASSIGN(thought, Text(*message.json, "reasoning_content", message.where));
    }
    if (!thought.empty()) {
      out_.Marker(kChannelOpen).Text("thought\n").Text(thought).Text("\n").Marker(kChannelClose);
    }
    return {};
  }

  Status Calls(const Message& message, const std::vector<const Json*>& calls) {
    if (calls.empty()) return {};
    last_kind_ = Kind::kToolCall;
    if (const std::vector<int32_t>& own = Written(message).calls; !own.empty()) {
      out_.Tokens(own);
      return {};
    }
    for (size_t i = 0; i < calls.size(); ++i) {
      LINNET_TRY(Call(*calls[i], fmt::format("{}.tool_calls[{}]", message.where, i)));
    }
    return {};
  }

  Status Call(const Json& call, const std::string& where) {
    const Json& function = Member(call, "function");
    const Json& name = Member(function, "name");
    if (!name.is_string()) return Wrong(where + ".function.name is missing or not a string");
    const Json& arguments = Member(function, "arguments");
    Json parsed;
    if (arguments.is_string()) {
      // OpenAI clients send JSON text.
      const std::string_view text = Strip(arguments.get_ref<const std::string&>());
      parsed = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
      if (!parsed.is_object() || DeeperThan(parsed, kMaxToolDepth)) {
        return Wrong(where + ".function.arguments is not the JSON text of an object",
                     "send a JSON object, or its text as a string");
      }
    } else if (!arguments.is_null() && !arguments.is_object()) {
      return Wrong(where + ".function.arguments is not an object");
    }
    out_.Marker("<|tool_call>")
        .Append(RenderToolCall(name.get<std::string>(), parsed.is_null() ? arguments : parsed))
        .Marker("<tool_call|>");
    return {};
  }

  void Response(std::string_view name, const Json& response) {
    out_.Marker("<|tool_response>").Text("response:").Text(name.empty() ? "unknown" : name);
    if (response.is_object()) {
      out_.Append(RenderToolValue(response, false));
    } else {
      out_.Text("{value:").Append(RenderToolValue(response, false)).Text("}");
    }
    out_.Marker("<tool_response|>");
  }

  // The results that belong to a message: its own `tool_responses`, else the tool messages that follow its
  // calls.
  Result<bool> Responses(const std::vector<Message>& messages, size_t index,
                         const std::vector<const Json*>& calls) {
    const Message& message = messages[index];
    LINNET_ASSIGN(const std::vector<const Json*> own, List(*message.json, "tool_responses", message.where));
    for (size_t i = 0; i < own.size(); ++i) {
      LINNET_ASSIGN(const std::string name,
                    Text(*own[i], "name", fmt::format("{}.tool_responses[{}]", message.where, i)));
      Response(name, Member(*own[i], "response"));
    }
    if (!own.empty() || calls.empty()) return !own.empty();
    bool answered = false;
    for (size_t i = index + 1; i < messages.size() && messages[i].role == "tool"; ++i, answered = true) {
      LINNET_TRY(ToolMessage(messages[i], calls));
    }
    return answered;
  }

  Status ToolMessage(const Message& message, const std::vector<const Json*>& calls) {
    LINNET_ASSIGN(std::string name, Text(*message.json, "name", message.where));
    const Json& id = Member(*message.json, "tool_call_id");
    for (const Json* call : calls) {
      const Json& function_name = Member(Member(*call, "function"), "name");
      if (!id.is_null() && Member(*call, "id") == id) name = function_name.get<std::string>();
    }
    const Json& content = Member(*message.json, "content");
    if (content.is_object()) {
      return Wrong(message.where + ".content is a map",
                   "give a tool's result as text, or as a map in tool_responses");
    }
    if (!content.is_array()) {
      Response(name, content);
      return {};
    }
    LINNET_ASSIGN(const std::vector<Part> parts, Parts(*message.json, message.where));
    std::string text;
    MarkedText media;
    for (const Part& part : parts) {
      if (part.type == "text") text += part.text;
      AddPlace(part.type, media);
    }
    Response(name, text);
    out_.Append(media);
    return {};
  }

  Result<MarkedText> Content(const Message& message, bool model) {
    MarkedText content;
    if (const std::vector<int32_t>& own = Written(message).text; !own.empty()) {
      return std::move(content.Tokens(own));
    }
    LINNET_ASSIGN(const std::vector<Part> parts, Parts(*message.json, message.where));
    for (const Part& part : parts) {
      if (part.type == "text") {
        content.Text(model ? StripThinking(part.text) : std::string(Strip(part.text)));
      } else {
        AddPlace(part.type, content);
      }
    }
    return content;
  }

  // The reference opens no turn after a model turn that ends in text after the results of its calls, and a
  // thought outside of any turn there.
  void OpenAnswer() {
    if (last_kind_ == Kind::kToolCall) return;
    const bool always = options_.generation == ChatOptions::Generation::kAlways;
    if (last_kind_ == Kind::kToolResponse && !(always && !turn_open_)) {
      inside_thought_ = options_.enable_thinking;
      if (inside_thought_) out_.Marker(kChannelOpen).Text("thought\n");
      return;
    }
    out_.Marker("<|turn>").Text("model\n");
    if (!options_.enable_thinking && options_.style == ChatStyle::kGemma4)
      out_.Marker(kChannelOpen).Text("thought\n").Marker(kChannelClose);
  }

  const ChatOptions& options_;
  MarkedText out_;
  Kind last_kind_ = Kind::kNone;  // what the last message ended with
  bool turn_open_ = false;
  bool inside_thought_ = false;
};

// Gemma 3 knows user and model turns only; a system text opens the first user turn.
Result<RenderedChat> RenderGemma3(const std::vector<Message>& messages, const Json& tools,
                                  const ChatOptions& options) {
  if (!tools.empty())
    return Fail(ErrorCode::kUnsupported, "this model does not know tools", "leave them out");
  if (options.enable_thinking)
    return Fail(ErrorCode::kUnsupported, "this model does not think", "switch thinking off");
  static const std::vector<int32_t> kNoTokens;
  MarkedText out;
  out.Marker("<bos>");
  std::string prefix;
  bool user_next = true;
  for (const Message& message : messages) {
    LINNET_ASSIGN(const std::vector<Part> parts, Parts(*message.json, message.where));
    std::string text;
    for (const Part& part : parts) {
      if (part.type != "text") {
        return Fail(ErrorCode::kUnsupported,
                    fmt::format("{}: this model takes text only, not \"{}\"", message.where, part.type),
                    "use a multimodal model");
      }
      text += IsSystem(message.role) ? part.text : std::string(Strip(part.text));
    }
    if (IsSystem(message.role) && &message == &messages.front()) {
      prefix = text + "\n\n";
      continue;
    }
    const bool user = message.role == "user";
    if ((!user && message.role != "assistant") || user != user_next) {
      return Fail(
          ErrorCode::kUnsupported,
          fmt::format("{} has role \"{}\", but for this model roles must alternate user, assistant, user, …",
                      message.where, message.role),
          "join neighbouring messages of one role");
    }
    out.Marker("<start_of_turn>").Text(user ? "user\n" : "model\n").Text(std::exchange(prefix, {}));
    const std::vector<int32_t>& own =
        message.index < options.written.size() ? options.written[message.index].text : kNoTokens;
    own.empty() ? out.Text(text) : out.Tokens(own);
    out.Marker("<end_of_turn>").Text("\n");
    user_next = !user_next;
  }
  if (options.generation != ChatOptions::Generation::kNone) out.Marker("<start_of_turn>").Text("model\n");
  return RenderedChat{std::move(out), false};
}

}  // namespace

std::string StripThinking(std::string_view text) {
  std::string kept;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(kChannelClose, begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    kept += part.substr(0, part.find(kChannelOpen));
    begin = end + kChannelClose.size();
  }
  return std::string(Strip(kept));
}

Result<RenderedChat> RenderChat(const Json& messages, const Json& tools, const ChatOptions& options) {
  LINNET_ASSIGN(std::vector<Message> read, ReadMessages(messages));
  if (options.style == ChatStyle::kGemma3) return RenderGemma3(read, tools, options);
  return Renderer(options).Render(std::move(read), tools);
}

}  // namespace linnet
