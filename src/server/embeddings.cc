#include "server/embeddings.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

constexpr size_t kMostTexts = 2048;

using States = std::vector<std::vector<float>>;

struct EmbedRequest {
  States::size_type tokens = 0;
  std::vector<std::vector<int32_t>> texts;
  bool base64 = false;
};

// A text, or the tokens of one. Errors: kInvalidArgument names its place.
Result<std::vector<int32_t>> ReadText(const ServedModel& model, const Json& input, const std::string& place) {
  const Engine::Impl& impl = model.engine.impl();
  std::vector<int32_t> ids;
  if (input.is_string()) {
    ids = impl.tokenizer->EncodeOrdinary(input.get_ref<const std::string&>());
    if (!ids.empty() && impl.config.tokens.bos >= 0) ids.insert(ids.begin(), impl.config.tokens.bos);
  } else if (input.is_array()) {
    for (const Json& token : input) {
      const int64_t id = token.is_number_integer() ? token.get<int64_t>() : -1;
      if (id < 0 || id >= impl.config.vocab_size) {
        return Fail(ErrorCode::kInvalidArgument, place + " has a token that the vocabulary does not have",
                    "send texts; tokens are those of this model");
      }
      ids.push_back(static_cast<int32_t>(id));
    }
  }
  if (ids.empty()) {
    return Fail(ErrorCode::kInvalidArgument, place + " is neither a text nor a list of tokens, or is empty",
                "give a text");
  }
  const auto size = static_cast<int64_t>(ids.size());
  if (size > model.context) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has {} tokens and the context holds {}", place, size, model.context),
                "send less, or start the server with a larger --context");
  }
  return ids;
}

Result<EmbedRequest> ReadEmbedRequest(const ServedModel& model, const HttpRequest& http, EmbedShape shape) {
  LINNET_ASSIGN(const Json json, ParseObject(http.body));
  const Fields body(json);
  EmbedRequest request;
  LINNET_ASSIGN(const auto dimensions, body.Integer("dimensions", {1, 1 << 30}));
  const int64_t width = model.engine.impl().config.hidden_size;
  if (dimensions.value_or(width) != width) {
    return body.Wrong("dimensions", fmt::format("is {}, and this model has {}", *dimensions, width),
                      "leave it out");
  }
  LINNET_ASSIGN(const auto encoding, body.Text("encoding_format"));
  if (encoding && *encoding != "float" && *encoding != "base64") {
    return body.Wrong("encoding_format", "is '" + *encoding + "'", "give float or base64");
  }
  request.base64 = encoding == "base64";
  const char* const name = shape == EmbedShape::kOllamaOne ? "prompt" : "input";
  const Json& input = body.at(name);
  const bool many = input.is_array() && !input.empty() && !input.front().is_number();
  if (many && input.size() > kMostTexts) {
    return body.Wrong(name, fmt::format("has more than {} texts", kMostTexts), "send fewer at once");
  }
  for (size_t i = 0; i < (many ? input.size() : 1); ++i) {
    const std::string place = many ? fmt::format("{}[{}]", name, i) : name;
    LINNET_ASSIGN(std::vector<int32_t> ids, ReadText(model, many ? input[i] : input, place));
    request.tokens += ids.size();
    request.texts.push_back(std::move(ids));
  }
  return request;
}

std::string InBase64(const std::vector<float>& values) {
  const size_t bytes = values.size() * sizeof(float);  // of processors that put the lowest byte first
  std::string text(4 * ((bytes + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(values.data()), static_cast<int>(bytes));
  text.resize(static_cast<size_t>(size));
  return text;
}

Json OpenAiEmbeddings(const std::string& model, const EmbedRequest& request, const States& states) {
  Json data = Json::array();
  for (size_t i = 0; i < states.size(); ++i) {
    Json vector = request.base64 ? Json(InBase64(states[i])) : Json(states[i]);
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", std::move(vector)}});
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", model},
          {"usage", {{"prompt_tokens", request.tokens}, {"total_tokens", request.tokens}}}};
}

Json OllamaEmbeddings(const std::string& model, const EmbedRequest& request, const States& states,
                      double seconds) {
  return {{"model", model},
          {"embeddings", states},
          {"total_duration", static_cast<int64_t>(seconds * 1e9)},
          {"load_duration", 0},
          {"prompt_eval_count", request.tokens}};
}

// On the network's thread.
void SubmitStates(const AnswerFloor& floor, const ExchangePtr& exchange, EmbedRequest&& read,
                  EmbedShape shape) {
  auto request = std::make_shared<EmbedRequest>(std::move(read));
  auto job = std::make_shared<StateJob>();
  job->texts = std::move(request->texts);
  const Clock::time_point begin = Clock::now();
  job->on_end = [exchange, request, shape, begin, name = floor.model.name](Result<States> states) {
    if (!states) {
      exchange->Note("error", states.error().what);
      return exchange->Answer(ErrorAnswer(exchange->request().path, states.error()));
    }
    exchange->Note("read", std::to_string(request->tokens));
    const Json answer = shape == EmbedShape::kOpenAi ? OpenAiEmbeddings(name, *request, *states)
                        : shape == EmbedShape::kOllama
                            ? OllamaEmbeddings(name, *request, *states, SecondsSince(begin))
                            : Json{{"embedding", states->front()}};
    exchange->Answer({.body = Dump(answer)});
  };
  if (!floor.service.Submit(job)) return RefuseToWait(*exchange);
  exchange->OnClosed([job] { job->cancelled = true; });
}

}  // namespace

void EmbedExchange(const AnswerFloor& floor, const ExchangePtr& exchange, EmbedShape shape) {
  const auto read = [&model = floor.model, shape](const HttpRequest& request) {
    return ReadEmbedRequest(model, request, shape);
  };
  ReadBeside(floor, exchange, read, [floor, exchange, shape](EmbedRequest request) {
    SubmitStates(floor, exchange, std::move(request), shape);
  });
}

}  // namespace linnet
