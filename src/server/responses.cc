#include "server/responses.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <string>
#include <utility>

#include "runtime/engine_impl.h"
#include "server/responses_items.h"
#include "server/responses_writer.h"
#include "server/sampling_fields.h"
#include "server/thinking.h"

namespace linnet {
namespace {

constexpr size_t kMostBefore = 1000;  // responses that one goes on from

Status RefuseOfResponses(const Fields& body) {
  for (const char* name : {"conversation", "prompt", "context_management"}) {
    if (body.has(name) && !body.at(name).empty()) {
      return body.Wrong(name, "is not supported", "send the items as input");
    }
  }
  LINNET_ASSIGN(const auto background, body.Flag("background"));
  if (background.value_or(false)) return body.Wrong("background", "is not supported", "leave it out");
  LINNET_ASSIGN(const auto logprobs, body.Integer("top_logprobs", {0, 20}));
  if (logprobs.value_or(0) > 0) return body.Wrong("top_logprobs", "are not supported", "leave them out");
  return {};
}

// Whether thoughts are to be given in a form that comes back.
Result<bool> ReadInclude(const Fields& body) {
  LINNET_ASSIGN(const std::vector<std::string> include, body.Texts("include"));
  if (std::ranges::find(include, "message.output_text.logprobs") != include.end()) {
    return body.Wrong("include", "asks for logprobs, which are not supported", "leave them out");
  }
  return std::ranges::find(include, "reasoning.encrypted_content") != include.end();
}

Result<GenerateOptions> ReadResponseOptions(const Fields& body) {
  GenerateOptions options;
  LINNET_ASSIGN(const auto most, body.Integer("max_output_tokens", {1, kMostAsked}));
  options.max_tokens = most.value_or(0);
  LINNET_ASSIGN(options.sampling, ReadSampling(body));
  return options;
}

Result<Thinking> ReadResponseThinking(const Fields& body) {
  LINNET_ASSIGN(const Json* json, body.Object("reasoning"));
  LINNET_ASSIGN(const auto effort, Fields(*json, "reasoning").Text("effort"));
  if (!effort) return Thinking{};
  return ThinkingOfEffort(*effort, "reasoning.effort");
}

// `text: {"format": …}`: "json_schema" with its schema, or "json_object".
Result<std::optional<GrammarSource>> ReadTextFormat(const Fields& body) {
  LINNET_ASSIGN(const Json* text, body.Object("text"));
  LINNET_ASSIGN(const Json* json, Fields(*text, "text").Object("format"));
  const Fields format(*json, "text.format");
  LINNET_ASSIGN(const auto type, format.Text("type"));
  if (!type || *type == "text") return std::nullopt;
  if (*type == "json_object") return GrammarSource{.kind = GrammarKind::kJsonObject};
  if (*type != "json_schema") {
    return format.Wrong("type", "is '" + *type + "'", "give text, json_object or json_schema");
  }
  if (!format.has("schema")) return format.Wrong("schema", "is missing", "give the schema");
  return GrammarSource{.kind = GrammarKind::kJsonSchema, .text = Dump(format.at("schema"))};
}

struct ResponseToolUse {
  ResponseTools tools;
  AnswerForm form;
};

// Tools are named as {"type": "function", "name": …} here, and as the chat's {"function": {"name": …}} there.
Json InChatsShape(const Json& tool) {
  if (!tool.is_object() || !tool.contains("name") || !tool["name"].is_string()) return tool;
  const Json space = tool.value("namespace", Json(""));
  return {{"type", "function"},
          {"function",
           {{"name", ResponseTools::FlatName(space.is_string() ? space.get<std::string>() : "",
                                             tool["name"].get<std::string>())}}}};
}

Result<ResponseToolUse> ToolsOf(const Fields& body) {
  ResponseToolUse read;
  LINNET_ASSIGN(read.form.source, ReadTextFormat(body));
  LINNET_TRY(read.tools.Read(body));
  read.form.tools = read.tools.declarations();
  Json choice = body.at("tool_choice");
  if (choice.is_object() && choice.value("type", Json()) == "allowed_tools") {
    for (Json& tool : choice["tools"]) tool = InChatsShape(tool);
  } else {
    choice = InChatsShape(choice);
  }
  const Json asked = {{"tool_choice", std::move(choice)},
                      {"parallel_tool_calls", body.at("parallel_tool_calls")}};
  LINNET_TRY(ReadToolChoice(Fields(asked), read.form));
  return read;
}

Status AddItems(const Json& items, const std::string& where, ResponseItems& read) {
  for (size_t i = 0; items.is_array() && i < items.size(); ++i) {
    LINNET_TRY(read.Add(items[i], fmt::format("{}[{}]", where, i)));
  }
  return {};
}

// Of a file that somebody may have changed.
Json ListIn(const std::string& text) {
  Json list = Json::parse(text, nullptr, false);
  return list.is_array() ? list : Json::array();
}

// What a request goes on from, the first first.
Status AddStored(const ResponseStore& store, const std::string& owner, std::string id, ResponseItems& read) {
  std::vector<std::pair<std::string, ResponseStore::Stored>> before;
  while (!id.empty()) {
    if (before.size() == kMostBefore) {
      return Fail(ErrorCode::kInvalidArgument, "previous_response_id goes on from too many responses",
                  "send the items as input");
    }
    auto stored = store.Get(id, owner);
    if (!stored) return Prefixed("previous_response_id", stored.error());
    std::string next = stored->previous;
    before.emplace_back(std::exchange(id, std::move(next)), std::move(*stored));
  }
  for (const auto& [name, stored] : std::ranges::reverse_view(before)) {
    LINNET_TRY(AddItems(ListIn(stored.input), name + ".input", read));
    const Json response = Json::parse(stored.response, nullptr, false);
    LINNET_TRY(AddItems(Fields(response).at("output"), name + ".output", read));
  }
  return {};
}

// `input`: a text, or items. As items with ids, to be stored.
Result<Json> ReadInput(const Fields& body) {
  const Json& input = body.at("input");
  if (input.is_string()) {
    return Json::array({{{"type", "message"}, {"role", "user"}, {"content", input}, {"id", NewId("msg_")}}});
  }
  if (!input.is_array()) return body.Wrong("input", "is neither a text nor a list of items", "give a text");
  Json items = input;
  for (Json& item : items) {
    if (!item.is_object()) continue;
    if (!item.contains("type") && item.contains("role")) item["type"] = "message";
    if (!item.contains("id")) item["id"] = NewId("item_");
  }
  return items;
}

// Members of a response that repeat the request, with what they are where it says nothing.
Json EchoOf(const Fields& body, const GenerateOptions& options, bool store) {
  Json echo = {{"instructions", nullptr},
               {"max_output_tokens", nullptr},
               {"metadata", Json::object()},
               {"parallel_tool_calls", true},
               {"previous_response_id", nullptr},
               {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
               {"temperature", nullptr},
               {"text", {{"format", {{"type", "text"}}}}},
               {"tool_choice", "auto"},
               {"tools", Json::array()},
               {"top_p", nullptr},
               {"truncation", "disabled"}};
  for (const auto& [name, usual] : echo.items()) {
    if (body.has(name.c_str())) echo[name] = body.at(name.c_str());
  }
  if (options.sampling.temperature) echo["temperature"] = *options.sampling.temperature;
  echo["store"] = store;
  return echo;
}

struct ResponseRequest {
  ChatHistory history;
  Thinking thinking;
  ResponseToolUse tools;
  Json input;
  std::string previous;
  std::vector<std::string> notes;
};

Result<ResponseRequest> ReadResponseHistory(const ServedModel& model, const ResponseStore& store,
                                            const Fields& body, const std::string& owner) {
  LINNET_TRY(RefuseOfResponses(body));
  LINNET_ASSIGN(ResponseToolUse tools, ToolsOf(body));
  LINNET_ASSIGN(const Thinking thinking, ReadResponseThinking(body));
  LINNET_ASSIGN(const auto instructions, body.Text("instructions"));
  LINNET_ASSIGN(const auto previous, body.Text("previous_response_id"));
  LINNET_ASSIGN(Json input, ReadInput(body));
  ResponseItems items(model.media);
  items.Instructions(instructions.value_or(""));
  LINNET_TRY(AddStored(store, owner, previous.value_or(""), items));
  LINNET_TRY(AddItems(input, "input", items));
  ChatHistory history({}, tools.form.tools, thinking.wanted);
  LINNET_ASSIGN(std::vector<ChatHistory::Message> messages, items.TakeMessages());
  history.SetMessages(std::move(messages));
  std::vector<std::string> notes = tools.tools.notes();
  std::ranges::copy(items.notes(), std::back_inserter(notes));
  return ResponseRequest{std::move(history),    thinking,        std::move(tools), std::move(input),
                         previous.value_or(""), std::move(notes)};
}

Result<Asked> CreateResponse(const ServedModel& model, ResponseStore& store, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  LINNET_ASSIGN(const GenerateOptions options, ReadResponseOptions(body));
  LINNET_ASSIGN(const auto stream, body.Flag("stream"));
  LINNET_ASSIGN(const auto stored, body.Flag("store"));
  LINNET_ASSIGN(const bool sealed, ReadInclude(body));
  LINNET_ASSIGN(ResponseRequest read, ReadResponseHistory(model, store, body, request.owner));
  LINNET_ASSIGN(PreparedPrompt prepared, Prepare(model.engine, std::move(read.history), model.context));
  ResponseShape shape{.id = NewId("resp_"),
                      .echo = EchoOf(body, options, stored.value_or(true)),
                      .tools = std::move(read.tools.tools),
                      .sealed_thoughts = sealed};
  if (stored.value_or(true)) {
    shape.store = [&store, id = shape.id, owner = request.owner, previous = read.previous,
                   input = Dump(read.input)](const std::string& response) {
      return store.Put(id, owner, {previous, input, response}).has_value();
    };
  }
  Asked asked{.answers = {},
              .stream = stream.value_or(false),
              .writer = ResponsesWriter(model.name, std::move(shape)),
              .notes = std::move(read.notes)};
  AnswerRequest answer{.prepared = std::move(prepared),
                       .options = options,
                       .owner = request.owner,
                       .one_call = !read.tools.form.calls.parallel};
  BoundThought(model, read.thinking, answer);
  asked.answers.push_back(std::move(answer));
  LINNET_TRY(HoldToForm(model, read.tools.form, asked));
  return asked;
}

Result<Asked> CountResponseTokens(const ServedModel& model, ResponseStore& store,
                                  const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  LINNET_ASSIGN(ResponseRequest read, ReadResponseHistory(model, store, Fields(json), request.owner));
  const Engine::Impl& impl = model.engine.impl();
  LINNET_ASSIGN(const ChatHistory::Rendered rendered, read.history.Render(*impl.tokenizer, impl.config));
  Asked asked;
  asked.at_once = HttpAnswer{
      .body = Dump({{"object", "response.input_tokens"}, {"input_tokens", rendered.prompt.ids.size()}})};
  return asked;
}

Asked ResponseAtOnce(std::string body) {
  Asked asked;
  asked.at_once = HttpAnswer{.body = std::move(body)};
  return asked;
}

// "resp_1" of "/v1/responses/resp_1" and of what lies below it.
std::string IdOf(const HttpRequest& request) {
  const std::string rest = request.path.substr(std::string_view("/v1/responses/").size());
  return rest.substr(0, rest.find('/'));
}

Result<Asked> FindResponse(ResponseStore& store, const HttpRequest& request) {
  if (request.query.find("stream=true") != std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, "a stored response is not streamed again", "leave stream out");
  }
  LINNET_ASSIGN(ResponseStore::Stored stored, store.Get(IdOf(request), request.owner));
  return ResponseAtOnce(std::move(stored.response));
}

Result<Asked> FindInput(ResponseStore& store, const HttpRequest& request) {
  LINNET_ASSIGN(const ResponseStore::Stored stored, store.Get(IdOf(request), request.owner));
  const Json items = ListIn(stored.input);
  Json list = {{"object", "list"}, {"data", items}, {"has_more", false}};
  list["first_id"] = items.empty() ? Json() : items.front().value("id", Json());
  list["last_id"] = items.empty() ? Json() : items.back().value("id", Json());
  return ResponseAtOnce(Dump(list));
}

Result<Asked> RemoveResponse(ResponseStore& store, const HttpRequest& request) {
  const std::string id = IdOf(request);
  LINNET_TRY(store.Delete(id, request.owner));
  return ResponseAtOnce(Dump({{"id", id}, {"object", "response"}, {"deleted", true}}));
}

}  // namespace

std::vector<TranslatedRoute> ResponsesRoutes(ResponseStore& store) {
  const auto with = [&store](auto handle) -> Translate {
    return
        [&store, handle](const ServedModel&, const HttpRequest& request) { return handle(store, request); };
  };
  return {{"POST", "/v1/responses",
           [&store](const ServedModel& model, const HttpRequest& request) {
             return CreateResponse(model, store, request);
           }},
          {"POST", "/v1/responses/input_tokens",
           [&store](const ServedModel& model, const HttpRequest& request) {
             return CountResponseTokens(model, store, request);
           }},
          {"GET", "/v1/responses/*", with(FindResponse)},
          {"DELETE", "/v1/responses/*", with(RemoveResponse)},
          {"GET", "/v1/responses/*/input_items", with(FindInput)}};
}

}  // namespace linnet
