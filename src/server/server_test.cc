#include "server/server.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/grammar.h"
#include "linnet/media.h"
#include "server/fields.h"
#include "server/server_testing.h"
#include "server/socket_testing.h"

namespace linnet {
namespace {

using std::chrono::milliseconds;
using testing::BodyOf;
using testing::Chick;
using testing::Client;
using testing::FileInBase64;
using testing::HttpText;

// A server of Chick that ends with the test.
class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options_.parallel = 3;
    options_.grace = std::chrono::seconds(5);
    options_.log = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      log_ += line + "\n";
    };
  }

  void Start() { server_.emplace(options_, loader_); }

  std::string Send(const std::string& text) {
    Client client(server_->port());
    EXPECT_TRUE(client.Send(text));
    return client.ReadAll(milliseconds(60'000));
  }
  std::string Get(const std::string& path, const std::string& more = {}) {
    return Send(HttpText("GET", path, {}, "Connection: close\r\n" + more));
  }
  std::string Post(const std::string& path, const Json& body, const std::string& more = {}) {
    return Send(HttpText("POST", path, body.dump(), "Connection: close\r\n" + more));
  }
  Json Ask(const Json& body, const std::string& path = "/v1/chat/completions") {
    return Json::parse(BodyOf(Post(path, body)));
  }
  std::string Log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  MediaLoader loader_{{.helper = LINNET_MEDIA_HELPER}};
  ServerOptions options_;
  std::mutex mutex_;
  std::string log_;
  std::optional<testing::ChickServer> server_;
};

Json Chat(const std::string& text) {
  return {{"model", "any"},
          {"messages", {{{"role", "user"}, {"content", text}}}},
          {"temperature", 0},
          {"max_tokens", 40}};
}

std::string AnswerAlone(const std::string& text, const std::string& system = {}) {
  Conversation chat = std::move(*Conversation::Create(Chick(), {}, {.system = system}));
  chat.AddUser({.text = text});
  GenerateOptions options{.max_tokens = 40};
  options.sampling.temperature = 0;
  return chat.Answer(options)->text;
}

TEST_F(ServerTest, AnswersAsTheLibraryDoes) {
  Start();
  for (const char* text :
       {"Translate to French: turn on the kitchen light", "Translate to French: turn off the garden lamp"}) {
    const Json answer = Ask(Chat(text));
    ASSERT_TRUE(answer.contains("choices")) << answer;
    EXPECT_EQ(answer["model"], "chick");
    EXPECT_EQ(answer["object"], "chat.completion");
    EXPECT_EQ(answer["choices"][0]["message"]["content"], AnswerAlone(text));
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(answer["usage"]["total_tokens"].get<int>(),
              answer["usage"]["prompt_tokens"].get<int>() + answer["usage"]["completion_tokens"].get<int>());
  }
}

TEST_F(ServerTest, StreamsWhatItGivesWhole) {
  Start();
  Json body = Chat("Translate to French: turn off the garden lamp");
  const Json whole = Ask(body);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const std::string answer = Post("/v1/chat/completions", body);
  std::string text, finish;
  Json usage;
  int roles = 0;
  size_t pieces = 0;
  for (size_t at = answer.find("data: {"); at != std::string::npos; at = answer.find("data: {", at + 1)) {
    const Json chunk = Json::parse(answer.substr(at + 6, answer.find("\n\n", at) - at - 6));
    if (chunk["choices"].empty()) {
      usage = chunk["usage"];
      continue;
    }
    const Json& one = chunk["choices"][0];
    roles += one["delta"].contains("role");
    if (one["delta"].contains("content")) text += one["delta"]["content"].get<std::string>(), ++pieces;
    if (!one["finish_reason"].is_null()) finish = one["finish_reason"];
  }
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  EXPECT_EQ(finish, "stop");
  EXPECT_EQ(roles, 1);
  EXPECT_GT(pieces, 2U);
  EXPECT_EQ(usage["completion_tokens"], whole["usage"]["completion_tokens"]);
  EXPECT_NE(answer.find("data: [DONE]\n\n"), std::string::npos);
}

TEST_F(ServerTest, CallsToolsAndTakesTheirResults) {
  Start();
  Json body = Chat("Use a tool. call tom");
  const Json answer = Ask(body);
  const Json& message = answer["choices"][0]["message"];
  ASSERT_TRUE(message.contains("tool_calls")) << answer;
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "tool_calls");
  const Json& call = message["tool_calls"][0];
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"]["name"], "phone");
  EXPECT_EQ(Json::parse(call["function"]["arguments"].get<std::string>()), Json({{"name", "tom"}}));
  body["messages"].push_back(message);
  body["messages"].push_back(
      {{"role", "tool"}, {"tool_call_id", call["id"]}, {"content", R"({"ok": true})"}});
  const Json second = Ask(body);
  ASSERT_TRUE(second.contains("choices")) << second;
  EXPECT_GT(second["usage"]["prompt_tokens_details"]["cached_tokens"].get<int>(), 10);
}

TEST_F(ServerTest, SeesAndHears) {
  Start();
  const std::string picture = "data:image/png;base64," + FileInBase64("examples/shapes.png");
  Json body = Chat("");
  body["messages"][0]["content"] = {{{"type", "image_url"}, {"image_url", {{"url", picture}}}},
                                    {{"type", "text"}, {"text", "what is in the picture"}}};
  const Json seen = Ask(body);
  ASSERT_TRUE(seen.contains("choices")) << seen;
  EXPECT_GT(seen["usage"]["prompt_tokens"].get<int>(), 60);
  EXPECT_FALSE(seen["choices"][0]["message"]["content"].get<std::string>().empty());
  EXPECT_EQ(Ask(body)["choices"], seen["choices"]);
  body["messages"][0]["content"] = {
      {{"type", "text"}, {"text", "Transcribe the audio."}},
      {{"type", "input_audio"},
       {"input_audio", {{"data", FileInBase64("examples/command.wav")}, {"format", "wav"}}}}};
  const Json heard = Ask(body);
  ASSERT_TRUE(heard.contains("choices")) << heard;
  EXPECT_FALSE(heard["choices"][0]["message"]["content"].get<std::string>().empty());
}

// A recording with these fields of a form beside it.
std::string RecordingForm(const std::string& path,
                          const std::vector<std::pair<std::string, std::string>>& fields) {
  std::ifstream in(std::string(LINNET_SOURCE_DIR) + "/examples/command.wav", std::ios::binary);
  const std::string sound{std::istreambuf_iterator<char>(in), {}};
  std::string body;
  for (const auto& [name, value] : fields) {
    body += "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  }
  body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n" + sound +
          "\r\n--b--\r\n";
  return "POST " + path +
         " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; "
         "boundary=b\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(ServerTest, WritesDownRecordings) {
  Start();
  const auto hear = [&](const std::string& to,
                        const std::vector<std::pair<std::string, std::string>>& fields) {
    return Send(RecordingForm(to, fields));
  };
  const std::string path = "/v1/audio/transcriptions";
  EXPECT_EQ(Json::parse(BodyOf(hear(path, {{"model", "any"}})))["text"], "play some jazz music");
  EXPECT_EQ(BodyOf(hear(path, {{"response_format", "text"}})), "play some jazz music\n");
  EXPECT_NE(hear(path, {{"response_format", "srt"}}).find(" --> "), std::string::npos);
  EXPECT_TRUE(BodyOf(hear(path, {{"response_format", "vtt"}})).starts_with("WEBVTT"));
  const Json verbose = Json::parse(BodyOf(hear(path, {{"response_format", "verbose_json"}})));
  EXPECT_EQ(verbose["segments"].size(), 1U);
  EXPECT_GT(verbose["duration"].get<double>(), 0.5);
  const std::string streamed = hear(path, {{"stream", "true"}});
  EXPECT_NE(streamed.find(R"("delta":"play some jazz music")"), std::string::npos);
  EXPECT_NE(streamed.find(R"("type":"transcript.text.done","text":"play some jazz music")"),
            std::string::npos);
  EXPECT_NE(hear(path, {{"response_format", "diarized_json"}}).find(" 400 "), std::string::npos);
  EXPECT_FALSE(verbose.contains("note"));
  EXPECT_FALSE(verbose["segments"][0].contains("cut"));
  EXPECT_EQ(hear(path, {{"response_format", "text"}}).find("Linnet-Note"), std::string::npos);
  EXPECT_NE(hear("/v1/audio/translations", {}).find(" 200 "), std::string::npos);
  EXPECT_NE(Post(path, Json::object()).find(" 415 "), std::string::npos);
}

TEST_F(ServerTest, SaysWhereRecordingsWereCut) {
  options_.session.context = 57;  // which holds the prompt and less than the answer
  Start();
  const auto hear = [&](const std::string& name, const std::string& value) {
    return Send(RecordingForm("/v1/audio/transcriptions", {{name, value}}));
  };
  const std::string told = "in 1 piece the model repeated itself or had no room";
  const Json verbose = Json::parse(BodyOf(hear("response_format", "verbose_json")));
  EXPECT_EQ(verbose["text"], "play some jazz");
  EXPECT_EQ(verbose["segments"][0]["cut"], true);
  for (const Json& json : {verbose, Json::parse(BodyOf(hear("response_format", "json")))}) {
    ASSERT_TRUE(json.contains("note")) << json;
    EXPECT_TRUE(json["note"].get<std::string>().starts_with(told)) << json;
  }
  for (const char* format : {"text", "srt", "vtt"}) {
    EXPECT_NE(hear("response_format", format).find("\r\nLinnet-Note: " + told), std::string::npos) << format;
  }
  EXPECT_NE(hear("stream", "true").find(R"("note":")" + told), std::string::npos);
}

TEST_F(ServerTest, GoesOnFromTheBeginningOfAnAnswer) {
  Start();
  const std::string text = "Translate to French: turn off the garden lamp";
  const std::string whole = AnswerAlone(text);
  ASSERT_GT(whole.size(), 8U);
  const size_t half = whole.find(' ');
  Json body = Chat(text);
  body["messages"].push_back({{"role", "assistant"}, {"content", whole.substr(0, half)}});
  EXPECT_EQ(whole.substr(0, half) + Ask(body)["choices"][0]["message"]["content"].get<std::string>(), whole);
}

TEST_F(ServerTest, SeveralChoicesReadThePromptOnce) {
  Start();
  Json body = Chat("Tell me something, " + std::string(200, 'x'));
  body["n"] = 3;
  body["seed"] = 5;
  body["temperature"] = 1.0;
  body["max_tokens"] = 12;
  const Json answer = Ask(body);
  ASSERT_EQ(answer["choices"].size(), 3U) << answer;
  for (int i = 0; i < 3; ++i) {
    Json alone = body;
    alone["n"] = 1;
    alone["seed"] = 5 + i;
    EXPECT_EQ(Ask(alone)["choices"][0]["message"], answer["choices"][i]["message"]) << i;
  }
}

TEST_F(ServerTest, TellsHowProbableTokensWere) {
  Start();
  Json body = Chat("Translate to French: turn on the kitchen light");
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const Json choice = Ask(body)["choices"][0];
  ASSERT_TRUE(choice["logprobs"].is_object()) << choice;
  std::string text;
  for (const Json& token : choice["logprobs"]["content"]) {
    text += token["token"].get<std::string>();
    EXPECT_EQ(token["top_logprobs"].size(), 2U);
    EXPECT_LE(token["logprob"].get<double>(), 0);
  }
  EXPECT_EQ(text, choice["message"]["content"]);
}

TEST_F(ServerTest, ContinuesTextsAndTokens) {
  Start();
  const Json body = {{"prompt", "the red square"}, {"max_tokens", 5}, {"temperature", 0}, {"echo", true}};
  const Json answer = Ask(body, "/v1/completions");
  EXPECT_TRUE(answer["choices"][0]["text"].get<std::string>().starts_with("the red square")) << answer;
  Json tokens = body;
  tokens["prompt"] = *Chick().TokeniseMarked("the red square");
  tokens["echo"] = false;
  EXPECT_EQ("the red square" + Ask(tokens, "/v1/completions")["choices"][0]["text"].get<std::string>(),
            answer["choices"][0]["text"]);
}

TEST_F(ServerTest, RefusesByName) {
  Start();
  const auto refusal = [&](const char* field, const Json& value) {
    Json body = Chat("hello");
    body[field] = value;
    const std::string answer = Post("/v1/chat/completions", body);
    EXPECT_NE(answer.find(" 400 "), std::string::npos) << answer;
    return Json::parse(BodyOf(answer))["error"]["message"].get<std::string>();
  };
  EXPECT_TRUE(refusal("logit_bias", {{"5", 1}}).starts_with("logit_bias"));
  EXPECT_TRUE(refusal("frequency_penalty", 0.5).starts_with("frequency_penalty"));
  EXPECT_TRUE(refusal("temperature", "hot").starts_with("temperature"));
  EXPECT_TRUE(refusal("n", 0).starts_with("n "));
  EXPECT_TRUE(refusal("messages", Json::array()).starts_with("messages"));
  EXPECT_TRUE(refusal("messages", {{{"role", "king"}, {"content", "x"}}}).starts_with("messages[0].role"));
  EXPECT_TRUE(refusal("tools", "x").starts_with("tools"));
  EXPECT_TRUE(
      refusal("messages", {{{"role", "user"}, {"content", "x"}}, {{"role", "tool"}, {"content", "y"}}})
          .starts_with("messages[1].role"));
  const Json path = {
      {{"role", "user"},
       {"content", {{{"type", "image_url"}, {"image_url", {{"url", "file:///etc/passwd"}}}}}}}};
  EXPECT_TRUE(refusal("messages", path).starts_with("messages[0].content[0].image_url"));
  const Json address = {
      {{"role", "user"},
       {"content", {{{"type", "image_url"}, {"image_url", {{"url", "http://x.example/a"}}}}}}}};
  EXPECT_TRUE(refusal("messages", address).starts_with("messages[0].content[0].image_url"));
  std::string lengthy = "long";
  for (int i = 0; i < 5000; ++i) lengthy += " " + std::to_string(i);
  EXPECT_NE(refusal("messages", {{{"role", "user"}, {"content", lengthy}}}).find("the context holds"),
            std::string::npos);
}

TEST_F(ServerTest, HoldsAnswersToTheirForm) {
  if (!HasGrammars()) GTEST_SKIP() << "this build has no structured output";
  Start();
  const Json schema = Json::parse(R"({"type": "object", "additionalProperties": false,
    "required": ["colour", "size"],
    "properties": {"colour": {"enum": ["red", "blue"]},
                   "size": {"type": "integer", "minimum": 1, "maximum": 9}}})");
  Json body = Chat("what is in the picture");
  body["response_format"] = {{"type", "json_schema"},
                             {"json_schema", {{"name", "thing"}, {"schema", schema}}}};
  const Json answer = Ask(body);
  ASSERT_TRUE(answer.contains("choices")) << answer;
  const Json thing = Json::parse(answer["choices"][0]["message"]["content"].get<std::string>());
  EXPECT_TRUE(thing["colour"] == "red" || thing["colour"] == "blue") << thing;
  EXPECT_TRUE(thing["size"].is_number_integer()) << thing;
  body.erase("response_format");
  body["guided_choice"] = {"left", "right"};
  const Json choice = Ask(body)["choices"][0]["message"]["content"];
  EXPECT_TRUE(choice == "left" || choice == "right") << choice;
  body.erase("guided_choice");
  body["tools"] =
      Json::parse(R"([{"type": "function", "function": {"name": "paint", "parameters": {"type": "object",
    "required": ["colour"], "properties": {"colour": {"enum": ["red", "green"]}}}}}])");
  for (const Json& must : {Json("required"), Json{{"type", "function"}, {"function", {{"name", "paint"}}}}}) {
    body["tool_choice"] = must;
    const Json called = Ask(body);
    ASSERT_TRUE(called.contains("choices")) << called;
    EXPECT_EQ(called["choices"][0]["finish_reason"], "tool_calls");
    const Json& call = called["choices"][0]["message"]["tool_calls"][0]["function"];
    EXPECT_EQ(call["name"], "paint");
    const Json colour = Json::parse(call["arguments"].get<std::string>())["colour"];
    EXPECT_TRUE(colour == "red" || colour == "green") << call;
  }
}

// Each protocol's way to ask for the same form.
TEST_F(ServerTest, EveryProtocolHoldsAnswersToTheirForm) {
  if (!HasGrammars()) GTEST_SKIP() << "this build has no structured output";
  Start();
  const Json schema = {{"type", "object"},
                       {"required", {"on"}},
                       {"properties", {{"on", {{"type", "boolean"}}}}},
                       {"additionalProperties", false}};
  const Json messages = Chat("is the lamp on")["messages"];
  const Json form = {{"type", "json_schema"}, {"name", "lamp"}, {"schema", schema}};
  const Json anthropic = Ask(
      {{"messages", messages}, {"max_tokens", 40}, {"output_config", {{"format", form}}}}, "/v1/messages");
  const Json responses = Ask({{"input", messages}, {"text", {{"format", form}}}}, "/v1/responses");
  const Json ollama = Ask({{"messages", messages}, {"stream", false}, {"format", schema}}, "/api/chat");
  ASSERT_TRUE(anthropic.contains("content")) << anthropic;
  ASSERT_TRUE(responses.contains("output")) << responses;
  ASSERT_TRUE(ollama.contains("message")) << ollama;
  for (const Json& text : {anthropic["content"][0]["text"], responses["output"][0]["content"][0]["text"],
                           ollama["message"]["content"]}) {
    EXPECT_TRUE(Json::parse(text.get<std::string>())["on"].is_boolean()) << text;
  }
  const Json tool = {{"name", "paint"}, {"input_schema", schema}};
  const Json call =
      Ask({{"messages", messages}, {"max_tokens", 40}, {"tools", {tool}}, {"tool_choice", {{"type", "any"}}}},
          "/v1/messages");
  EXPECT_EQ(call["stop_reason"], "tool_use") << call;
  const Json function = {{"type", "function"}, {"name", "paint"}, {"parameters", schema}};
  const Json named = Ask({{"input", messages},
                          {"tools", {function}},
                          {"tool_choice", {{"type", "function"}, {"name", "paint"}}}},
                         "/v1/responses");
  ASSERT_TRUE(named.contains("output")) << named;
  EXPECT_EQ(named["output"][0]["type"], "function_call");
}

TEST_F(ServerTest, RefusesFormsThatItCannotKeep) {
  Start();
  Json body = Chat("hello");
  body["response_format"] = {
      {"type", "json_schema"},
      {"json_schema",
       {{"name", "x"}, {"schema", {{"properties", {{"a", {{"not", {{"type", "string"}}}}}}}}}}}};
  const std::string answer = Post("/v1/chat/completions", body);
  EXPECT_NE(answer.find(HasGrammars() ? " 400 " : " 501 "), std::string::npos) << answer;
  EXPECT_TRUE(!HasGrammars() || answer.find("/properties/a") != std::string::npos) << answer;
  body.erase("response_format");
  body["tool_choice"] = "required";
  EXPECT_NE(Post("/v1/chat/completions", body).find(" 400 "), std::string::npos);
}

TEST_F(ServerTest, LetsInWhoMay) {
  options_.api_key = "secret";
  options_.allowed_origins = {"https://chat.example"};
  Start();
  const std::string page = "Origin: https://chat.example\r\nx-api-key: secret\r\n";
  EXPECT_NE(Get("/v1/models", page).find("Access-Control-Allow-Origin: https://chat.example\r\n"),
            std::string::npos);
  Json body = Chat("what is in the picture");
  body["stream"] = true;
  EXPECT_NE(
      Post("/v1/chat/completions", body, page).find("Access-Control-Allow-Origin: https://chat.example\r\n"),
      std::string::npos);
  EXPECT_EQ(Get("/v1/models", "x-api-key: secret\r\n").find("Access-Control"), std::string::npos);
  EXPECT_NE(Get("/health").find(" 200 "), std::string::npos);
  EXPECT_NE(Get("/v1/models").find(" 401 "), std::string::npos);
  EXPECT_NE(Get("/v1/models", "Authorization: Bearer wrong\r\n").find(" 401 "), std::string::npos);
  EXPECT_NE(Get("/v1/models", "Authorization: Bearer secret\r\n").find(" 200 "), std::string::npos);
  EXPECT_NE(Get("/v1/models", "x-api-key: secret\r\n").find(" 200 "), std::string::npos);
  EXPECT_NE(Get("/none", "x-api-key: secret\r\n").find(" 404 "), std::string::npos);
  EXPECT_NE(Get("/v1/chat/completions", "x-api-key: secret\r\n").find(" 405 "), std::string::npos);
  EXPECT_NE(Get("/health", "Origin: http://evil.example\r\n").find(" 403 "), std::string::npos);
  EXPECT_NE(Send("GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").find(" 403 "),
            std::string::npos);
  EXPECT_NE(Send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nContent-Type: "
                 "text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                .find(" 415 "),
            std::string::npos);
  // Without a type it is taken to be right, but not from a page.
  const std::string untyped =
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\n"
      "Content-Length: 2\r\nConnection: close\r\n";
  EXPECT_NE(Send(untyped + "\r\n{}").find(" 400 "), std::string::npos);
  EXPECT_NE(Send(untyped + "Origin: http://localhost\r\n\r\n{}").find(" 415 "), std::string::npos);
}

TEST(ServeWithoutAKey, IsRefusedWhereOthersCanReachIt) {
  const ServerOptions options{.host = "0.0.0.0", .port = 0};
  const Status served = Serve(Chick(), MediaLoader(), options);
  ASSERT_FALSE(served.has_value());
  EXPECT_NE(served.error().Message().find("key"), std::string::npos);
}

// Many at once, some of whom hang up: the others get what they would get alone, and nothing is left behind.
TEST_F(ServerTest, AnswersManyAtOnceAsEachAlone) {
  options_.queue = 40;
  Start();
  const std::vector<std::string> asked = {
      "Translate to French: turn on the kitchen light", "Translate to French: turn off the garden lamp",
      "what is 20 plus 11", "hello", "Translate to French: open the door"};
  std::vector<std::string> alone;
  for (const std::string& text : asked) alone.push_back(AnswerAlone(text));
  std::vector<std::thread> clients;
  for (int i = 0; i < 15; ++i) {
    clients.emplace_back([&, i] {
      for (int round = 0; round < 4; ++round) {
        const size_t which = static_cast<size_t>(i + round) % asked.size();
        if ((i + round) % 4 == 3) {
          Client client(server_->port());
          Json body = Chat("count, " + std::string(static_cast<size_t>(100 * (i + 1)), 'a'));
          body["stream"] = true;
          client.Send(HttpText("POST", "/v1/chat/completions", body.dump()));
          client.ReadUntil("data:", milliseconds(30 * round));
          continue;  // hangs up
        }
        const Json content = Ask(Chat(asked[which]))["choices"][0]["message"]["content"];
        EXPECT_EQ(content.is_null() ? "" : content.get<std::string>(), alone[which]);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  for (int i = 0; i < 200; ++i) {
    const std::string metrics = Get("/metrics");
    if (metrics.find("linnet_answers{state=\"writing\"} 0\n") != std::string::npos &&
        metrics.find("linnet_answers{state=\"reading\"} 0\n") != std::string::npos &&
        metrics.find("linnet_answers{state=\"waiting\"} 0\n") != std::string::npos) {
      return;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  FAIL() << "something goes on that nobody waits for";
}

TEST_F(ServerTest, SaysWhenTooManyWait) {
  options_.parallel = 1;
  options_.queue = 1;
  Start();
  Json lengthy = Chat("Tell me");
  lengthy["n"] = 3;
  EXPECT_NE(Post("/v1/chat/completions", lengthy).find(" 429 "), std::string::npos);
  EXPECT_NE(Post("/v1/chat/completions", lengthy).find("Retry-After"), std::string::npos);
}

TEST_F(ServerTest, EndsWithWhatItHasBegun) {
  Start();
  Client client(server_->port()), idle(server_->port());
  Json body = Chat("Translate to French: turn off the garden lamp");
  body["stream"] = true;
  client.Send(HttpText("POST", "/v1/chat/completions", body.dump()));
  client.ReadUntil("data:");
  kill(getpid(), SIGTERM);
  EXPECT_NE(client.ReadAll().find("[DONE]"), std::string::npos);
  server_->Wait();
  EXPECT_FALSE(Client(server_->port()).connected());
  EXPECT_NE(Log().find("stopping"), std::string::npos);
  EXPECT_EQ(Log().find("garden"), std::string::npos) << "the log says nothing of what was said";
}

}  // namespace
}  // namespace linnet
