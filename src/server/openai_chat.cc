#include "server/openai_chat.h"

#include <utility>

#include "server/chat_messages.h"
#include "server/openai_request.h"
#include "server/openai_writer.h"
#include "server/sampling_fields.h"
#include "server/structured.h"
#include "server/thinking.h"

namespace linnet {
namespace {

// Calls as OpenAI's clients know them: numbered within an answer, with ids of their own.
Json CallJson(const ToolCall& call, const std::string& id) {
  return {
      {"id", id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

Json ChanceJson(const TokenChance& token) {
  Json bytes = Json::array();
  for (const char byte : token.text) bytes.push_back(static_cast<uint8_t>(byte));
  return {{"token", token.text}, {"logprob", token.logprob}, {"bytes", std::move(bytes)}};
}

// Null where none were asked for.
Json LogprobsJson(const std::vector<TokenLogprob>& tokens) {
  if (tokens.empty()) return {};
  Json content = Json::array();
  for (const TokenLogprob& token : tokens) {
    Json one = ChanceJson(token.chosen);
    one["top_logprobs"] = Json::array();
    for (const TokenChance& other : token.top) one["top_logprobs"].push_back(ChanceJson(other));
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

class ChatWriter : public OpenAiWriter {
 public:
  ChatWriter(const std::string& model, int64_t choices, bool usage)
      : OpenAiWriter({.id = "chatcmpl-",
                      .object = "chat.completion",
                      .chunk = "chat.completion.chunk",
                      .model = model,
                      .choices = static_cast<size_t>(choices),
                      .usage = usage}),
        calls_(static_cast<size_t>(choices)) {}

  std::string Begin() override {
    std::string pieces;
    for (size_t choice = 0; choice < choices(); ++choice) {
      pieces += Delta(choice, {{"role", "assistant"}, {"content", ""}});
    }
    return pieces;
  }

  std::string Event(size_t choice, const TurnEvent& event) override {
    switch (event.kind) {
      case TurnEvent::Kind::kThought:
        return Delta(choice, {{"reasoning_content", event.text}});
      case TurnEvent::Kind::kText:
        return Delta(choice, {{"content", event.text}}, nullptr, LogprobsJson(event.logprobs));
      case TurnEvent::Kind::kCallPart:
        return Joined({BeginCall(choice, event.call.name), Arguments(choice, event.text)});
      case TurnEvent::Kind::kToolCall:
        break;
    }
    std::string pieces = BeginCall(choice, event.call.name);
    pieces += Arguments(choice, event.call.arguments.substr(calls_[choice].told));
    calls_[choice] = {.index = calls_[choice].index + 1};
    return pieces;
  }

  std::string End(size_t choice, const Generation& answer) override {
    Count(choice, answer);
    return Delta(choice, Json::object(), OpenAiFinish(answer.finish));
  }

 private:
  // The call that is being told, or the next one.
  struct Call {
    int index = 0;
    bool begun = false;
    size_t told = 0;  // bytes of its arguments
  };

  // Names the call unless that was done.
  std::string BeginCall(size_t choice, const std::string& name) {
    if (std::exchange(calls_[choice].begun, true)) return {};
    Json call = {{"index", calls_[choice].index}};
    call.update(CallJson({.name = name, .arguments = {}}, NewId("call_")));
    return Delta(choice, {{"tool_calls", Json::array({std::move(call)})}});
  }
  std::string Arguments(size_t choice, const std::string& more) {
    if (more.empty()) return {};
    calls_[choice].told += more.size();
    Json call = {{"index", calls_[choice].index}, {"function", {{"arguments", more}}}};
    return Delta(choice, {{"tool_calls", Json::array({std::move(call)})}});
  }

  std::string Delta(size_t choice, Json delta, const Json& finish = nullptr, Json logprobs = {}) const {
    return Chunk({{"index", choice},
                  {"delta", std::move(delta)},
                  {"logprobs", std::move(logprobs)},
                  {"finish_reason", finish}});
  }

  Json ChoiceOf(size_t choice, const Generation& answer) override {
    Json message = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
    if (!answer.thought.empty()) message["reasoning_content"] = answer.thought;
    if (!answer.tool_calls.empty()) {
      if (answer.text.empty()) message["content"] = nullptr;
      for (const ToolCall& call : answer.tool_calls) {
        message["tool_calls"].push_back(CallJson(call, NewId("call_")));
      }
    }
    return {{"index", choice},
            {"message", std::move(message)},
            {"logprobs", LogprobsJson(answer.logprobs)},
            {"finish_reason", OpenAiFinish(answer.finish)}};
  }

  std::vector<Call> calls_;  // by choice
};

Result<AnswerForm> ReadForm(const Fields& body) {
  AnswerForm form;
  LINNET_ASSIGN(form.source, ReadAnswerForm(body));
  LINNET_ASSIGN(const Json* tools, body.List("tools"));
  for (const char* name : {"functions", "function_call"}) {
    if (body.has(name)) return body.Wrong(name, "is not supported", "give tools and tool_choice");
  }
  form.tools = *tools;
  LINNET_TRY(ReadToolChoice(body, form));
  return form;
}

// Whether it thinks before it answers: `reasoning_effort`, `reasoning: {effort}`, or `chat_template_kwargs:
// {enable_thinking}`; `reasoning: {max_tokens}` bounds it.
Result<Thinking> ReadThinking(const Fields& body) {
  LINNET_ASSIGN(const Json* arguments, body.Object("chat_template_kwargs"));
  LINNET_ASSIGN(const auto enabled,
                Fields(*arguments, body.PathOf("chat_template_kwargs")).Flag("enable_thinking"));
  if (enabled) return Thinking{.wanted = *enabled};
  LINNET_ASSIGN(const Json* reasoning, body.Object("reasoning"));
  const Fields inner(*reasoning, body.PathOf("reasoning"));
  const bool nested = inner.has("effort");
  LINNET_ASSIGN(const auto effort, nested ? inner.Text("effort") : body.Text("reasoning_effort"));
  LINNET_ASSIGN(const auto most, inner.Integer("max_tokens", {1, kMostAsked}));
  if (most) return Thinking{true, *most};
  if (!effort) return Thinking{};
  return ThinkingOfEffort(*effort, nested ? inner.PathOf("effort") : body.PathOf("reasoning_effort"));
}

Result<int32_t> ReadLogprobs(const Fields& body) {
  constexpr double kMost = 20;
  LINNET_ASSIGN(const auto wanted, body.Flag("logprobs"));
  LINNET_ASSIGN(const auto top, body.Integer("top_logprobs", {0, kMost}));
  if (wanted.value_or(false)) return static_cast<int32_t>(top.value_or(0));
  if (top) return body.Wrong("top_logprobs", "is given without logprobs", "give \"logprobs\": true too");
  return -1;
}

}  // namespace

Result<Asked> TranslateOpenAiChat(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  LINNET_ASSIGN(GenerateOptions options, ReadOpenAiOptions(body));
  LINNET_ASSIGN(const int64_t choices, ReadChoices(body));
  LINNET_ASSIGN(options.logprobs, ReadLogprobs(body));
  LINNET_ASSIGN(const AnswerForm form, ReadForm(body));
  LINNET_ASSIGN(const Thinking thinking, ReadThinking(body));
  LINNET_ASSIGN(const Streaming streaming, ReadStreaming(body));

  LINNET_ASSIGN(ReadMessages messages, ReadChatMessages(body.at("messages"), model.media));
  ChatHistory history({}, form.tools, thinking.wanted);
  history.SetMessages(std::move(messages.messages));
  LINNET_ASSIGN(const PreparedPrompt prepared, Prepare(model.engine, std::move(history), model.context));

  Asked asked{.answers = AskForChoices(choices, prepared, options, request.owner),
              .stream = streaming.stream,
              .writer = std::make_unique<ChatWriter>(model.name, choices, streaming.usage),
              .notes = std::move(messages.notes)};
  for (AnswerRequest& answer : asked.answers) {
    answer.one_call = !form.calls.parallel;
    BoundThought(model, thinking, answer);
  }
  LINNET_TRY(HoldToForm(model, form, asked));
  return asked;
}

}  // namespace linnet
