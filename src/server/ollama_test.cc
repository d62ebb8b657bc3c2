#include "server/ollama.h"

#include <gtest/gtest.h>

#include "server/ollama_writer.h"
#include "server/server_testing.h"

namespace linnet {
namespace {

using testing::FileInBase64;
using testing::LinesOf;
using testing::PromptOf;
using testing::Translated;
using testing::WhatIsWrong;

Json Hello() { return {{{"role", "user"}, {"content", "hello"}}}; }

TEST(OllamaRequest, MessagesBecomeThePrompt) {
  const Result<Asked> asked = Translated(
      TranslateOllamaChat,
      {{"model", "llama3"},
       {"messages",
        {{{"role", "system"}, {"content", "Be brief."}},
         {{"role", "user"}, {"content", "what is the weather in paris"}},
         {{"role", "assistant"},
          {"content", ""},
          {"thinking", "I need it."},
          {"tool_calls", {{{"function", {{"name", "weather"}, {"arguments", {{"city", "paris"}}}}}}}}},
         {{"role", "tool"}, {"content", "sunny"}, {"tool_name", "weather"}}}}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  EXPECT_TRUE(asked->stream) << "unless it is told otherwise";
  EXPECT_EQ(PromptOf(*asked),
            "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nwhat is the weather in paris<turn|>\n"
            "<|turn>model\n<|channel>thought\nI need it.\n<channel|>"
            "<|tool_call>call:weather{city:<|\"|>paris<|\"|>}<tool_call|>"
            "<|tool_response>response:weather{value:<|\"|>sunny<|\"|>}<tool_response|>");
}

TEST(OllamaRequest, PicturesStandBeforeTheTextAndSoundsBehindIt) {
  const Result<Asked> asked = Translated(
      TranslateOllamaChat,
      {{"messages",
        {{{"role", "user"},
          {"content", "what is this"},
          {"images",
           {FileInBase64("examples/command.wav"), FileInBase64("models/chick/examples/see-000.png")}}}}}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  const std::string prompt = PromptOf(*asked);
  const size_t picture = prompt.find("<|image>"), text = prompt.find("what is this"),
               sound = prompt.find("<|audio>");
  EXPECT_LT(picture, text) << prompt;
  EXPECT_LT(text, sound) << prompt;
  EXPECT_NE(sound, std::string::npos) << prompt;
}

TEST(OllamaRequest, Options) {
  const Result<Asked> asked = Translated(TranslateOllamaChat, {{"messages", Hello()},
                                                               {"stream", false},
                                                               {"think", "low"},
                                                               {"keep_alive", "5m"},
                                                               {"options",
                                                                {{"num_predict", 7},
                                                                 {"temperature", 0.25},
                                                                 {"top_k", 3},
                                                                 {"top_p", 0.5},
                                                                 {"min_p", 0.1},
                                                                 {"seed", 42},
                                                                 {"stop", {"a", "b"}},
                                                                 {"repeat_penalty", 1.5},
                                                                 {"num_ctx", 1024},
                                                                 {"num_gpu", 99},
                                                                 {"presence_penalty", 0}}}});
  ASSERT_TRUE(asked.has_value()) << asked.error().Message();
  EXPECT_FALSE(asked->stream);
  const GenerateOptions& options = asked->answers.at(0).options;
  EXPECT_EQ(options.max_tokens, 7);
  EXPECT_FLOAT_EQ(*options.sampling.temperature, 0.25f);
  EXPECT_EQ(*options.sampling.top_k, 3);
  EXPECT_FLOAT_EQ(*options.sampling.top_p, 0.5f);
  EXPECT_FLOAT_EQ(options.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(options.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(options.sampling.seed, 42u);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_NE(options.mask, nullptr) << "a low effort has a bound";
  EXPECT_NE(PromptOf(*asked).find("<|think|>"), std::string::npos);
  const Result<Asked> endless = Translated(
      TranslateOllamaChat, {{"messages", Hello()}, {"think", true}, {"options", {{"num_predict", -1}}}});
  EXPECT_EQ(endless->answers.at(0).options.max_tokens, 0);
  EXPECT_EQ(endless->answers.at(0).options.mask, nullptr);
}

TEST(OllamaRequest, WhatCannotBeDoneIsRefusedByName) {
  const auto wrong = [](Json more) {
    Json body = {{"messages", Hello()}};
    body.update(more);
    return WhatIsWrong(TranslateOllamaChat, body);
  };
  EXPECT_EQ(wrong(Json::object()), "nothing");
  EXPECT_EQ(wrong({{"format", ""}}), "nothing");
  EXPECT_EQ(wrong({{"format", "xml"}}), "format is \"xml\"");
  EXPECT_EQ(wrong({{"options", {{"num_ctx", 4096}}}}),
            "options.num_ctx is 4096, and this server's context is 1024");
  EXPECT_EQ(wrong({{"options", {{"mirostat", 2}}}}), "options.mirostat is not supported");
  EXPECT_EQ(wrong({{"think", "hard"}}), "think is 'hard'");
  EXPECT_EQ(wrong({{"messages", {{{"role", "robot"}, {"content", "x"}}}}}), "messages[0].role is 'robot'");
  EXPECT_EQ(wrong({{"messages", {{{"role", "tool"}, {"content", "x"}}}}}),
            "messages[0].role is 'tool', and no call waits for this result");
  EXPECT_EQ(
      wrong({{"messages", {{{"role", "assistant"}, {"tool_calls", {{{"function", {{"name", "f"}}}}}}}}}}),
      "messages ends with calls of tools that have no results");
  EXPECT_EQ(WhatIsWrong(TranslateOllamaGenerate, {{"prompt", "a"}, {"suffix", "b"}}),
            "suffix is not supported");
  EXPECT_EQ(WhatIsWrong(TranslateOllamaGenerate, {{"prompt", "a"}, {"context", {1, 2}}}),
            "context is not supported");
}

TEST(OllamaRequest, GenerateIsAChatOrPlainText) {
  const Result<Asked> chat =
      Translated(TranslateOllamaGenerate, {{"prompt", "hello"}, {"system", "Be brief."}});
  ASSERT_TRUE(chat.has_value()) << chat.error().Message();
  EXPECT_EQ(PromptOf(*chat),
            "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nhello<turn|>\n<|turn>model\n"
            "<|channel>thought\n<channel|>");
  const Result<Asked> raw =
      Translated(TranslateOllamaGenerate, {{"prompt", "<|turn>user\nhi"}, {"raw", true}});
  ASSERT_TRUE(raw.has_value()) << raw.error().Message();
  EXPECT_EQ(PromptOf(*raw), "<bos><|turn>user\nhi");
  EXPECT_FALSE(raw->answers.at(0).prepared.history.has_value());
}

TEST(OllamaRequest, NothingToWriteLoadsTheModel) {
  const Result<Asked> load = Translated(TranslateOllamaGenerate, {{"model", "x"}});
  ASSERT_TRUE(load.has_value() && load->at_once.has_value());
  const Json answer = Json::parse(load->at_once->body);
  EXPECT_EQ(answer["done"], true);
  EXPECT_EQ(answer["done_reason"], "load");
  EXPECT_EQ(answer["response"], "");
  const Result<Asked> unload =
      Translated(TranslateOllamaChat, {{"messages", Json::array()}, {"keep_alive", 0}});
  EXPECT_EQ(Json::parse(unload->at_once->body)["done_reason"], "unload");
  EXPECT_EQ(unload->notes.size(), 1u);
}

TEST(OllamaWriter, LinesAreObjects) {
  const auto writer = OllamaWriter(OllamaShape::kChat, "chick");
  Generation answer;
  answer.finish = FinishReason::kToolCall;
  answer.stats.prompt_tokens = 8;
  answer.stats.reused_tokens = 4;
  answer.stats.generated_tokens = 6;
  answer.stats.decode_seconds = 0.5;
  using enum TurnEvent::Kind;
  const std::vector<Json> lines =
      LinesOf(Joined({writer->Begin(), writer->Event(0, {kThought, "Hm.", {}}), writer->SignOfLife(),
                      writer->Event(0, {kText, "Let me see.", {}}),
                      writer->Event(0, {kToolCall, "", {"weather", R"({"city":"paris"})", true}}),
                      writer->End(0, answer), writer->Finish()}));
  ASSERT_EQ(lines.size(), 5u);
  for (const Json& line : lines) {
    EXPECT_EQ(line["model"], "chick");
    EXPECT_EQ(line["message"]["role"], "assistant");
    EXPECT_EQ(line["done"], &line == &lines.back());
  }
  EXPECT_EQ(lines[0]["message"]["thinking"], "Hm.");
  EXPECT_EQ(lines[1]["message"]["content"], "");
  EXPECT_EQ(lines[2]["message"]["content"], "Let me see.");
  EXPECT_EQ(lines[3]["message"]["tool_calls"][0]["function"]["arguments"]["city"], "paris");
  EXPECT_EQ(lines[4]["done_reason"], "stop");
  EXPECT_EQ(lines[4]["prompt_eval_count"], 12);
  EXPECT_EQ(lines[4]["eval_count"], 6);
  EXPECT_EQ(lines[4]["eval_duration"], 500'000'000);
  EXPECT_GE(lines[4]["total_duration"].get<int64_t>(), 500'000'000);
  EXPECT_EQ(LinesOf(writer->Failure({ErrorCode::kInternal, "no room", ""})).at(0),
            (Json{{"error", "no room"}}));
}

TEST(OllamaWriter, GenerateHasItsOwnShape) {
  const auto writer = OllamaWriter(OllamaShape::kGenerate, "chick");
  Generation answer;
  answer.text = "Seven.";
  answer.thought = "Hm.";
  answer.finish = FinishReason::kLength;
  const Json whole = Json::parse(writer->Whole({answer}));
  EXPECT_EQ(whole["response"], "Seven.");
  EXPECT_EQ(whole["thinking"], "Hm.");
  EXPECT_EQ(whole["done"], true);
  EXPECT_EQ(whole["done_reason"], "length");
  EXPECT_FALSE(whole.contains("message"));
}

TEST(OllamaServer, AnswersWholeAndStreamed) {
  const testing::ChickServer server;
  Json body = {{"model", "chick"},
               {"messages", {{{"role", "user"}, {"content", "how much is 3 plus 4"}}}},
               {"options", {{"temperature", 0}}}};
  const testing::Reply stream = server.Post("/api/chat", body);
  ASSERT_EQ(stream.status, 200) << stream.body;
  EXPECT_NE(stream.head.find("application/x-ndjson"), std::string::npos);
  std::string joined;
  const std::vector<Json> lines = LinesOf(stream.body);
  for (const Json& line : lines) joined += line["message"]["content"].get<std::string>();
  EXPECT_NE(joined.find('7'), std::string::npos) << joined;
  EXPECT_EQ(lines.back()["done"], true);
  body["stream"] = false;
  EXPECT_EQ(server.Post("/api/chat", body).json()["message"]["content"], joined);

  const Json raw = server
                       .Post("/api/generate", {{"prompt", "how much is 3 plus 4"},
                                               {"stream", false},
                                               {"options", {{"temperature", 0}, {"num_predict", 40}}}})
                       .json();
  EXPECT_EQ(raw["response"], joined);
  const testing::Reply wrong = server.Post("/api/chat", {{"messages", 3}});
  EXPECT_EQ(wrong.status, 400);
  EXPECT_TRUE(wrong.json()["error"].is_string());
}

// As LiteLLM does it; a page that does not say it still says where it comes from.
TEST(OllamaServer, TakesJsonThatIsNotSaidToBeJson) {
  const testing::ChickServer server;
  const auto show = [&](const std::string& more) {
    const std::string head = "POST /api/show HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    return server.Send(head + more + "Content-Length: 14\r\n\r\n" + R"({"name":"any"})").status;
  };
  EXPECT_EQ(show(""), 200);
  EXPECT_EQ(show("Content-Type: text/plain\r\n"), 415);
  EXPECT_EQ(show("Origin: http://localhost\r\n"), 415);
}

TEST(OllamaServer, TellsOfItsModel) {
  const testing::ChickServer server;
  const Json tags = server.Ask("GET", "/api/tags").json();
  ASSERT_EQ(tags["models"].size(), 1u);
  const Json& model = tags["models"][0];
  EXPECT_EQ(model["name"], "chick");
  EXPECT_EQ(model["digest"].get<std::string>().size(), 64u);
  EXPECT_EQ(model["details"]["family"], "gemma4");
  EXPECT_EQ(model["details"]["parameter_size"], "9M");
  EXPECT_EQ(model["details"]["quantization_level"], "bf16");
  const Json show = server.Post("/api/show", {{"name", "anything"}}).json();
  EXPECT_EQ(show["model_info"]["gemma4.context_length"], 1024);
  EXPECT_NE(show["template"].get<std::string>().find("Tools"), std::string::npos);
  EXPECT_EQ(show["capabilities"], (Json{"completion", "vision", "audio", "tools", "thinking"}));
  EXPECT_EQ(server.Post("/api/show", {{"verbose", true}}).status, 400);
  const Json running = server.Ask("GET", "/api/ps").json();
  EXPECT_EQ(running["models"][0]["context_length"], 1024);
  EXPECT_TRUE(server.Ask("GET", "/api/version").json()["version"].is_string());
  const std::vector<Json> pull = LinesOf(server.Post("/api/pull", {{"model", "llama3"}}).body);
  ASSERT_EQ(pull.size(), 2u);
  EXPECT_NE(pull[0]["status"].get<std::string>().find("nothing is fetched"), std::string::npos);
  EXPECT_EQ(pull[1]["status"], "success");
}

}  // namespace
}  // namespace linnet
