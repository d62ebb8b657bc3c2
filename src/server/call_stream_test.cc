// Arguments of calls that are told while they are written, in each protocol's events.
#include "server/anthropic_messages.h"
#include "server/anthropic_writer.h"
#include "server/openai_chat.h"
#include "server/responses_writer.h"
#include "server/server_testing.h"

namespace linnet {
namespace {

using testing::EventsOf;
using testing::StreamEvent;
using enum TurnEvent::Kind;

const std::string kCity = R"({"city":"paris"})";

// A call in three parts, the last of which comes with the call, and one that is told at its end.
std::vector<TurnEvent> TwoCalls() {
  return {{kText, "Let me see.", {}},
          {kCallPart, R"({"city":)", {.name = "weather", .arguments = {}}},
          {kCallPart, R"("par)", {.name = "weather", .arguments = {}}},
          {kToolCall, {}, {"weather", kCity, true}},
          {kToolCall, {}, {"phone", R"({"name":"tom"})", true}}};
}

std::vector<StreamEvent> StreamOf(AnswerWriter& writer) {
  std::string stream = writer.Begin();
  for (const TurnEvent& event : TwoCalls()) stream += writer.Event(0, event);
  Generation answer;
  answer.finish = FinishReason::kToolCall;
  stream += writer.End(0, answer);
  return EventsOf(stream);
}

TEST(CallStream, ChatsNameACallBeforeItsArguments) {
  const Json body = {{"messages", {{{"role", "user"}, {"content", "hello"}}}}, {"stream", true}};
  const Result<Asked> asked = testing::Translated(TranslateOpenAiChat, body);
  ASSERT_TRUE(asked);
  std::vector<Json> pieces;
  for (const StreamEvent& event : StreamOf(*asked->writer)) {
    const Json& delta = event.data["choices"][0]["delta"];
    if (delta.contains("tool_calls")) pieces.push_back(delta["tool_calls"][0]);
  }
  ASSERT_EQ(pieces.size(), 6U);
  EXPECT_EQ(pieces[0]["type"], "function");
  EXPECT_TRUE(pieces[0]["id"].get<std::string>().starts_with("call_"));
  EXPECT_EQ(pieces[0]["function"], Json({{"name", "weather"}, {"arguments", ""}}));
  std::string arguments;
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(pieces[i]["index"], 0);
    EXPECT_FALSE(pieces[i].contains("id"));
    EXPECT_FALSE(pieces[i]["function"].contains("name"));
    arguments += pieces[i]["function"]["arguments"];
  }
  EXPECT_EQ(arguments, kCity);
  EXPECT_EQ(pieces[4]["index"], 1);
  EXPECT_EQ(pieces[4]["function"]["name"], "phone");
  EXPECT_EQ(pieces[5]["function"]["arguments"], R"({"name":"tom"})");
  EXPECT_NE(pieces[4]["id"], pieces[0]["id"]);
}

TEST(CallStream, MessagesHaveABlockForEachCall) {
  std::vector<std::string> told;
  std::string arguments;
  for (const StreamEvent& event : StreamOf(*AnthropicWriter("chick", 3))) {
    if (event.name == "content_block_start") told.push_back(event.data["content_block"]["type"]);
    if (event.name == "content_block_stop") told.push_back("stop");
    if (event.name != "content_block_delta" || event.data["delta"]["type"] != "input_json_delta") continue;
    told.push_back("part");
    if (event.data["index"] == 1) arguments += event.data["delta"]["partial_json"];
  }
  EXPECT_EQ(told, (std::vector<std::string>{"text", "stop", "tool_use", "part", "part", "part", "stop",
                                            "tool_use", "part", "stop"}));
  EXPECT_EQ(arguments, kCity);
}

TEST(CallStream, ResponsesHaveAnItemForEachCall) {
  const auto writer = ResponsesWriter("chick", {.id = "resp_1", .echo = Json::object(), .tools = {}});
  std::vector<std::string> told;
  std::string arguments;
  std::vector<StreamEvent> done;
  for (const StreamEvent& event : StreamOf(*writer)) {
    if (event.name.find("function_call_arguments") == std::string::npos) continue;
    told.push_back(event.name.substr(event.name.rfind('.') + 1));
    if (told.back() == "delta" && done.empty()) arguments += event.data["delta"];
    if (told.back() == "done") done.push_back(event);
  }
  EXPECT_EQ(told, (std::vector<std::string>{"delta", "delta", "delta", "done", "delta", "done"}));
  EXPECT_EQ(arguments, kCity);
  EXPECT_EQ(done[0].data["arguments"], kCity);
  EXPECT_NE(done[0].data["item_id"], done[1].data["item_id"]);
}

TEST(CallStream, CustomToolsAreToldWhole) {
  ResponseShape shape{.id = "resp_1", .echo = Json::object(), .tools = {}};
  const Json tools = {{"tools", {{{"type", "custom"}, {"name", "apply"}}}}};
  ASSERT_TRUE(shape.tools.Read(Fields(tools)));
  const auto writer = ResponsesWriter("chick", std::move(shape));
  EXPECT_EQ(writer->Event(0, {kCallPart, R"({"input":"+)", {.name = "apply", .arguments = {}}}), "");
  const auto events = EventsOf(writer->Event(0, {kToolCall, {}, {"apply", R"({"input":"+1"})", true}}));
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[1].data["delta"], "+1");
}

TEST(CallStream, FragmentsAreTheArgumentsOfTheWholeAnswer) {
  const testing::ChickServer server;
  for (const char* text : {"Use a tool. call tom", "Use a tool. set a timer for 8 minutes"}) {
    Json body = {
        {"messages", {{{"role", "user"}, {"content", text}}}}, {"temperature", 0}, {"max_tokens", 60}};
    const Json whole = server.Post("/v1/chat/completions", body).json()["choices"][0]["message"];
    body["stream"] = true;
    std::string arguments, name;
    int pieces = 0;
    for (const StreamEvent& event : EventsOf(server.Post("/v1/chat/completions", body).body)) {
      if (!event.data.is_object() || !event.data["choices"][0]["delta"].contains("tool_calls")) continue;
      const Json& call = event.data["choices"][0]["delta"]["tool_calls"][0]["function"];
      if (call.contains("name")) name = call["name"];
      arguments += call["arguments"];
      ++pieces;
    }
    EXPECT_EQ(name, whole["tool_calls"][0]["function"]["name"]);
    EXPECT_EQ(arguments, whole["tool_calls"][0]["function"]["arguments"]);
    EXPECT_GT(pieces, 3);
  }
}

}  // namespace
}  // namespace linnet
