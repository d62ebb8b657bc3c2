#include "server/openai_chat.h"

#include <fmt/format.h>

#include <utility>

#include "server/chat_messages.h"
#include "server/openai_request.h"
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

class ChatWriter : public AnswerWriter {
 public:
  ChatWriter(std::string model, size_t choices, bool usage)
      : model_(std::move(model)), id_(NewId("chatcmpl-")), created_(UnixTime()), usage_(usage) {
    calls_.resize(choices);
    answers_.resize(choices);
  }

  std::string Begin() override {
    std::string pieces;
    for (size_t choice = 0; choice < calls_.size(); ++choice) {
      pieces += Chunk(choice, {{"role", "assistant"}, {"content", ""}});
    }
    return pieces;
  }

  std::string Event(size_t choice, const TurnEvent& event) override {
    switch (event.kind) {
      case TurnEvent::Kind::kThought:
        return Chunk(choice, {{"reasoning_content", event.text}});
      case TurnEvent::Kind::kText:
        return Chunk(choice, {{"content", event.text}}, nullptr, LogprobsJson(event.logprobs));
      case TurnEvent::Kind::kToolCall:
        break;
    }
    Json call = {{"index", calls_[choice]++}};
    call.update(CallJson(event.call, NewId("call_")));
    return Chunk(choice, {{"tool_calls", Json::array({std::move(call)})}});
  }

  std::string End(size_t choice, const Generation& answer) override {
    answers_[choice] = {answer.stats, static_cast<int64_t>(answer.written.thought.size())};
    return Chunk(choice, Json::object(), OpenAiFinish(answer.finish));
  }

  std::string Finish() override {
    std::string pieces;
    if (usage_) {
      Json chunk = Head("chat.completion.chunk");
      chunk["choices"] = Json::array();
      chunk["usage"] = Usage();
      pieces = ServerSentEvent(chunk);
    }
    return pieces + "data: [DONE]\n\n";
  }

  std::string Failure(const Error& error) override {
    return "data: " + ErrorBody("", StatusOf(error), error.Message()) + "\n\n";
  }

  std::string Whole(const std::vector<Generation>& answers) override {
    Json whole = Head("chat.completion");
    whole["choices"] = Json::array();
    for (size_t choice = 0; choice < answers.size(); ++choice) {
      const Generation& answer = answers[choice];
      answers_[choice] = {answer.stats, static_cast<int64_t>(answer.written.thought.size())};
      Json message = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
      if (!answer.thought.empty()) message["reasoning_content"] = answer.thought;
      if (!answer.tool_calls.empty()) {
        if (answer.text.empty()) message["content"] = nullptr;
        for (const ToolCall& call : answer.tool_calls) {
          message["tool_calls"].push_back(CallJson(call, NewId("call_")));
        }
      }
      whole["choices"].push_back({{"index", choice},
                                  {"message", std::move(message)},
                                  {"logprobs", LogprobsJson(answer.logprobs)},
                                  {"finish_reason", OpenAiFinish(answer.finish)}});
    }
    whole["usage"] = Usage();
    return Dump(whole);
  }

 private:
  struct Counted {
    GenerateStats stats;
    int64_t thought = 0;
  };

  Json Head(const char* object) const {
    return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_}};
  }

  std::string Chunk(size_t choice, Json delta, const char* finish = nullptr, Json logprobs = {}) const {
    Json chunk = Head("chat.completion.chunk");
    Json one = {{"index", choice}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}};
    one["finish_reason"] = finish == nullptr ? Json() : Json(finish);
    chunk["choices"] = Json::array({std::move(one)});
    if (usage_) chunk["usage"] = nullptr;
    return ServerSentEvent(chunk);
  }

  Json Usage() const {
    const GenerateStats& first = answers_.front().stats;
    int64_t written = 0, thought = 0;
    for (const Counted& answer : answers_) {
      written += answer.stats.generated_tokens;
      thought += answer.thought;
    }
    return OpenAiUsage(first.prompt_tokens + first.reused_tokens, first.reused_tokens, written, thought);
  }

  std::string model_, id_;
  int64_t created_;
  bool usage_;
  std::vector<int> calls_;  // told so far, by choice
  std::vector<Counted> answers_;
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
  LINNET_ASSIGN(AnswerForm form, ReadForm(body));
  LINNET_ASSIGN(const Thinking thinking, ReadThinking(body));
  LINNET_ASSIGN(const auto stream, body.Flag("stream"));
  LINNET_ASSIGN(const Json* stream_options, body.Object("stream_options"));
  LINNET_ASSIGN(const auto usage, Fields(*stream_options, "stream_options").Flag("include_usage"));

  LINNET_ASSIGN(ReadMessages messages, ReadChatMessages(body.at("messages"), model.media));
  ChatHistory history({}, form.tools, thinking.wanted);
  history.SetMessages(std::move(messages.messages));
  LINNET_ASSIGN(PreparedPrompt prepared, Prepare(model.engine, std::move(history), model.context));

  Asked asked{.answers = {}, .stream = stream.value_or(false), .writer = {}, .notes = messages.notes};
  for (int64_t choice = 0; choice < choices; ++choice) {
    AnswerRequest answer{
        .prepared = prepared, .options = options, .owner = request.owner, .one_call = !form.calls.parallel};
    answer.options.sampling.seed += static_cast<uint64_t>(choice);
    BoundThought(model, thinking, answer);
    asked.answers.push_back(std::move(answer));
  }
  LINNET_TRY(HoldToForm(model, form, asked));
  asked.writer =
      std::make_unique<ChatWriter>(model.name, static_cast<size_t>(choices), usage.value_or(false));
  return asked;
}

}  // namespace linnet
