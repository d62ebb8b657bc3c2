#include "server/openai_completions.h"

#include <utility>

#include "runtime/engine_impl.h"
#include "server/openai_request.h"
#include "server/structured.h"

namespace linnet {
namespace {

// Null where none were asked for. `offset`, where in the text the first token begins, is moved behind the
// last.
Json LogprobsJson(const std::vector<TokenLogprob>& tokens, size_t& offset) {
  if (tokens.empty()) return {};
  Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : tokens) {
    texts.push_back(token.chosen.text);
    logprobs.push_back(token.chosen.logprob);
    offsets.push_back(offset);
    offset += token.chosen.text.size();
    Json top = Json::object();
    for (const TokenChance& other : token.top) top[other.text] = other.logprob;
    tops.push_back(std::move(top));
  }
  return {{"tokens", texts}, {"token_logprobs", logprobs}, {"top_logprobs", tops}, {"text_offset", offsets}};
}

class CompletionWriter : public AnswerWriter {
 public:
  struct Shape {
    std::string model, echo;  // what each text begins with
    size_t choices = 1;
    bool usage = false;
  };
  explicit CompletionWriter(Shape shape)
      : shape_(std::move(shape)),
        id_(NewId("cmpl-")),
        created_(UnixTime()),
        stats_(shape_.choices),
        told_(shape_.choices, shape_.echo.size()) {}

  std::string Begin() override {
    std::string pieces;
    for (size_t choice = 0; choice < shape_.choices && !shape_.echo.empty(); ++choice) {
      pieces += Chunk(choice, shape_.echo, Json());
    }
    return pieces;
  }
  std::string Event(size_t choice, const TurnEvent& event) override {
    return Chunk(choice, event.text, Json(), LogprobsJson(event.logprobs, told_[choice]));
  }
  std::string End(size_t choice, const Generation& answer) override {
    stats_[choice] = answer.stats;
    return Chunk(choice, "", OpenAiFinish(answer.finish));
  }
  std::string Finish() override {
    std::string pieces;
    if (shape_.usage) {
      Json chunk = Head();
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
    Json whole = Head();
    whole["choices"] = Json::array();
    for (size_t choice = 0; choice < answers.size(); ++choice) {
      stats_[choice] = answers[choice].stats;
      whole["choices"].push_back(Choice(choice, shape_.echo + answers[choice].text,
                                        OpenAiFinish(answers[choice].finish),
                                        LogprobsJson(answers[choice].logprobs, told_[choice])));
    }
    whole["usage"] = Usage();
    return Dump(whole);
  }

 private:
  Json Head() const {
    return {{"id", id_}, {"object", "text_completion"}, {"created", created_}, {"model", shape_.model}};
  }
  static Json Choice(size_t choice, const std::string& text, const Json& finish, Json logprobs) {
    return {{"text", text}, {"index", choice}, {"logprobs", std::move(logprobs)}, {"finish_reason", finish}};
  }
  std::string Chunk(size_t choice, const std::string& text, const Json& finish, Json logprobs = {}) const {
    Json chunk = Head();
    chunk["choices"] = Json::array({Choice(choice, text, finish, std::move(logprobs))});
    return ServerSentEvent(chunk);
  }
  Json Usage() const {
    int64_t written = 0;
    for (const GenerateStats& stats : stats_) written += stats.generated_tokens;
    const GenerateStats& first = stats_.front();
    return OpenAiUsage(first.prompt_tokens + first.reused_tokens, first.reused_tokens, written, 0);
  }

  Shape shape_;
  std::string id_;
  int64_t created_;
  std::vector<GenerateStats> stats_;
  std::vector<size_t> told_;  // bytes of each text before the next token
};

// A text, the tokens of one, or a list with one of these.
Result<Prompt> ReadPrompt(const Fields& body, const Engine& engine) {
  const Json* value = &body.at("prompt");
  if (value->is_array() && value->size() == 1 && !value->front().is_number()) value = &value->front();
  const Engine::Impl& impl = engine.impl();
  if (value->is_string()) return BuildPlainPrompt(*impl.tokenizer, impl.config, value->get<std::string>());
  const auto wrong = [&] {
    return body.Wrong("prompt", "is neither a text nor a list of tokens", "give one text a request");
  };
  if (!value->is_array() || value->empty()) return wrong();
  Prompt prompt;
  for (const Json& token : *value) {
    if (!token.is_number_integer()) return wrong();
    const int64_t id = token.get<int64_t>();
    if (id < 0 || id >= impl.config.vocab_size) {
      return body.Wrong("prompt", "has a token that the vocabulary does not have", "check the tokens");
    }
    prompt.ids.push_back(static_cast<int32_t>(id));
  }
  prompt.types.assign(prompt.ids.size(), TokenType::kText);
  return prompt;
}

}  // namespace

Result<Asked> TranslateOpenAiCompletion(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  if (body.has("suffix") && body.at("suffix") != "") {
    return body.Wrong("suffix", "is not supported: this model fills no gaps", "leave it out");
  }
  LINNET_ASSIGN(GenerateOptions options, ReadOpenAiOptions(body));
  if (options.max_tokens == 0) options.max_tokens = 16;  // the protocol's own
  LINNET_ASSIGN(const int64_t choices, ReadChoices(body));
  LINNET_ASSIGN(const auto best_of, body.Integer("best_of", {0, 1e6}));
  if (best_of.value_or(choices) != choices) return body.Wrong("best_of", "is not supported", "give n");
  LINNET_ASSIGN(const auto logprobs, body.Integer("logprobs", {0, 20}));
  if (logprobs) options.logprobs = static_cast<int32_t>(*logprobs);
  LINNET_ASSIGN(const auto stream, body.Flag("stream"));
  LINNET_ASSIGN(const auto echo, body.Flag("echo"));
  LINNET_ASSIGN(const Json* stream_options, body.Object("stream_options"));
  LINNET_ASSIGN(const auto usage, Fields(*stream_options, "stream_options").Flag("include_usage"));
  AnswerForm form;
  LINNET_ASSIGN(form.source, ReadAnswerForm(body));
  LINNET_ASSIGN(Prompt prompt, ReadPrompt(body, model.engine));
  CompletionWriter::Shape shape{.model = model.name,
                                .echo = {},
                                .choices = static_cast<size_t>(choices),
                                .usage = usage.value_or(false)};
  if (echo.value_or(false)) {
    shape.echo =
        body.at("prompt").is_string() ? body.at("prompt").get<std::string>() : model.engine.Text(prompt.ids);
  }
  LINNET_ASSIGN(PreparedPrompt prepared, PreparePlain(model.engine, std::move(prompt), model.context));
  Asked asked{.answers = {}, .stream = stream.value_or(false)};
  for (int64_t choice = 0; choice < choices; ++choice) {
    AnswerRequest answer{.prepared = prepared, .options = options, .owner = request.owner};
    answer.options.sampling.seed += static_cast<uint64_t>(choice);
    asked.answers.push_back(std::move(answer));
  }
  LINNET_TRY(HoldToForm(model, form, asked));
  asked.writer = std::make_unique<CompletionWriter>(std::move(shape));
  return asked;
}

}  // namespace linnet
