#include "server/openai_completions.h"

#include <utility>

#include "runtime/engine_impl.h"
#include "server/openai_request.h"
#include "server/openai_writer.h"
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

class CompletionWriter : public OpenAiWriter {
 public:
  // `echo`: what each text begins with.
  CompletionWriter(const std::string& model, std::string echo, int64_t choices, bool usage)
      : OpenAiWriter({.id = "cmpl-",
                      .object = "text_completion",
                      .chunk = "text_completion",
                      .model = model,
                      .choices = static_cast<size_t>(choices),
                      .usage = usage}),
        echo_(std::move(echo)),
        told_(static_cast<size_t>(choices), echo_.size()) {}

  std::string Begin() override {
    std::string pieces;
    for (size_t choice = 0; choice < choices() && !echo_.empty(); ++choice) {
      pieces += Chunk(Choice(choice, echo_, nullptr, {}));
    }
    return pieces;
  }
  std::string Event(size_t choice, const TurnEvent& event) override {
    return Chunk(Choice(choice, event.text, nullptr, LogprobsJson(event.logprobs, told_[choice])));
  }
  std::string End(size_t choice, const Generation& answer) override {
    Count(choice, answer);
    return Chunk(Choice(choice, "", OpenAiFinish(answer.finish), {}));
  }

 private:
  static Json Choice(size_t choice, const std::string& text, const Json& finish, Json logprobs) {
    return {{"text", text}, {"index", choice}, {"logprobs", std::move(logprobs)}, {"finish_reason", finish}};
  }
  Json ChoiceOf(size_t choice, const Generation& answer) override {
    return Choice(choice, echo_ + answer.text, OpenAiFinish(answer.finish),
                  LogprobsJson(answer.logprobs, told_[choice]));
  }

  std::string echo_;
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
  LINNET_ASSIGN(const Streaming streaming, ReadStreaming(body));
  LINNET_ASSIGN(const auto echoed, body.Flag("echo"));
  AnswerForm form;
  LINNET_ASSIGN(form.source, ReadAnswerForm(body));
  LINNET_ASSIGN(Prompt prompt, ReadPrompt(body, model.engine));
  std::string echo;
  if (echoed.value_or(false)) {
    echo =
        body.at("prompt").is_string() ? body.at("prompt").get<std::string>() : model.engine.Text(prompt.ids);
  }
  LINNET_ASSIGN(const PreparedPrompt prepared, PreparePlain(model.engine, std::move(prompt), model.context));
  Asked asked{
      .answers = AskForChoices(choices, prepared, options, request.owner),
      .stream = streaming.stream,
      .writer = std::make_unique<CompletionWriter>(model.name, std::move(echo), choices, streaming.usage)};
  LINNET_TRY(HoldToForm(model, form, asked));
  return asked;
}

}  // namespace linnet
