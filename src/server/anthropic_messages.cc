#include "server/anthropic_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/engine_impl.h"
#include "server/anthropic_writer.h"
#include "server/message_parts.h"
#include "server/sampling_fields.h"
#include "server/thinking.h"

namespace linnet {
namespace {

// Its first line changes with every request, and would make every prompt a new one.
constexpr std::string_view kBillingHeader = "x-anthropic-billing-header";

// The messages of a request on their way into a history.
class AnthropicReader {
 public:
  explicit AnthropicReader(const MediaReader& media) : media_(media) {}

  Status System(const Fields& body) {
    const Json& system = body.at("system");
    if (system.is_null()) return {};
    std::string text;
    if (system.is_string()) {
      text = system.get<std::string>();
    } else if (!system.is_array()) {
      return body.Wrong("system", "is neither a text nor a list of blocks", "give a text");
    }
    for (size_t i = 0; system.is_array() && i < system.size(); ++i) {
      LINNET_ASSIGN(const std::string block, TextBlock(system[i], fmt::format("system[{}]", i)));
      if (block.starts_with(kBillingHeader)) continue;
      text += (text.empty() ? "" : "\n\n") + block;
    }
    if (!text.empty()) Add({{{"role", "system"}, {"content", std::move(text)}}, {}, {}});
    return {};
  }

  Status Messages(const Fields& body) {
    LINNET_ASSIGN(const Json* messages, body.List("messages"));
    if (messages->is_null() || messages->empty()) {
      return body.Wrong("messages", "is not a list with at least one message",
                        R"(give [{"role": "user", "content": "…"}])");
    }
    for (size_t i = 0; i < messages->size(); ++i) {
      LINNET_TRY(Message((*messages)[i], fmt::format("messages[{}]", i)));
    }
    if (!calls_.empty()) {
      return body.Wrong("messages", "ends with calls of tools that have no results",
                        "send a tool_result for each tool_use");
    }
    return {};
  }

  std::vector<ChatHistory::Message> TakeMessages() { return std::move(messages_); }
  std::vector<std::string> TakeNotes() { return std::move(notes_); }

 private:
  void Add(ChatHistory::Message message) { messages_.push_back(std::move(message)); }

  static Result<std::string> TextBlock(const Json& block, const std::string& where) {
    const Fields fields(block, where);
    LINNET_ASSIGN(const auto type, fields.Text("type"));
    if (type.value_or("") != "text") {
      return fields.Wrong("type", type ? "is '" + *type + "'" : "is missing", "give text");
    }
    LINNET_ASSIGN(auto text, fields.Text("text"));
    if (!text) return fields.Wrong("text", "is missing", "give a text");
    return std::move(*text);
  }

  Status Message(const Json& message, const std::string& where) {
    const Fields fields(message, where);
    LINNET_ASSIGN(const auto role, fields.Text("role"));
    if (!role || (*role != "user" && *role != "assistant" && *role != "system")) {
      return fields.Wrong("role", role ? "is '" + *role + "'" : "is missing", "give user or assistant");
    }
    const Json& content = fields.at("content");
    if (content.is_string()) {
      calls_.clear();
      Add({{{"role", *role}, {"content", content}}, {}, {}});
      return {};
    }
    if (!content.is_array()) {
      return fields.Wrong("content", "is neither a text nor a list of blocks", "give a text");
    }
    if (*role == "assistant") return Answer(content, fields.PathOf("content"));
    return Question(content, fields.PathOf("content"), role->c_str());
  }

  Status Answer(const Json& content, const std::string& where) {
    std::string text, thought;
    Json calls = Json::array();
    calls_.clear();
    for (size_t i = 0; i < content.size(); ++i) {
      const Fields block(content[i], fmt::format("{}[{}]", where, i));
      LINNET_ASSIGN(const auto type, block.Text("type"));
      if (type == "text") {
        LINNET_ASSIGN(const auto piece, block.Text("text"));
        text += piece.value_or("");
      } else if (type == "thinking") {
        LINNET_ASSIGN(const auto piece, block.Text("thinking"));
        thought += piece.value_or("");
      } else if (type == "tool_use") {
        LINNET_ASSIGN(const auto id, block.Text("id"));
        LINNET_ASSIGN(const auto name, block.Text("name"));
        LINNET_ASSIGN(const Json* input, block.Object("input"));
        if (!id || !name) return block.Wrong(id ? "name" : "id", "is missing", "give the call's own");
        calls.push_back(CallInHistory(*id, *name, input->is_null() ? Json::object() : *input));
        calls_.emplace_back(*id, *name);
      } else if (type != "redacted_thinking") {  // nobody here can read that
        return block.Wrong("type", type ? "is '" + *type + "'" : "is missing",
                           "an assistant's message takes text, thinking and tool_use");
      }
    }
    ChatHistory::Message message{{{"role", "assistant"}, {"content", std::move(text)}}, {}, {}};
    if (!thought.empty()) message.json["reasoning"] = std::move(thought);
    if (!calls.empty()) message.json["tool_calls"] = std::move(calls);
    Add(std::move(message));
    return {};
  }

  // Results of tools are messages of their own, before what else the user says.
  Status Question(const Json& content, const std::string& where, const char* role) {
    MessageParts parts;
    bool results = false;
    for (size_t i = 0; i < content.size(); ++i) {
      const std::string place = fmt::format("{}[{}]", where, i);
      if (content[i].is_object() && content[i].value("type", Json()) == "tool_result") {
        LINNET_TRY(ToolResult(content[i], place));
        results = true;
      } else {
        LINNET_TRY(Block(content[i], place, parts));
      }
    }
    calls_.clear();
    if (!parts.empty() || !results) Add(std::move(parts).Message(role));
    return {};
  }

  Status ToolResult(const Json& block, const std::string& where) {
    const Fields fields(block, where);
    LINNET_ASSIGN(const auto id, fields.Text("tool_use_id"));
    const auto call = std::ranges::find_if(calls_, [&](const auto& one) { return one.first == id; });
    if (call == calls_.end()) {
      return fields.Wrong("tool_use_id", id ? "is '" + *id + "'" : "is missing",
                          "give the id of a tool_use in the message before");
    }
    MessageParts parts;
    LINNET_ASSIGN(const auto failed, fields.Flag("is_error"));
    if (failed.value_or(false)) parts.AddText("Error: ");
    const Json& content = fields.at("content");
    if (content.is_string()) {
      parts.AddText(content.get<std::string>());
    } else if (!content.is_null() && !content.is_array()) {
      return fields.Wrong("content", "is neither a text nor a list of blocks", "give a text");
    }
    for (size_t i = 0; content.is_array() && i < content.size(); ++i) {
      LINNET_TRY(Block(content[i], fmt::format("{}.content[{}]", where, i), parts));
    }
    if (parts.empty()) parts.AddText("");
    ChatHistory::Message message = std::move(parts).Message("tool");
    message.json["tool_call_id"] = *id;
    message.json["name"] = call->second;
    Add(std::move(message));
    return {};
  }

  // What a person or a tool may show.
  Status Block(const Json& block, const std::string& where, MessageParts& parts) {
    const Fields fields(block, where);
    LINNET_ASSIGN(const auto type, fields.Text("type"));
    if (type == "text") {
      LINNET_ASSIGN(std::string text, TextBlock(block, where));
      parts.AddText(std::move(text));
      return {};
    }
    if (type == "image" || type == "document") return Source(fields, *type, parts);
    if (type == "search_result") return SearchResult(fields, parts);
    return fields.Wrong("type", type ? "is '" + *type + "'" : "is missing",
                        "this server takes text, image, document, search_result and tool_result");
  }

  // {"type": "base64", "media_type": …, "data": …}, {"type": "url", "url": …}; of documents also {"type":
  // "text", "data": …} and {"type": "content", "content": …}.
  Status Source(const Fields& block, const std::string& kind, MessageParts& parts) {
    LINNET_ASSIGN(const Json* json, block.Object("source"));
    if (json->is_null()) return block.Wrong("source", "is missing", "give {\"type\": \"base64\", …}");
    const Fields source(*json, block.PathOf("source"));
    LINNET_ASSIGN(const auto type, source.Text("type"));
    LINNET_ASSIGN(const auto title, block.Text("title"));
    LINNET_ASSIGN(const auto context, block.Text("context"));
    for (const auto& text : {title, context}) {
      if (text && !text->empty()) parts.AddText(*text + "\n\n");
    }
    if (type == "base64" || type == "url") {
      LINNET_ASSIGN(const auto content, source.Text(type == "url" ? "url" : "data"));
      LINNET_ASSIGN(const auto media_type, source.Text("media_type"));
      if (!content) return source.Wrong(type == "url" ? "url" : "data", "is missing", "give the content");
      auto found = type == "url" ? SourceOf(*content, media_.policy())
                                 : SourceOfBase64(*content, media_type.value_or(kind + "/any"));
      return Medium(std::move(found), source.PathOf("data"), parts);
    }
    if (kind == "document" && type == "text") {
      LINNET_ASSIGN(auto text, source.Text("data"));
      if (!text) return source.Wrong("data", "is missing", "give the text");
      parts.AddText(std::move(*text));
      return {};
    }
    if (kind == "document" && type == "content") {
      const Json& content = source.at("content");
      if (content.is_string()) parts.AddText(content.get<std::string>());
      for (size_t i = 0; content.is_array() && i < content.size(); ++i) {
        LINNET_TRY(Block(content[i], fmt::format("{}[{}]", source.PathOf("content"), i), parts));
      }
      return {};
    }
    return source.Wrong("type", type ? "is '" + *type + "'" : "is missing",
                        type == "file" ? "this server keeps no files; send base64" : "give base64 or url");
  }

  Status Medium(Result<MediaSource> source, const std::string& where, MessageParts& parts) {
    if (!source) return Prefixed(where, source.error());
    auto media = media_.Read(std::move(*source));
    if (!media) return Prefixed(where, media.error());
    for (const std::string& note : media->notes) notes_.push_back(where + ": " + note);
    parts.AddMedia(std::move(*media));
    return {};
  }

  Status SearchResult(const Fields& block, MessageParts& parts) {
    LINNET_ASSIGN(const auto title, block.Text("title"));
    LINNET_ASSIGN(const auto source, block.Text("source"));
    LINNET_ASSIGN(const Json* content, block.List("content"));
    parts.AddText(title.value_or("") + "\n" + source.value_or("") + "\n");
    for (size_t i = 0; i < content->size(); ++i) {
      LINNET_TRY(Block((*content)[i], fmt::format("{}[{}]", block.PathOf("content"), i), parts));
    }
    return {};
  }

  const MediaReader& media_;
  std::vector<ChatHistory::Message> messages_;
  std::vector<std::string> notes_;
  std::vector<std::pair<std::string, std::string>> calls_;  // of the last message: ids and names
};

// `output_config: {"format": {"type": "json_schema", "schema": …}}`, or `output_format` with the same.
Result<std::optional<GrammarSource>> ReadAnthropicFormat(const Fields& body) {
  LINNET_ASSIGN(const Json* output, body.Object("output_config"));
  const Fields config(*output, "output_config");
  const bool nested = config.has("format");
  LINNET_ASSIGN(const Json* json, nested ? config.Object("format") : body.Object("output_format"));
  if (json->is_null()) return std::nullopt;
  const Fields format(*json, nested ? "output_config.format" : "output_format");
  LINNET_ASSIGN(const auto type, format.Text("type"));
  if (type != "json_schema") {
    return format.Wrong("type", type ? "is '" + *type + "'" : "is missing", "give json_schema");
  }
  if (!format.has("schema")) return format.Wrong("schema", "is missing", "give the schema");
  return GrammarSource{.kind = GrammarKind::kJsonSchema, .text = Dump(format.at("schema"))};
}

Status ReadAnthropicChoice(const Fields& body, AnswerForm& form) {
  LINNET_ASSIGN(const Json* json, body.Object("tool_choice"));
  const Fields choice(*json, "tool_choice");
  LINNET_ASSIGN(const auto type, choice.Text("type"));
  LINNET_ASSIGN(const auto alone, choice.Flag("disable_parallel_tool_use"));
  form.calls.parallel = !alone.value_or(false);
  if (type == "none") {
    form.tools = Json();
  } else if (type == "any") {
    form.calls.choice = ToolRules::Choice::kMust;
  } else if (type == "tool") {
    LINNET_ASSIGN(const auto name, choice.Text("name"));
    if (!name) return choice.Wrong("name", "is missing", "give the tool's name");
    form.calls.choice = ToolRules::Choice::kName;
    form.calls.name = *name;
  } else if (type && *type != "auto") {
    return choice.Wrong("type", "is '" + *type + "'", "give auto, any, tool or none");
  }
  const bool must = form.calls.choice != ToolRules::Choice::kMay;
  form.calls.text_before = !must;
  if (must && form.tools.is_null()) {
    return choice.Wrong("type", "asks for a call and there are no tools", "give tools");
  }
  return {};
}

Result<AnswerForm> ReadAnthropicForm(const Fields& body, std::vector<std::string>& notes) {
  AnswerForm form;
  LINNET_ASSIGN(form.source, ReadAnthropicFormat(body));
  LINNET_ASSIGN(const Json* tools, body.List("tools"));
  for (size_t i = 0; i < tools->size(); ++i) {
    const Fields tool((*tools)[i], fmt::format("tools[{}]", i));
    LINNET_ASSIGN(const auto type, tool.Text("type"));
    LINNET_ASSIGN(const auto name, tool.Text("name"));
    if (type && *type != "custom") {
      notes.push_back(fmt::format("tools[{}] is left out: '{}' is a tool of Anthropic's", i, *type));
      continue;
    }
    if (!name) return tool.Wrong("name", "is missing", "give the tool's name");
    LINNET_ASSIGN(const Json* schema, tool.Object("input_schema"));
    LINNET_ASSIGN(const auto strict, tool.Flag("strict"));
    form.tools.push_back(ToolInHistory(*name, tool.at("description"), *schema, strict.value_or(false)));
  }
  LINNET_TRY(ReadAnthropicChoice(body, form));
  return form;
}

// `thinking`: {"type": "enabled", "budget_tokens": …}, "adaptive" or "disabled"; `output_config`: {"effort":
// …} bounds a thought that has no budget.
Result<Thinking> ReadAnthropicThinking(const Fields& body) {
  LINNET_ASSIGN(const Json* output, body.Object("output_config"));
  const Fields config(*output, "output_config");
  LINNET_ASSIGN(const auto effort, config.Text("effort"));
  LINNET_ASSIGN(const Json* json, body.Object("thinking"));
  const Fields fields(*json, "thinking");
  LINNET_ASSIGN(const auto type, fields.Text("type"));
  if (!type && !fields.has("budget_tokens")) return Thinking{};
  Thinking thinking{.wanted = true};
  if (effort) {
    LINNET_ASSIGN(thinking, ThinkingOfEffort(*effort, "output_config.effort"));
  }
  if (type == "disabled") return Thinking{};
  if (type == "adaptive") return thinking;
  if (type && *type != "enabled") {
    return fields.Wrong("type", "is '" + *type + "'", "give enabled, adaptive or disabled");
  }
  LINNET_ASSIGN(const auto budget, fields.Integer("budget_tokens", {1, kMostAsked}));
  return Thinking{true, budget.value_or(thinking.most)};
}

Result<GenerateOptions> ReadAnthropicOptions(const Fields& body) {
  GenerateOptions options;
  LINNET_ASSIGN(const auto most, body.Integer("max_tokens", {1, kMostAsked}));
  options.max_tokens = most.value_or(0);
  LINNET_ASSIGN(options.sampling, ReadSampling(body));
  LINNET_ASSIGN(options.stop, ReadStops(body, "stop_sequences"));
  return options;
}

Status RefuseOfAnthropic(const Fields& body) {
  for (const char* name : {"mcp_servers", "container"}) {
    const Json& value = body.at(name);
    if (!value.is_null() && !value.empty()) return body.Wrong(name, "is not supported", "leave it out");
  }
  return {};
}

struct AnthropicRequest {
  ChatHistory history;
  Thinking thinking;
  AnswerForm form;
  std::vector<std::string> notes;
};

Result<AnthropicRequest> ReadAnthropicHistory(const ServedModel& model, const Fields& body) {
  LINNET_TRY(RefuseOfAnthropic(body));
  std::vector<std::string> notes;
  LINNET_ASSIGN(AnswerForm form, ReadAnthropicForm(body, notes));
  LINNET_ASSIGN(const Thinking thinking, ReadAnthropicThinking(body));
  AnthropicReader reader(model.media);
  LINNET_TRY(reader.System(body));
  LINNET_TRY(reader.Messages(body));
  std::ranges::move(reader.TakeNotes(), std::back_inserter(notes));
  ChatHistory history({}, form.tools, thinking.wanted);
  history.SetMessages(reader.TakeMessages());
  return AnthropicRequest{std::move(history), thinking, std::move(form), std::move(notes)};
}

}  // namespace

Result<Asked> TranslateAnthropicMessages(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  LINNET_ASSIGN(const GenerateOptions options, ReadAnthropicOptions(body));
  LINNET_ASSIGN(const auto stream, body.Flag("stream"));
  LINNET_ASSIGN(AnthropicRequest read, ReadAnthropicHistory(model, body));
  LINNET_ASSIGN(PreparedPrompt prepared, Prepare(model.engine, std::move(read.history), model.context));
  Asked asked{.answers = {},
              .stream = stream.value_or(false),
              .writer = AnthropicWriter(model.name, prepared.tokens()),
              .notes = std::move(read.notes)};
  AnswerRequest answer{.prepared = std::move(prepared),
                       .options = options,
                       .owner = request.owner,
                       .one_call = !read.form.calls.parallel};
  BoundThought(model, read.thinking, answer);
  asked.answers.push_back(std::move(answer));
  LINNET_TRY(HoldToForm(model, read.form, asked));
  return asked;
}

Result<Asked> CountAnthropicTokens(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  LINNET_ASSIGN(AnthropicRequest read, ReadAnthropicHistory(model, Fields(json)));
  const Engine::Impl& impl = model.engine.impl();
  LINNET_ASSIGN(const ChatHistory::Rendered rendered, read.history.Render(*impl.tokenizer, impl.config));
  Asked asked{.answers = {}, .notes = std::move(read.notes)};
  asked.at_once = HttpAnswer{.body = Dump({{"input_tokens", rendered.prompt.ids.size()}})};
  return asked;
}

}  // namespace linnet
