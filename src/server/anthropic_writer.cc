#include "server/anthropic_writer.h"

#include <utility>

namespace linnet {
namespace {

std::string NamedEvent(const Json& event) {
  return "event: " + event["type"].get<std::string>() + "\ndata: " + Dump(event) + "\n\n";
}

const char* StopReason(const Generation& answer) {
  switch (answer.finish) {
    case FinishReason::kLength:
      return "max_tokens";
    case FinishReason::kContext:
      return "model_context_window_exceeded";
    case FinishReason::kToolCall:
      return "tool_use";
    default:
      return answer.stop_text.empty() ? "end_turn" : "stop_sequence";
  }
}

Json StopText(const Generation& answer) { return answer.stop_text.empty() ? Json() : Json(answer.stop_text); }

// Clients want one beside a thought and send it back; nothing depends on it.
constexpr const char* kSignature = "linnet";

constexpr const char* kCallBlock = "tool_use";

class MessageWriter : public AnswerWriter {
 public:
  MessageWriter(std::string model, int64_t prompt)
      : model_(std::move(model)), id_(NewId("msg_")), prompt_(prompt) {}

  std::string Begin() override {
    Json message = Head(Json::array());
    message["stop_reason"] = message["stop_sequence"] = nullptr;
    message["usage"] = Usage(prompt_, 0, 0);
    return NamedEvent({{"type", "message_start"}, {"message", std::move(message)}});
  }

  std::string Event(size_t, const TurnEvent& event) override {
    switch (event.kind) {
      case TurnEvent::Kind::kThought:
        return Joined({Open("thinking", {{"thinking", ""}, {"signature", ""}}),
                       Delta({{"type", "thinking_delta"}, {"thinking", event.text}})});
      case TurnEvent::Kind::kText:
        return Joined({Open("text", {{"text", ""}}), Delta({{"type", "text_delta"}, {"text", event.text}})});
      case TurnEvent::Kind::kCallPart:
        return Joined({OpenCall(event.call.name), Arguments(event.text)});
      case TurnEvent::Kind::kToolCall:
        break;
    }
    std::string events = OpenCall(event.call.name);
    events += Arguments(event.call.arguments.substr(told_));
    return events + CloseBlock();
  }

  std::string End(size_t, const Generation& answer) override {
    return Joined(
        {CloseBlock(),
         NamedEvent({{"type", "message_delta"},
                     {"delta", {{"stop_reason", StopReason(answer)}, {"stop_sequence", StopText(answer)}}},
                     {"usage", UsageOf(answer)}})});
  }

  std::string Finish() override { return NamedEvent({{"type", "message_stop"}}); }
  std::string Failure(const Error& error) override {
    return "event: error\ndata: " + ErrorBody("/v1/messages", StatusOf(error), error.Message()) + "\n\n";
  }
  std::string SignOfLife() override { return NamedEvent({{"type", "ping"}}); }

  std::string Whole(const std::vector<Generation>& answers) override {
    const Generation& answer = answers.front();
    Json content = Json::array();
    if (!answer.thought.empty()) {
      content.push_back({{"type", "thinking"}, {"thinking", answer.thought}, {"signature", kSignature}});
    }
    if (!answer.text.empty()) content.push_back({{"type", "text"}, {"text", answer.text}});
    for (const ToolCall& call : answer.tool_calls) {
      Json input = Json::parse(call.arguments, nullptr, false);
      if (!input.is_object()) input = Json::object();
      content.push_back(
          {{"type", "tool_use"}, {"id", NewId("toolu_")}, {"name", call.name}, {"input", std::move(input)}});
    }
    Json message = Head(std::move(content));
    message["stop_reason"] = StopReason(answer);
    message["stop_sequence"] = StopText(answer);
    message["usage"] = UsageOf(answer);
    return Dump(message);
  }

 private:
  Json Head(Json content) const {
    return {{"id", id_},
            {"type", "message"},
            {"role", "assistant"},
            {"model", model_},
            {"content", std::move(content)}};
  }

  static Json Usage(int64_t read, int64_t reused, int64_t written) {
    return {{"input_tokens", read},
            {"cache_creation_input_tokens", 0},
            {"cache_read_input_tokens", reused},
            {"output_tokens", written}};
  }
  static Json UsageOf(const Generation& answer) {
    return Usage(answer.stats.prompt_tokens, answer.stats.reused_tokens, answer.stats.generated_tokens);
  }

  // Begins a block of this type unless one is open.
  std::string Open(const std::string& type, const Json& members) {
    if (open_ == type) return {};
    std::string events = CloseBlock();
    open_ = type;
    Json block = {{"type", type}};
    block.update(members);
    return events +
           NamedEvent(
               {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}});
  }

  // Begins a call unless one is being told.
  std::string OpenCall(const std::string& name) {
    if (open_ != kCallBlock) told_ = 0;
    return Open(kCallBlock, {{"id", NewId("toolu_")}, {"name", name}, {"input", Json::object()}});
  }
  std::string Arguments(const std::string& more) {
    told_ += more.size();
    return more.empty() ? std::string() : Delta({{"type", "input_json_delta"}, {"partial_json", more}});
  }

  std::string Delta(Json delta) const {
    return NamedEvent({{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(delta)}});
  }

  std::string CloseBlock() {
    if (open_.empty()) return {};
    std::string events;
    if (open_ == "thinking") events = Delta({{"type", "signature_delta"}, {"signature", kSignature}});
    open_.clear();
    return events + NamedEvent({{"type", "content_block_stop"}, {"index", index_++}});
  }

  std::string model_, id_;
  int64_t prompt_;
  std::string open_;  // the type of the block that is being told
  size_t told_ = 0;   // bytes of the arguments of its call
  int64_t index_ = 0;
};

}  // namespace

std::unique_ptr<AnswerWriter> AnthropicWriter(const std::string& model, int64_t prompt) {
  return std::make_unique<MessageWriter>(model, prompt);
}

}  // namespace linnet
