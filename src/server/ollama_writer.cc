#include "server/ollama_writer.h"

#include <algorithm>
#include <utility>

#include "base/stopwatch.h"

namespace linnet {
namespace {

constexpr const char* kJsonLines = "application/x-ndjson";

int64_t Nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

// A piece of an answer, or all of it.
struct Piece {
  std::string text, thought;
  Json calls = Json::array();
};

Json PieceJson(OllamaShape shape, const std::string& model, Piece piece) {
  Json json = {{"model", model}, {"created_at", TimeText(UnixTime())}};
  Json message = {{"role", "assistant"}, {"content", piece.text}};
  Json& holder = shape == OllamaShape::kChat ? message : json;
  if (shape == OllamaShape::kGenerate) json["response"] = std::move(piece.text);
  if (!piece.thought.empty()) holder["thinking"] = std::move(piece.thought);
  if (!piece.calls.empty()) holder["tool_calls"] = std::move(piece.calls);
  if (shape == OllamaShape::kChat) json["message"] = std::move(message);
  return json;
}

class LineWriter : public AnswerWriter {
 public:
  LineWriter(OllamaShape shape, std::string model) : shape_(shape), model_(std::move(model)) {}

  std::string Event(size_t, const TurnEvent& event) override {
    if (event.kind == TurnEvent::Kind::kCallPart) return {};  // calls are told whole
    Piece piece;
    if (event.kind == TurnEvent::Kind::kText) piece.text = event.text;
    if (event.kind == TurnEvent::Kind::kThought) piece.thought = event.text;
    if (event.kind == TurnEvent::Kind::kToolCall) piece.calls.push_back(Call(event.call));
    return Line(std::move(piece));
  }
  std::string End(size_t, const Generation& answer) override { return Dump(Last({}, answer)) + "\n"; }
  std::string Failure(const Error& error) override {
    return ErrorBody("/api/", StatusOf(error), error.Message()) + "\n";
  }
  const char* stream_type() const override { return kJsonLines; }
  // Clients read every line as an object.
  std::string SignOfLife() override { return Line({}); }

  std::string Whole(const std::vector<Generation>& answers) override {
    const Generation& answer = answers.front();
    Piece piece{.text = answer.text, .thought = answer.thought};
    for (const ToolCall& call : answer.tool_calls) piece.calls.push_back(Call(call));
    return Dump(Last(std::move(piece), answer));
  }

 private:
  Json Call(const ToolCall& call) {
    Json arguments = Json::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) arguments = Json::object();
    return {{"id", NewId("call_")},
            {"function", {{"index", calls_++}, {"name", call.name}, {"arguments", std::move(arguments)}}}};
  }

  std::string Line(Piece piece) const {
    Json json = PieceJson(shape_, model_, std::move(piece));
    json["done"] = false;
    return Dump(json) + "\n";
  }

  Json Last(Piece piece, const Generation& answer) const {
    const GenerateStats& stats = answer.stats;
    const double total = SecondsSince(begin_), worked = stats.prompt_seconds + stats.decode_seconds;
    const bool cut = answer.finish == FinishReason::kLength || answer.finish == FinishReason::kContext;
    Json json = PieceJson(shape_, model_, std::move(piece));
    json.update({{"done", true},
                 {"done_reason", cut ? "length" : "stop"},
                 {"total_duration", Nanoseconds(std::max(total, worked))},
                 {"load_duration", 0},
                 {"prompt_eval_count", stats.prompt_tokens + stats.reused_tokens},
                 {"prompt_eval_duration", Nanoseconds(stats.prompt_seconds)},
                 {"eval_count", stats.generated_tokens},
                 {"eval_duration", Nanoseconds(stats.decode_seconds)}});
    return json;
  }

  OllamaShape shape_;
  std::string model_;
  Clock::time_point begin_ = Clock::now();
  int64_t calls_ = 0;
};

}  // namespace

std::unique_ptr<AnswerWriter> OllamaWriter(OllamaShape shape, const std::string& model) {
  return std::make_unique<LineWriter>(shape, model);
}

HttpAnswer OllamaNothing(OllamaShape shape, const std::string& model, const char* reason) {
  Json json = PieceJson(shape, model, {});
  json["done"] = true;
  json["done_reason"] = reason;
  return {.type = kJsonLines, .body = Dump(json) + "\n"};
}

}  // namespace linnet
