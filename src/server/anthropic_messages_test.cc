#include "server/anthropic_messages.h"

#include <gtest/gtest.h>

#include "server/anthropic_writer.h"
#include "server/server_testing.h"

namespace linnet {
namespace {

using testing::EventsOf;
using testing::FileInBase64;
using testing::PromptOf;
using testing::StreamEvent;
using testing::Translated;
using testing::WhatIsWrong;

constexpr const char* kRed = "models/chick/examples/see-000.png";

Json Question(Json content) { return {{{"role", "user"}, {"content", std::move(content)}}}; }

std::string AnthropicPrompt(const Json& body) {
  const Result<Asked> asked = Translated(TranslateAnthropicMessages, body);
  EXPECT_TRUE(asked.has_value()) << asked.error().Message();
  return asked ? PromptOf(*asked) : "";
}

TEST(AnthropicRequest, SystemAndTurnsBecomeThePrompt) {
  EXPECT_EQ(AnthropicPrompt({{"model", "claude"},
                             {"max_tokens", 9},
                             {"system", "Be brief."},
                             {"messages",
                              {{{"role", "user"}, {"content", "hello"}},
                               {{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", "hi"}}}}},
                               {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "bye"}}}}}}}}),
            "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nhello<turn|>\n<|turn>model\nhi<turn|>\n"
            "<|turn>user\nbye<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
}

TEST(AnthropicRequest, TheBillingHeaderIsNoPartOfTheSystemMessage) {
  const auto with = [](const char* header) {
    return AnthropicPrompt(
        {{"messages", Question("hello")},
         {"system",
          {{{"type", "text"}, {"text", header}},
           {{"type", "text"}, {"text", "You help."}, {"cache_control", {{"type", "ephemeral"}}}},
           {{"type", "text"}, {"text", "Be brief."}}}}});
  };
  const std::string prompt = with("x-anthropic-billing-header: cc_version=1; cch=00000");
  EXPECT_EQ(prompt, with("x-anthropic-billing-header: cc_version=2; cch=0f3a1"));
  EXPECT_NE(prompt.find("system\nYou help.\n\nBe brief.<turn|>"), std::string::npos) << prompt;
}

TEST(AnthropicRequest, AnAnswerThatBeganGoesOn) {
  const std::string prompt =
      AnthropicPrompt({{"messages",
                        {{{"role", "user"}, {"content", "hello"}},
                         {{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", "Well, "}}}}}}}});
  EXPECT_TRUE(prompt.ends_with("<channel|>Well, ")) << prompt;
}

Json ToolTalk(Json result) {
  return {
      {"tools",
       {{{"name", "weather"},
         {"description", "Tells the weather"},
         {"input_schema", {{"type", "object"}, {"properties", {{"city", {{"type", "string"}}}}}}}},
        {{"type", "web_search_20250305"}, {"name", "web_search"}}}},
      {"messages",
       {{{"role", "user"}, {"content", "what is the weather in paris"}},
        {{"role", "assistant"},
         {"content",
          {{{"type", "thinking"}, {"thinking", "I need it."}, {"signature", "x"}},
           {{"type", "tool_use"}, {"id", "toolu_1"}, {"name", "weather"}, {"input", {{"city", "paris"}}}}}}},
        {{"role", "user"},
         {"content",
          {{{"type", "tool_result"}, {"tool_use_id", "toolu_1"}, {"content", std::move(result)}}}}}}}};
}

TEST(AnthropicRequest, CallsAndResultsStandInOneTurn) {
  const std::string prompt = AnthropicPrompt(ToolTalk("sunny"));
  EXPECT_NE(prompt.find("<|tool>declaration:weather{"), std::string::npos) << prompt;
  EXPECT_EQ(prompt.find("web_search"), std::string::npos) << prompt;
  EXPECT_TRUE(
      prompt.ends_with("<|turn>model\n<|channel>thought\nI need it.\n<channel|>"
                       "<|tool_call>call:weather{city:<|\"|>paris<|\"|>}<tool_call|>"
                       "<|tool_response>response:weather{value:<|\"|>sunny<|\"|>}<tool_response|>"))
      << prompt;
  const Result<Asked> asked = Translated(TranslateAnthropicMessages, ToolTalk("sunny"));
  ASSERT_EQ(asked->notes.size(), 1u);
  EXPECT_NE(asked->notes[0].find("web_search_20250305"), std::string::npos);
}

TEST(AnthropicRequest, ResultsMayHoldPictures) {
  const Json picture = {
      {"type", "image"},
      {"source", {{"type", "base64"}, {"media_type", "image/png"}, {"data", FileInBase64(kRed)}}}};
  const std::string prompt = AnthropicPrompt(ToolTalk({{{"type", "text"}, {"text", "see"}}, picture}));
  EXPECT_NE(prompt.find("{value:<|\"|>see<|\"|>}<tool_response|>"), std::string::npos) << prompt;
  EXPECT_NE(prompt.find("<|image>"), std::string::npos) << prompt;
  const Result<Asked> asked = Translated(
      TranslateAnthropicMessages,
      {{"messages",
        Question({{{"type", "image"},
                   {"source", {{"type", "url"}, {"url", "data:image/png;base64," + FileInBase64(kRed)}}}},
                  {{"type", "text"}, {"text", "what is in the picture"}}})}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  EXPECT_EQ(asked->answers[0].prepared.prompt->images.size(), 1u);
}

TEST(AnthropicRequest, DocumentsAreTheirPagesOrTheirText) {
  const std::string pdf =
      "%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n"
      "2 0 obj <</Type/Pages/Kids[3 0 R 3 0 R]/Count 2/MediaBox[0 0 200 100]>> endobj\n"
      "3 0 obj <</Type/Page/Parent 2 0 R>> endobj\ntrailer <</Root 1 0 R>>\n";
  const Result<Asked> asked = Translated(
      TranslateAnthropicMessages,
      {{"messages",
        Question({{{"type", "document"},
                   {"title", "Letter"},
                   {"source",
                    {{"type", "base64"}, {"media_type", "application/pdf"}, {"data", testing::Base64(pdf)}}}},
                  {{"type", "document"},
                   {"source", {{"type", "text"}, {"media_type", "text/plain"}, {"data", "Dear Anna"}}}}})}});
  if (!asked && asked.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << asked.error().Message();
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  EXPECT_EQ(asked->answers[0].prepared.prompt->images.size(), 2u) << "all of its pages";
  EXPECT_NE(PromptOf(*asked).find("Dear Anna"), std::string::npos);
}

TEST(AnthropicRequest, OptionsAndThoughts) {
  const Result<Asked> asked =
      Translated(TranslateAnthropicMessages, {{"messages", Question("hello")},
                                              {"max_tokens", 2000},
                                              {"temperature", 0.5},
                                              {"top_k", 7},
                                              {"top_p", 0.9},
                                              {"stop_sequences", {"END", "\n\n"}},
                                              {"stream", true},
                                              {"metadata", {{"user_id", "u"}}},
                                              {"thinking", {{"type", "enabled"}, {"budget_tokens", 1024}}}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  const AnswerRequest& answer = asked->answers.at(0);
  EXPECT_TRUE(asked->stream);
  EXPECT_EQ(answer.options.max_tokens, 2000);
  EXPECT_EQ(answer.options.stop, (std::vector<std::string>{"END", "\n\n"}));
  EXPECT_FLOAT_EQ(*answer.options.sampling.temperature, 0.5f);
  EXPECT_EQ(*answer.options.sampling.top_k, 7);
  EXPECT_EQ(answer.owner, "o");
  EXPECT_NE(answer.options.mask, nullptr);
  EXPECT_NE(PromptOf(*asked).find("<|think|>"), std::string::npos);
  const Result<Asked> off = Translated(
      TranslateAnthropicMessages, {{"messages", Question("hello")}, {"thinking", {{"type", "disabled"}}}});
  EXPECT_EQ(off->answers.at(0).options.mask, nullptr);
  EXPECT_EQ(PromptOf(*off).find("<|think|>"), std::string::npos);
}

TEST(AnthropicRequest, WhatCannotBeDoneIsRefusedByName) {
  const auto wrong = [](Json more) {
    Json body = {{"messages", Question("hello")}};
    body.update(more);
    return WhatIsWrong(TranslateAnthropicMessages, body);
  };
  EXPECT_EQ(wrong(Json::object()), "nothing");
  EXPECT_EQ(wrong({{"messages", Json::array()}}), "messages is not a list with at least one message");
  EXPECT_EQ(wrong({{"max_tokens", 0}}), "max_tokens is 0");
  EXPECT_EQ(wrong({{"tool_choice", {{"type", "any"}}}}),
            "tool_choice.type asks for a call and there are no tools");
  EXPECT_EQ(wrong({{"tool_choice", {{"type", "tool"}}}}), "tool_choice.name is missing");
  EXPECT_EQ(wrong({{"output_config", {{"format", {{"type", "xml"}}}}}}),
            "output_config.format.type is 'xml'");
  EXPECT_EQ(wrong({{"messages", Question({{{"type", "video"}}})}}), "messages[0].content[0].type is 'video'");
  EXPECT_EQ(wrong({{"messages", {{{"role", "tool"}, {"content", "x"}}}}}), "messages[0].role is 'tool'");
  EXPECT_EQ(wrong({{"messages", {1}}}), "messages[0].role is missing");
  EXPECT_EQ(wrong({{"mcp_servers", {{{"url", "x"}}}}}), "mcp_servers is not supported");
  EXPECT_EQ(wrong({{"thinking", {{"type", "much"}}}}), "thinking.type is 'much'");
  EXPECT_EQ(wrong({{"output_config", {{"effort", "vast"}}}, {"thinking", {{"type", "adaptive"}}}}),
            "output_config.effort is 'vast'");
  EXPECT_EQ(wrong({{"messages",
                    Question({{{"type", "tool_result"}, {"tool_use_id", "toolu_9"}, {"content", "x"}}})}}),
            "messages[0].content[0].tool_use_id is 'toolu_9'");
  EXPECT_EQ(
      wrong({{"messages",
              {{{"role", "assistant"}, {"content", {{{"type", "tool_use"}, {"id", "a"}, {"name", "f"}}}}}}}}),
      "messages ends with calls of tools that have no results");
  EXPECT_EQ(wrong({{"messages",
                    Question({{{"type", "image"}, {"source", {{"type", "file"}, {"file_id", "f"}}}}})}}),
            "messages[0].content[0].source.type is 'file'");
}

TEST(AnthropicWriter, EventsComeInOrder) {
  const auto writer = AnthropicWriter("chick", 12);
  Generation answer;
  answer.finish = FinishReason::kToolCall;
  answer.stats.prompt_tokens = 8;
  answer.stats.reused_tokens = 4;
  answer.stats.generated_tokens = 6;
  using enum TurnEvent::Kind;
  const std::string stream =
      Joined({writer->Begin(), writer->Event(0, {kThought, "Hm", {}}), writer->Event(0, {kThought, "m.", {}}),
              writer->SignOfLife(), writer->Event(0, {kText, "Let me see.", {}}),
              writer->Event(0, {kToolCall, "", {"weather", R"({"city":"paris"})", true}}),
              writer->End(0, answer), writer->Finish()});
  const std::vector<StreamEvent> events = EventsOf(stream);
  std::vector<std::string> names;
  for (const StreamEvent& event : events) {
    EXPECT_EQ(event.data["type"], event.name);
    names.push_back(event.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       "message_start", "content_block_start", "content_block_delta", "content_block_delta",
                       "ping", "content_block_delta", "content_block_stop", "content_block_start",
                       "content_block_delta", "content_block_stop", "content_block_start",
                       "content_block_delta", "content_block_stop", "message_delta", "message_stop"}));
  EXPECT_EQ(events[0].data["message"]["usage"]["input_tokens"], 12);
  EXPECT_EQ(events[0].data["message"]["content"], Json::array());
  EXPECT_EQ(events[1].data["content_block"]["type"], "thinking");
  EXPECT_EQ(events[3].data["delta"]["thinking"], "m.");
  EXPECT_EQ(events[5].data["delta"]["type"], "signature_delta");
  EXPECT_EQ(events[7].data["index"], 1);
  EXPECT_EQ(events[10].data["content_block"]["name"], "weather");
  EXPECT_EQ(events[10].data["index"], 2);
  EXPECT_EQ(events[11].data["delta"]["partial_json"], R"({"city":"paris"})");
  EXPECT_EQ(events[13].data["delta"]["stop_reason"], "tool_use");
  EXPECT_EQ(events[13].data["usage"]["input_tokens"], 8);
  EXPECT_EQ(events[13].data["usage"]["cache_read_input_tokens"], 4);
  EXPECT_EQ(events[13].data["usage"]["output_tokens"], 6);
}

TEST(AnthropicWriter, SaysWhyAnAnswerEnded) {
  const auto reason = [](FinishReason finish, const std::string& stop) {
    Generation answer;
    answer.text = "a";
    answer.finish = finish;
    answer.stop_text = stop;
    const Json whole = Json::parse(AnthropicWriter("chick", 1)->Whole({answer}));
    return Dump({whole["stop_reason"], whole["stop_sequence"]});
  };
  EXPECT_EQ(reason(FinishReason::kStop, ""), R"(["end_turn",null])");
  EXPECT_EQ(reason(FinishReason::kStop, "END"), R"(["stop_sequence","END"])");
  EXPECT_EQ(reason(FinishReason::kLength, ""), R"(["max_tokens",null])");
  EXPECT_EQ(reason(FinishReason::kContext, ""), R"(["model_context_window_exceeded",null])");
  const std::vector<StreamEvent> events =
      EventsOf(AnthropicWriter("chick", 1)->Failure({ErrorCode::kOutOfMemory, "no room", ""}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].name, "error");
  EXPECT_EQ(events[0].data["error"]["type"], "overloaded_error");
}

TEST(AnthropicServer, AnswersWholeAndStreamed) {
  const testing::ChickServer server;
  const Json body = {{"model", "claude"},
                     {"max_tokens", 40},
                     {"temperature", 0},
                     {"messages", Question("how much is 3 plus 4")}};
  const testing::Reply whole = server.Post("/v1/messages?beta=true", body);
  ASSERT_EQ(whole.status, 200) << whole.body;
  const Json message = whole.json();
  const std::string text = message["content"][0]["text"];
  EXPECT_NE(text.find('7'), std::string::npos) << text;
  EXPECT_EQ(message["stop_reason"], "end_turn");
  EXPECT_EQ(message["model"], "chick");

  Json streamed = body;
  streamed["stream"] = true;
  const testing::Reply stream = server.Post("/v1/messages", streamed);
  EXPECT_NE(stream.head.find("text/event-stream"), std::string::npos);
  std::string joined;
  const std::vector<StreamEvent> events = EventsOf(stream.body);
  for (const StreamEvent& event : events) {
    if (event.name == "content_block_delta") joined += event.data["delta"]["text"].get<std::string>();
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(events.front().name, "message_start");
  EXPECT_EQ(events.back().name, "message_stop");
  const Json& usage = events[events.size() - 2].data["usage"];
  EXPECT_EQ(usage["output_tokens"], message["usage"]["output_tokens"]);

  const testing::Reply count = server.Post("/v1/messages/count_tokens?beta=true", body);
  ASSERT_EQ(count.status, 200) << count.body;
  EXPECT_EQ(count.json()["input_tokens"], message["usage"]["input_tokens"].get<int64_t>() +
                                              message["usage"]["cache_read_input_tokens"].get<int64_t>());

  Json stopped = body;
  stopped["stop_sequences"] = {text.substr(0, 1)};
  const Json early = server.Post("/v1/messages", stopped).json();
  EXPECT_EQ(early["stop_reason"], "stop_sequence");
  EXPECT_EQ(early["stop_sequence"], text.substr(0, 1));

  const testing::Reply wrong = server.Post("/v1/messages", {{"messages", 1}});
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.json()["type"], "error");
  EXPECT_EQ(wrong.json()["error"]["type"], "invalid_request_error");
}

TEST(AnthropicServer, CallsATool) {
  const testing::ChickServer server;
  const Json body = {{"temperature", 0}, {"messages", Question("Use a tool. what is the weather in paris")}};
  const Json call = server.Post("/v1/messages", body).json();
  ASSERT_EQ(call["stop_reason"], "tool_use") << Dump(call);
  const Json& block = call["content"].back();
  EXPECT_EQ(block["name"], "weather");
  EXPECT_TRUE(block["input"].is_object());
}

}  // namespace
}  // namespace linnet
