#include "server/ollama.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/engine_impl.h"
#include "server/message_parts.h"
#include "server/ollama_models.h"
#include "server/ollama_writer.h"
#include "server/sampling_fields.h"
#include "server/thinking.h"

namespace linnet {
namespace {

// What would change every answer, and cannot be done, unless it is set to do nothing.
Status RefuseOllamaOptions(const Fields& options) {
  struct Neutral {
    const char* name;
    double value;
  };
  for (const auto& [name, value] : {Neutral{"presence_penalty", 0}, Neutral{"frequency_penalty", 0},
                                    Neutral{"mirostat", 0}, Neutral{"typical_p", 1}, Neutral{"tfs_z", 1}}) {
    LINNET_ASSIGN(const auto given, options.Number(name, {-kMostAsked, kMostAsked}));
    if (given.value_or(value) != value) return options.Wrong(name, "is not supported", "leave it out");
  }
  return {};
}

Result<GenerateOptions> ReadOllamaOptions(const Fields& body, int64_t context) {
  LINNET_ASSIGN(const Json* json, body.Object("options"));
  const Fields options(*json, "options");
  LINNET_TRY(RefuseOllamaOptions(options));
  LINNET_ASSIGN(const auto asked, options.Integer("num_ctx", {0, kMostAsked}));
  if (asked.value_or(0) > context) {
    return options.Wrong("num_ctx", fmt::format("is {}, and this server's context is {}", *asked, context),
                         "ask for less, or start the server with a larger --context");
  }
  GenerateOptions read;
  LINNET_ASSIGN(const auto most, options.Integer("num_predict", {-2, kMostAsked}));
  read.max_tokens = std::max<int64_t>(0, most.value_or(0));
  LINNET_ASSIGN(read.sampling, ReadSampling(options, "repeat_penalty"));
  LINNET_ASSIGN(read.stop, ReadStops(options, "stop"));
  return read;
}

// `think`: a flag, or an effort.
Result<Thinking> ReadOllamaThinking(const Fields& body) {
  if (body.at("think").is_string()) {
    return ThinkingOfEffort(body.at("think").get<std::string>(), "think");
  }
  LINNET_ASSIGN(const auto think, body.Flag("think"));
  return Thinking{.wanted = think.value_or(false)};
}

// `format`: "json", or a schema.
Result<std::optional<GrammarSource>> ReadOllamaFormat(const Fields& body) {
  const Json& format = body.at("format");
  if (format.is_null() || format == "") return std::nullopt;
  if (format == "json") return GrammarSource{.kind = GrammarKind::kJsonObject};
  if (format.is_object()) return GrammarSource{.kind = GrammarKind::kJsonSchema, .text = Dump(format)};
  return body.Wrong("format", "is " + Dump(format), "give \"json\" or a JSON schema");
}

// A text with the pictures before it and the sounds behind it, as the model was taught. `images`: base64
// each.
Result<ChatHistory::Message> ReadOllamaMessage(const ServedModel& model, const Fields& fields,
                                               const char* role, std::string text) {
  LINNET_ASSIGN(const std::vector<std::string> images, fields.Texts("images"));
  MessageParts parts;
  std::vector<MessageMedia> sounds;
  for (size_t i = 0; i < images.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", fields.PathOf("images"), i);
    auto source = SourceOfBase64(images[i], "image/any");
    if (!source) return Prefixed(place, source.error());
    auto media = model.media.Read(std::move(*source));
    if (!media) return Prefixed(place, media.error());
    if (!media->types.empty() && media->types.front() == "audio") {
      sounds.push_back(std::move(*media));
    } else {
      parts.AddMedia(std::move(*media));
    }
  }
  if (!text.empty() || images.empty()) parts.AddText(std::move(text));
  for (MessageMedia& sound : sounds) parts.AddMedia(std::move(sound));
  return std::move(parts).Message(role);
}

// The calls of an assistant's message, which have no ids of their own here.
Result<Json> ReadOllamaCalls(const Fields& message) {
  LINNET_ASSIGN(const Json* list, message.List("tool_calls"));
  Json calls = Json::array();
  for (size_t i = 0; i < list->size(); ++i) {
    const Fields call((*list)[i], fmt::format("{}[{}]", message.PathOf("tool_calls"), i));
    LINNET_ASSIGN(const Json* json, call.Object("function"));
    const Fields function(*json, call.PathOf("function"));
    LINNET_ASSIGN(const auto name, function.Text("name"));
    LINNET_ASSIGN(const Json* arguments, function.Object("arguments"));
    if (!name) return function.Wrong("name", "is missing", "give the tool's name");
    calls.push_back(CallInHistory({}, *name, arguments->is_null() ? Json::object() : *arguments));
    calls.back().erase("id");
  }
  return calls;
}

// Results stand behind the calls that they answer, in their order where they do not name the tool.
class OllamaTalk {
 public:
  explicit OllamaTalk(const ServedModel& model) : model_(model) {}

  Status Add(const Json& json, const std::string& where) {
    const Fields fields(json, where);
    LINNET_ASSIGN(const auto role, fields.Text("role"));
    LINNET_ASSIGN(auto content, fields.Text("content"));
    if (!role || (*role != "system" && *role != "user" && *role != "assistant" && *role != "tool")) {
      return fields.Wrong("role", role ? "is '" + *role + "'" : "is missing",
                          "give system, user, assistant or tool");
    }
    LINNET_ASSIGN(ChatHistory::Message message,
                  ReadOllamaMessage(model_, fields, role->c_str(), content.value_or("")));
    if (*role == "tool") {
      LINNET_TRY(NameResult(fields, message));
    } else {
      waiting_.clear();
    }
    if (*role == "assistant") {
      LINNET_ASSIGN(Json calls, ReadOllamaCalls(fields));
      LINNET_ASSIGN(const auto thinking, fields.Text("thinking"));
      if (thinking) message.json["reasoning"] = *thinking;
      for (const Json& call : calls) waiting_.push_back(call["function"]["name"]);
      if (!calls.empty()) message.json["tool_calls"] = std::move(calls);
    }
    messages_.push_back(std::move(message));
    return {};
  }

  // Errors: kInvalidArgument, calls are left without their results.
  Result<std::vector<ChatHistory::Message>> TakeMessages() {
    if (waiting_.empty()) return std::move(messages_);
    return Fail(ErrorCode::kInvalidArgument, "messages ends with calls of tools that have no results",
                "send a message of role tool for each");
  }

 private:
  Status NameResult(const Fields& fields, ChatHistory::Message& message) {
    LINNET_ASSIGN(auto name, fields.Text(fields.has("tool_name") ? "tool_name" : "name"));
    const auto call = std::ranges::find_if(
        waiting_, [&](const std::string& one) { return !name || name->empty() || one == *name; });
    if (call == waiting_.end()) {
      return fields.Wrong("role", "is 'tool', and no call waits for this result",
                          "send the assistant's message with its tool_calls before it");
    }
    message.json["name"] = *call;
    waiting_.erase(call);
    return {};
  }

  const ServedModel& model_;
  std::vector<ChatHistory::Message> messages_;
  std::vector<std::string> waiting_;  // calls, by their tools
};

struct OllamaWanted {
  GenerateOptions options;
  Thinking thinking;
  AnswerForm form;
  bool stream = true;
};

Result<OllamaWanted> ReadOllamaWanted(const ServedModel& model, const Fields& body) {
  OllamaWanted wanted;
  LINNET_ASSIGN(wanted.form.source, ReadOllamaFormat(body));
  LINNET_ASSIGN(wanted.options, ReadOllamaOptions(body, model.context));
  LINNET_ASSIGN(wanted.thinking, ReadOllamaThinking(body));
  LINNET_ASSIGN(const auto stream, body.Flag("stream"));
  wanted.stream = stream.value_or(true);
  return wanted;
}

Result<Asked> AskOllama(const ServedModel& model, const HttpRequest& request, OllamaShape shape,
                        PreparedPrompt prepared, const OllamaWanted& wanted) {
  Asked asked{.answers = {}, .stream = wanted.stream, .writer = OllamaWriter(shape, model.name)};
  AnswerRequest answer{.prepared = std::move(prepared), .options = wanted.options, .owner = request.owner};
  BoundThought(model, wanted.thinking, answer);
  asked.answers.push_back(std::move(answer));
  LINNET_TRY(HoldToForm(model, wanted.form, asked));
  return asked;
}

// A client that only wants the model to be loaded, or to go.
Asked NothingToWrite(const ServedModel& model, const Fields& body, OllamaShape shape) {
  const Json& keep = body.at("keep_alive");
  const bool goes = keep == 0 || keep == "0" || keep == "0s";
  Asked asked;
  asked.at_once = OllamaNothing(shape, model.name, goes ? "unload" : "load");
  if (goes) asked.notes.emplace_back("the model stays loaded; keep_alive has no meaning here");
  return asked;
}

}  // namespace

Result<Asked> TranslateOllamaChat(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  LINNET_ASSIGN(OllamaWanted wanted, ReadOllamaWanted(model, body));
  LINNET_ASSIGN(const Json* messages, body.List("messages"));
  if (messages->empty()) return NothingToWrite(model, body, OllamaShape::kChat);
  LINNET_ASSIGN(const Json* tools, body.List("tools"));
  OllamaTalk talk(model);
  for (size_t i = 0; i < messages->size(); ++i) {
    LINNET_TRY(talk.Add((*messages)[i], fmt::format("messages[{}]", i)));
  }
  if (!tools->empty()) wanted.form.tools = *tools;
  ChatHistory history({}, wanted.form.tools, wanted.thinking.wanted);
  LINNET_ASSIGN(std::vector<ChatHistory::Message> read, talk.TakeMessages());
  history.SetMessages(std::move(read));
  LINNET_ASSIGN(PreparedPrompt prepared, Prepare(model.engine, std::move(history), model.context));
  return AskOllama(model, request, OllamaShape::kChat, std::move(prepared), wanted);
}

Result<Asked> TranslateOllamaGenerate(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  LINNET_ASSIGN(const OllamaWanted wanted, ReadOllamaWanted(model, body));
  for (const char* name : {"suffix", "template", "context"}) {
    const Json& value = body.at(name);
    if (!value.is_null() && !value.empty() && value != "") {
      return body.Wrong(name, "is not supported", "leave it out; /api/chat takes what was said before");
    }
  }
  LINNET_ASSIGN(const auto prompt, body.Text("prompt"));
  LINNET_ASSIGN(const auto system, body.Text("system"));
  LINNET_ASSIGN(const auto raw, body.Flag("raw"));
  LINNET_ASSIGN(const std::vector<std::string> images, body.Texts("images"));
  if (prompt.value_or("").empty() && images.empty())
    return NothingToWrite(model, body, OllamaShape::kGenerate);
  if (raw.value_or(false)) {
    if (!images.empty()) return body.Wrong("images", "are given with raw", "leave one of them out");
    const Engine::Impl& impl = model.engine.impl();
    LINNET_ASSIGN(Prompt plain, BuildPlainPrompt(*impl.tokenizer, impl.config, *prompt));
    LINNET_ASSIGN(PreparedPrompt prepared, PreparePlain(model.engine, std::move(plain), model.context));
    return AskOllama(model, request, OllamaShape::kGenerate, std::move(prepared), wanted);
  }
  ChatHistory history(system.value_or(""), Json(), wanted.thinking.wanted);
  std::vector<ChatHistory::Message> messages = history.messages();
  LINNET_ASSIGN(ChatHistory::Message message, ReadOllamaMessage(model, body, "user", prompt.value_or("")));
  messages.push_back(std::move(message));
  history.SetMessages(std::move(messages));
  LINNET_ASSIGN(PreparedPrompt prepared, Prepare(model.engine, std::move(history), model.context));
  return AskOllama(model, request, OllamaShape::kGenerate, std::move(prepared), wanted);
}

std::vector<TranslatedRoute> OllamaRoutes() {
  return {{"POST", "/api/chat", TranslateOllamaChat}, {"POST", "/api/generate", TranslateOllamaGenerate},
          {"POST", "/api/show", OllamaShow},          {"POST", "/api/pull", OllamaPull},
          {"GET", "/api/tags", OllamaTags},           {"GET", "/api/ps", OllamaRunning},
          {"GET", "/api/version", OllamaVersion}};
}

}  // namespace linnet
