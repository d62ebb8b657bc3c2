#include "server/responses_writer.h"

#include <utility>

namespace linnet {
namespace {

class ResponseWriter : public AnswerWriter {
 public:
  ResponseWriter(std::string model, ResponseShape shape)
      : model_(std::move(model)), shape_(std::move(shape)), created_(UnixTime()) {}

  std::string Begin() override {
    return Joined({Event("response.created", {{"response", Response("in_progress")}}), SignOfLife()});
  }
  // The only one that all clients take for a sign of life.
  std::string SignOfLife() override {
    return Event("response.in_progress", {{"response", Response("in_progress")}});
  }

  std::string Event(size_t, const TurnEvent& event) override {
    switch (event.kind) {
      case TurnEvent::Kind::kThought:
        return Joined({Open("reasoning"), Text("response.reasoning_text.delta", event.text)});
      case TurnEvent::Kind::kText:
        return Joined({Open("message"), Text("response.output_text.delta", event.text)});
      case TurnEvent::Kind::kCallPart:
        return CallPart(shape_.tools.Named(event.call.name), event.text);
      case TurnEvent::Kind::kToolCall:
        break;
    }
    return Call(event.call);
  }

  std::string End(size_t, const Generation& answer) override {
    std::string events = Close();
    const std::string status = IsCut(answer) ? "incomplete" : "completed";
    return events + Event("response." + status, {{"response", Done(answer, status)}});
  }

  std::string Failure(const Error& error) override {
    Json response = Response("failed");
    response["error"] = {{"code", "server_error"}, {"message", error.Message()}};
    return Event("response.failed", {{"response", std::move(response)}});
  }

  std::string Whole(const std::vector<Generation>& answers) override {
    const Generation& answer = answers.front();
    if (!answer.thought.empty()) Event(0, {TurnEvent::Kind::kThought, answer.thought, {}});
    if (!answer.text.empty()) Event(0, {TurnEvent::Kind::kText, answer.text, {}});
    for (const ToolCall& call : answer.tool_calls) Event(0, {TurnEvent::Kind::kToolCall, {}, call});
    Close();
    return Dump(Done(answer, IsCut(answer) ? "incomplete" : "completed"));
  }

 private:
  static bool IsCut(const Generation& answer) {
    return answer.finish == FinishReason::kLength || answer.finish == FinishReason::kContext;
  }

  std::string Event(const std::string& type, const Json& members) {
    Json event = {{"type", type}, {"sequence_number", sequence_++}};
    event.update(members);
    return "event: " + type + "\ndata: " + Dump(event) + "\n\n";
  }

  Json Response(const std::string& status) const {
    Json response = {
        {"id", shape_.id},     {"object", "response"}, {"created_at", created_},        {"status", status},
        {"background", false}, {"error", nullptr},     {"incomplete_details", nullptr}, {"model", model_},
        {"output", output_}};
    response.update(shape_.echo);
    response["usage"] = nullptr;
    return response;
  }

  Json Done(const Generation& answer, const std::string& status) {
    Json response = Response(status);
    if (IsCut(answer)) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
    if (!IsCut(answer)) response["completed_at"] = UnixTime();
    const int64_t read = answer.stats.prompt_tokens + answer.stats.reused_tokens;
    const int64_t written = answer.stats.generated_tokens;
    response["usage"] = {{"input_tokens", read},
                         {"input_tokens_details", {{"cached_tokens", answer.stats.reused_tokens}}},
                         {"output_tokens", written},
                         {"output_tokens_details", {{"reasoning_tokens", answer.written.thought.size()}}},
                         {"total_tokens", read + written}};
    if (shape_.store && !shape_.store(Dump(response))) response["store"] = false;
    return response;
  }

  static Json Part(bool thought, const std::string& text) {
    if (thought) return {{"type", "reasoning_text"}, {"text", text}};
    return {
        {"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }

  Json Place() const { return {{"item_id", item_["id"]}, {"output_index", output_.size()}}; }
  Json PartPlace() const {
    Json place = Place();
    place["content_index"] = 0;
    return place;
  }
  static Json With(Json place, const Json& members) {
    place.update(members);
    return place;
  }

  // Begins an item of this type unless one is open.
  std::string Open(const std::string& type) {
    if (!item_.is_null() && item_["type"] == type) return {};
    std::string events = Close();
    const bool thought = type == "reasoning";
    item_ = {{"id", NewId(thought ? "rs_" : "msg_")}, {"type", type}};
    if (thought) {
      item_["summary"] = Json::array();
    } else {
      item_["role"] = "assistant";
    }
    item_["status"] = "in_progress";
    item_["content"] = Json::array();
    text_.clear();
    events += ItemEvent("response.output_item.added");
    return events + Event("response.content_part.added", With(PartPlace(), {{"part", Part(thought, "")}}));
  }

  std::string Text(const char* type, const std::string& text) {
    text_ += text;
    Json event = With(PartPlace(), {{"delta", text}});
    if (item_["type"] == "message") event["logprobs"] = Json::array();
    return Event(type, event);
  }

  std::string Close() {
    if (item_.is_null()) return {};
    const bool thought = item_["type"] == "reasoning";
    Json done = With(PartPlace(), {{"text", text_}});
    if (!thought) done["logprobs"] = Json::array();
    std::string events = Event(thought ? "response.reasoning_text.done" : "response.output_text.done", done);
    events += Event("response.content_part.done", With(PartPlace(), {{"part", Part(thought, text_)}}));
    item_["content"].push_back(Part(thought, text_));
    if (thought && shape_.sealed_thoughts) item_["encrypted_content"] = SealThought(text_);
    return events + CloseItem();
  }

  std::string ItemEvent(const char* type) {
    return Event(type, {{"output_index", output_.size()}, {"item", item_}});
  }

  std::string CloseItem() {
    item_["status"] = "completed";
    std::string events = ItemEvent("response.output_item.done");
    output_.push_back(std::exchange(item_, Json()));
    return events;
  }

  static const char* KindOf(const ResponseTools::Tool& tool) {
    return tool.custom ? "custom_tool_call" : "function_call";
  }
  static const char* MemberOf(const ResponseTools::Tool& tool) { return tool.custom ? "input" : "arguments"; }

  // Begins a call unless that was done.
  std::string OpenCall(const ResponseTools::Tool& tool) {
    if (std::exchange(call_open_, true)) return {};
    std::string events = Close();
    item_ = {{"id", NewId(tool.custom ? "ctc_" : "fc_")},
             {"type", KindOf(tool)},
             {"status", "in_progress"},
             {"call_id", NewId("call_")},
             {"name", tool.name}};
    if (!tool.space.empty()) item_["namespace"] = tool.space;
    item_[MemberOf(tool)] = "";
    text_.clear();
    return events + ItemEvent("response.output_item.added");
  }

  std::string CallDelta(const ResponseTools::Tool& tool, const std::string& more) {
    if (more.empty()) return {};
    text_ += more;
    return Event(Joined({"response.", KindOf(tool), "_", MemberOf(tool), ".delta"}),
                 With(Place(), {{"delta", more}}));
  }

  // The text of a custom tool stands inside of its arguments, so that it is told when they are whole.
  std::string CallPart(const ResponseTools::Tool& tool, const std::string& more) {
    return tool.custom ? std::string() : Joined({OpenCall(tool), CallDelta(tool, more)});
  }

  std::string Call(const ToolCall& call) {
    const ResponseTools::Tool tool = shape_.tools.Named(call.name);
    std::string text = call.arguments;
    if (tool.custom) {
      const Json arguments = Json::parse(call.arguments, nullptr, false);
      text = Fields(arguments).at("input").is_string() ? arguments["input"].get<std::string>() : text;
    }
    std::string events = OpenCall(tool);
    events += CallDelta(tool, text.substr(text_.size()));
    events += Event(Joined({"response.", KindOf(tool), "_", MemberOf(tool), ".done"}),
                    With(Place(), {{"name", tool.name}, {MemberOf(tool), text}}));
    item_[MemberOf(tool)] = text;
    call_open_ = false;
    return events + CloseItem();
  }

  std::string model_;
  ResponseShape shape_;
  int64_t created_;
  int64_t sequence_ = 0;
  Json output_ = Json::array();  // items that are done
  Json item_;                    // that is being told
  std::string text_;             // of it
  bool call_open_ = false;       // it is a call
};

}  // namespace

std::unique_ptr<AnswerWriter> ResponsesWriter(const std::string& model, ResponseShape shape) {
  return std::make_unique<ResponseWriter>(model, std::move(shape));
}

}  // namespace linnet
