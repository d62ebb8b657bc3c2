#include "server/responses.h"

#include <gtest/gtest.h>

#include "base/directory_testing.h"
#include "server/responses_writer.h"
#include "server/server_testing.h"

namespace linnet {
namespace {

using testing::EventsOf;
using testing::FileInBase64;
using testing::PromptOf;
using testing::Reply;
using testing::StreamEvent;

class ResponsesTest : public DirectoryTest {
 protected:
  void SetUp() override {
    DirectoryTest::SetUp();
    store_ = std::move(*ResponseStore::Open(""));
  }
  Result<Asked> Ask(const Json& body) {
    return testing::Translated(ResponsesRoutes(*store_)[0].translate, body);
  }
  std::string Prompt(const Json& body) {
    const Result<Asked> asked = Ask(body);
    EXPECT_TRUE(asked.has_value()) << asked.error().Message();
    return asked ? PromptOf(*asked) : "";
  }
  std::string Wrong(const Json& more) {
    Json body = {{"input", "hello"}};
    body.update(more);
    const Result<Asked> asked = Ask(body);
    return asked ? "nothing" : asked.error().what;
  }

  std::unique_ptr<ResponseStore> store_;
};

TEST_F(ResponsesTest, ATextOrItemsBecomeThePrompt) {
  const std::string prompt =
      "<bos><|turn>system\nBe brief.\n\nIn French.<turn|>\n<|turn>user\nhello<turn|>\n<|turn>model\n"
      "<|channel>thought\n<channel|>";
  EXPECT_EQ(Prompt({{"instructions", "Be brief.\n\nIn French."}, {"input", "hello"}}), prompt);
  EXPECT_EQ(Prompt({{"instructions", "Be brief."},
                    {"input",
                     {{{"type", "message"},
                       {"role", "developer"},
                       {"content", {{{"type", "input_text"}, {"text", "In French."}}}}},
                      {{"role", "user"}, {"content", "hello"}}}}}),
            prompt);
}

Json CallTalk() {
  return {{{"role", "user"}, {"content", "what is the weather in paris"}},
          {{"type", "reasoning"},
           {"id", "rs_1"},
           {"summary", Json::array()},
           {"encrypted_content", SealThought("I need it.")}},
          {{"type", "function_call"},
           {"call_id", "call_1"},
           {"namespace", "mcp__sky"},
           {"name", "weather"},
           {"arguments", R"({"city": "paris"})"}},
          {{"type", "custom_tool_call"}, {"call_id", "call_2"}, {"name", "note"}, {"input", "hm"}},
          {{"type", "function_call_output"}, {"call_id", "call_1"}, {"output", "sunny"}},
          {{"type", "custom_tool_call_output"},
           {"call_id", "call_2"},
           {"output", {{{"type", "input_text"}, {"text", "noted"}}}}}};
}

TEST_F(ResponsesTest, CallsAndResultsStandInOneTurn) {
  const std::string prompt = Prompt({{"input", CallTalk()}});
  EXPECT_TRUE(
      prompt.ends_with("<|turn>model\n<|channel>thought\nI need it.\n<channel|>"
                       "<|tool_call>call:mcp__sky__weather{city:<|\"|>paris<|\"|>}<tool_call|>"
                       "<|tool_call>call:note{input:<|\"|>hm<|\"|>}<tool_call|>"
                       "<|tool_response>response:mcp__sky__weather{value:<|\"|>sunny<|\"|>}<tool_response|>"
                       "<|tool_response>response:note{value:<|\"|>noted<|\"|>}<tool_response|>"))
      << prompt;
}

TEST_F(ResponsesTest, ToolsOfAllKindsAreFunctionsToTheModel) {
  const Json tools = {
      {{"type", "function"},
       {"name", "timer"},
       {"description", "Sets a timer"},
       {"strict", true},
       {"parameters", {{"type", "object"}, {"properties", {{"amount", {{"type", "integer"}}}}}}}},
      {{"type", "namespace"},
       {"name", "mcp__sky__"},
       {"tools", {{{"type", "function"}, {"name", "weather"}, {"parameters", {{"type", "object"}}}}}}},
      {{"type", "custom"}, {"name", "apply"}, {"description", "Applies a patch"}},
      {{"type", "web_search"}}};
  const Result<Asked> asked = Ask({{"input", "hello"}, {"tools", tools}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  const std::string prompt = PromptOf(*asked);
  for (const char* name : {"declaration:timer{", "declaration:mcp__sky__weather{", "declaration:apply{"}) {
    EXPECT_NE(prompt.find(name), std::string::npos) << prompt;
  }
  ASSERT_EQ(asked->notes.size(), 1u);
  EXPECT_NE(asked->notes[0].find("tools[3]"), std::string::npos) << asked->notes[0];
  EXPECT_EQ(Prompt({{"input", "hello"}, {"tools", tools}, {"tool_choice", "none"}}).find("declaration"),
            std::string::npos);

  ResponseTools read;
  const Json body = {{"tools", tools}};
  ASSERT_TRUE(read.Read(Fields(body)));
  EXPECT_EQ(read.Named("mcp__sky__weather").space, "mcp__sky__");
  EXPECT_EQ(read.Named("mcp__sky__weather").name, "weather");
  EXPECT_TRUE(read.Named("apply").custom);
  EXPECT_EQ(read.Named("unknown").name, "unknown");
}

TEST_F(ResponsesTest, MediaAreParts) {
  const Json picture = {
      {"type", "input_image"},
      {"image_url", "data:image/png;base64," + FileInBase64("models/chick/examples/see-000.png")}};
  const Json sound = {{"type", "input_audio"},
                      {"input_audio", {{"data", FileInBase64("examples/command.wav")}, {"format", "wav"}}}};
  const Result<Asked> asked =
      Ask({{"input",
            {{{"role", "user"},
              {"content", {picture, {{"type", "input_text"}, {"text", "what is this"}}, sound}}}}}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  EXPECT_EQ(asked->answers[0].prepared.prompt->images.size(), 1u);
  EXPECT_EQ(asked->answers[0].prepared.prompt->clips.size(), 1u);
}

TEST_F(ResponsesTest, OptionsAndThoughts) {
  const Result<Asked> asked = Ask({{"input", "hello"},
                                   {"stream", true},
                                   {"max_output_tokens", 9},
                                   {"temperature", 0.5},
                                   {"top_p", 0.25},
                                   {"parallel_tool_calls", false},
                                   {"store", false},
                                   {"include", {"reasoning.encrypted_content"}},
                                   {"text", {{"format", {{"type", "text"}}}, {"verbosity", "low"}}},
                                   {"reasoning", {{"effort", "medium"}, {"summary", "auto"}}}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  const AnswerRequest& answer = asked->answers.at(0);
  EXPECT_TRUE(asked->stream);
  EXPECT_TRUE(answer.one_call);
  EXPECT_EQ(answer.options.max_tokens, 9);
  EXPECT_FLOAT_EQ(*answer.options.sampling.temperature, 0.5f);
  EXPECT_NE(answer.options.mask, nullptr);
  EXPECT_NE(PromptOf(*asked).find("<|think|>"), std::string::npos);
}

TEST_F(ResponsesTest, WhatCannotBeDoneIsRefusedByName) {
  EXPECT_EQ(Wrong(Json::object()), "nothing");
  EXPECT_EQ(Wrong({{"input", 3}}), "input is neither a text nor a list of items");
  EXPECT_EQ(Wrong({{"input", Json::array()}}), "input is empty");
  EXPECT_EQ(Wrong({{"background", true}}), "background is not supported");
  EXPECT_EQ(Wrong({{"conversation", "conv_1"}}), "conversation is not supported");
  EXPECT_EQ(Wrong({{"tool_choice", "required"}}), "tool_choice asks for a call and there are no tools");
  EXPECT_EQ(Wrong({{"text", {{"format", {{"type", "xml"}}}}}}), "text.format.type is 'xml'");
  EXPECT_EQ(Wrong({{"reasoning", {{"effort", "vast"}}}}), "reasoning.effort is 'vast'");
  EXPECT_EQ(Wrong({{"input", {{{"type", "item_reference"}, {"id", "x"}}}}}),
            "input[0].type is 'item_reference'");
  EXPECT_EQ(Wrong({{"input", {{{"type", "function_call_output"}, {"call_id", "c"}, {"output", "x"}}}}}),
            "input[0].call_id is 'c', and no call waits for that result");
  EXPECT_EQ(Wrong({{"input", {{{"type", "function_call"}, {"call_id", "c"}, {"name", "f"}}}}}),
            "input has no result for the call 'c'");
  EXPECT_EQ(Wrong({{"previous_response_id", "resp_9"}}),
            "previous_response_id: there is no response 'resp_9'");
  EXPECT_EQ(
      Wrong({{"tools", {{{"type", "function"}, {"name", "f"}}, {{"type", "function"}, {"name", "f"}}}}}),
      "tools[1].name is 'f', as that of another tool");
}

TEST(ResponsesThought, ComesBackAsItWent) {
  for (const std::string thought : {"", "a", "ab", "abc", "Hm…\n\nWell."}) {
    EXPECT_EQ(UnsealThought(SealThought(thought)), thought);
  }
  EXPECT_EQ(UnsealThought("gAAAAABo"), "");
  EXPECT_EQ(UnsealThought("linnet1.!!!!"), "");
}

Generation AnswerThatCalls() {
  Generation answer;
  answer.thought = "Hmm.";
  answer.text = "Let me see.";
  answer.tool_calls = {{"mcp__sky__weather", R"({"city":"paris"})", true},
                       {"apply", R"({"input":"+1"})", true}};
  answer.finish = FinishReason::kToolCall;
  answer.stats.prompt_tokens = 8;
  answer.stats.reused_tokens = 4;
  answer.stats.generated_tokens = 6;
  answer.written.thought = {1, 2, 3};
  return answer;
}

ResponseShape ShapeOf(std::function<bool(const std::string&)> store = {}) {
  ResponseShape shape{
      .id = "resp_1", .echo = {{"store", true}}, .sealed_thoughts = true, .store = std::move(store)};
  const Json tools = {{"tools",
                       {{{"type", "namespace"},
                         {"name", "mcp__sky"},
                         {"tools", {{{"type", "function"}, {"name", "weather"}}}}},
                        {{"type", "custom"}, {"name", "apply"}}}}};
  EXPECT_TRUE(shape.tools.Read(Fields(tools)));
  return shape;
}

// The names of its events, and whether what they hold is numbered and named as they are.
std::vector<std::string> NamesOf(const std::vector<StreamEvent>& events) {
  std::vector<std::string> names;
  for (size_t i = 0; i < events.size(); ++i) {
    names.push_back(events[i].name);
    EXPECT_EQ(events[i].data["type"], events[i].name);
    EXPECT_EQ(events[i].data["sequence_number"], i);
  }
  return names;
}

TEST(ResponsesWriter, EventsComeInOrder) {
  std::string stored;
  const auto writer = ResponsesWriter("chick", ShapeOf([&](const std::string& text) {
                                        stored = text;
                                        return true;
                                      }));
  const Generation answer = AnswerThatCalls();
  using enum TurnEvent::Kind;
  const std::vector<StreamEvent> events = EventsOf(Joined(
      {writer->Begin(), writer->Event(0, {kThought, "Hm", {}}), writer->SignOfLife(),
       writer->Event(0, {kThought, "m.", {}}), writer->Event(0, {kText, answer.text, {}}),
       writer->Event(0, {kToolCall, "", answer.tool_calls[0]}),
       writer->Event(0, {kToolCall, "", answer.tool_calls[1]}), writer->End(0, answer), writer->Finish()}));
  const std::vector<std::string> expected = {"response.created",
                                             "response.in_progress",
                                             "response.output_item.added",
                                             "response.content_part.added",
                                             "response.reasoning_text.delta",
                                             "response.in_progress",
                                             "response.reasoning_text.delta",
                                             "response.reasoning_text.done",
                                             "response.content_part.done",
                                             "response.output_item.done",
                                             "response.output_item.added",
                                             "response.content_part.added",
                                             "response.output_text.delta",
                                             "response.output_text.done",
                                             "response.content_part.done",
                                             "response.output_item.done",
                                             "response.output_item.added",
                                             "response.function_call_arguments.delta",
                                             "response.function_call_arguments.done",
                                             "response.output_item.done",
                                             "response.output_item.added",
                                             "response.custom_tool_call_input.delta",
                                             "response.custom_tool_call_input.done",
                                             "response.output_item.done",
                                             "response.completed"};
  ASSERT_EQ(NamesOf(events), expected);
  EXPECT_EQ(events[7].data["text"], "Hmm.");
  EXPECT_EQ(events[12].data["output_index"], 1);
  EXPECT_EQ(events[12].data["item_id"], events[10].data["item"]["id"]);
  EXPECT_EQ(events[18].data["arguments"], R"({"city":"paris"})");
  const Json& response = events.back().data["response"];
  EXPECT_EQ(response["status"], "completed");
  ASSERT_EQ(response["output"].size(), 4u);
  EXPECT_EQ(UnsealThought(response["output"][0]["encrypted_content"]), "Hmm.");
  EXPECT_EQ(response["output"][1]["content"][0]["text"], answer.text);
  EXPECT_EQ(response["output"][2]["namespace"], "mcp__sky");
  EXPECT_EQ(response["output"][2]["name"], "weather");
  EXPECT_EQ(response["output"][3]["type"], "custom_tool_call");
  EXPECT_EQ(response["output"][3]["input"], "+1");
  EXPECT_EQ(response["usage"]["input_tokens"], 12);
  EXPECT_EQ(response["usage"]["input_tokens_details"]["cached_tokens"], 4);
  EXPECT_EQ(response["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
  EXPECT_EQ(Json::parse(stored), response);
}

TEST(ResponsesWriter, AnswersAtOnceAndSaysWhatWentWrong) {
  Generation answer = AnswerThatCalls();
  answer.finish = FinishReason::kLength;
  const Json whole = Json::parse(ResponsesWriter("chick", ShapeOf())->Whole({answer}));
  EXPECT_EQ(whole["output"].size(), 4u);
  EXPECT_EQ(whole["status"], "incomplete");
  EXPECT_EQ(whole["incomplete_details"]["reason"], "max_output_tokens");
  const Json lost = Json::parse(
      ResponsesWriter("chick", ShapeOf([](const std::string&) { return false; }))->Whole({answer}));
  EXPECT_EQ(lost["store"], false) << "it could not be stored";
  const auto events =
      EventsOf(ResponsesWriter("chick", ShapeOf())->Failure({ErrorCode::kInternal, "no room", ""}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].name, "response.failed");
  EXPECT_EQ(events[0].data["response"]["error"]["message"], "no room");
}

class ResponsesServerTest : public DirectoryTest {};

TEST_F(ResponsesServerTest, GoesOnFromWhatIsStored) {
  ServerOptions options = testing::ChickServer::Quiet();
  options.store = File("responses.db");
  const Json question = {{"input", "how much is 3 plus 4"}, {"temperature", 0}};
  std::string id;
  {
    testing::ChickServer server(options);
    const Reply whole = server.Post("/v1/responses", question);
    ASSERT_EQ(whole.status, 200) << whole.body;
    const Json first = whole.json();
    id = first["id"];
    const std::string text = first["output"][0]["content"][0]["text"];
    EXPECT_NE(text.find('7'), std::string::npos) << text;

    Json streamed = question;
    streamed["stream"] = true;
    streamed["store"] = false;
    const auto events = EventsOf(server.Post("/v1/responses", streamed).body);
    const std::vector<std::string> names = NamesOf(events);
    EXPECT_EQ(names.front(), "response.created");
    EXPECT_EQ(names.back(), "response.completed");
    EXPECT_EQ(events.back().data["response"]["output"][0]["content"][0]["text"], text);
    const std::string unstored = events.back().data["response"]["id"];
    EXPECT_EQ(server.Ask("GET", "/v1/responses/" + unstored).status, 404);

    EXPECT_EQ(server.Ask("GET", "/v1/responses/" + id).json(), first);
    const Json items = server.Ask("GET", "/v1/responses/" + id + "/input_items").json();
    EXPECT_EQ(items["data"][0]["content"], "how much is 3 plus 4");
    server.key = "another";
    EXPECT_EQ(server.Ask("GET", "/v1/responses/" + id).status, 404) << "it belongs to its key";
    EXPECT_EQ(server.Ask("PUT", "/v1/responses/" + id).status, 405);
  }
  testing::ChickServer server(options);
  const Json next = {{"input", "how much is 2 plus 2"}, {"previous_response_id", id}, {"temperature", 0}};
  const Json chat = {
      {"temperature", 0},
      {"messages",
       {{{"role", "user"}, {"content", "how much is 3 plus 4"}},
        {{"role", "assistant"},
         {"content", server.Ask("GET", "/v1/responses/" + id).json()["output"][0]["content"][0]["text"]}},
        {{"role", "user"}, {"content", "how much is 2 plus 2"}}}}};
  const Json second = server.Post("/v1/responses", next).json();
  const Json expected = server.Post("/v1/chat/completions", chat).json();
  EXPECT_EQ(second["output"][0]["content"][0]["text"], expected["choices"][0]["message"]["content"]);
  EXPECT_EQ(second["usage"]["input_tokens"], expected["usage"]["prompt_tokens"]);
  EXPECT_EQ(server.Post("/v1/responses/input_tokens", next).json()["input_tokens"],
            second["usage"]["input_tokens"]);
  EXPECT_EQ(server.Ask("DELETE", "/v1/responses/" + id).json()["deleted"], true);
  EXPECT_EQ(server.Ask("GET", "/v1/responses/" + id).status, 404);
  EXPECT_EQ(server.Post("/v1/responses", next).status, 404);
  EXPECT_EQ(server.Ask("GET", "/v1/responses/" + second["id"].get<std::string>()).status, 200);
}

}  // namespace
}  // namespace linnet
