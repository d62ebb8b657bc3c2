#include "text/chat_format.h"

#include "text/golden_testing.h"
#include "text/tool_syntax.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;
using testing::ReadGoldenLines;
using testing::SmallTokenizer;

ChatOptions OptionsOf(const Json& line) {
  const Json& options = line["options"];
  return {.add_generation_prompt = options.value("add_generation_prompt", false),
          .enable_thinking = options.value("enable_thinking", false),
          .preserve_thinking = options.value("preserve_thinking", false)};
}

TEST(ChatFormat, GoldenConversations) {
  int rendered = 0, refused = 0;
  for (const Json& line : ReadGoldenLines("chat/conversations.jsonl")) {
    const auto text = RenderChat(line["messages"], line["tools"], OptionsOf(line));
    if (line.contains("rendered")) {
      ASSERT_TRUE(text) << line["case"] << text.error().Message();
      EXPECT_EQ(*text, line["rendered"].get<std::string>()) << line["case"];
      EXPECT_EQ(SmallTokenizer().Encode(*text), line["ids_small"].get<std::vector<int32_t>>())
          << line["case"];
      ++rendered;
    } else if (line["case"] == "arguments as JSON string") {
      // The reference refuses text; read as the object it spells, it renders as that object does.
      ASSERT_TRUE(text);
      EXPECT_NE(text->find("<|tool_call>call:lookup{limit:2,query:<|\"|>a<|\"|>}<tool_call|>"),
                std::string::npos)
          << *text;
    } else {
      EXPECT_FALSE(text) << line["case"];
      ++refused;
    }
  }
  EXPECT_EQ(rendered, 79);
  EXPECT_EQ(refused, 2);
}

std::string Render(const char* messages, ChatOptions options, const char* tools = "null") {
  const auto text = RenderChat(Json::parse(messages), Json::parse(tools), options);
  return text ? *text : "error: " + text.error().Message();
}

TEST(ChatFormat, CompactStyleOpensNoThought) {
  const char* hi = R"([{"role":"user","content":"Hi"}])";
  EXPECT_EQ(Render(hi, {.style = ChatStyle::kGemma4Compact, .add_generation_prompt = true}),
            "<bos><|turn>user\nHi<turn|>\n<|turn>model\n");
}

TEST(ChatFormat, Gemma3Turns) {
  const ChatOptions options{.style = ChatStyle::kGemma3, .add_generation_prompt = true};
  EXPECT_EQ(
      Render(R"([{"role":"system","content":"Be brief."},{"role":"user","content":" Hi "},
                      {"role":"assistant","content":"Yes."},
                      {"role":"user","content":[{"type":"text","text":"Go"}]}])",
             options),
      "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nYes.<end_of_turn>\n"
      "<start_of_turn>user\nGo<end_of_turn>\n<start_of_turn>model\n");
  for (const char* refused :
       {R"([{"role":"assistant","content":"a"}])", R"([{"role":"user","content":[{"type":"image"}]}])",
        R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])"}) {
    EXPECT_TRUE(Render(refused, options).starts_with("error: messages[")) << refused;
  }
  EXPECT_TRUE(Render("[]", options, R"([{"function":{"name":"f"}}])").starts_with("error: "));
}

TEST(ChatFormat, KeysSortWithoutCaseBeyondAscii) {
  EXPECT_EQ(RenderToolCall("f", Json::parse(R"({"é":1,"É":2,"Zebra":3,"apple":4,"Ж":5,"ж":6,"Apple":7})")),
            "call:f{apple:4,Apple:7,Zebra:3,é:1,É:2,Ж:5,ж:6}");
}

TEST(ChatFormat, NumbersAsPythonPrintsThem) {
  const std::pair<const char*, const char*> cases[] = {{"0", "0"},
                                                       {"-3", "-3"},
                                                       {"2.5", "2.5"},
                                                       {"3.0", "3.0"},
                                                       {"1e-5", "1e-05"},
                                                       {"0.0001", "0.0001"},
                                                       {"1e15", "1000000000000000.0"},
                                                       {"1e16", "1e+16"},
                                                       {"1e22", "1e+22"},
                                                       {"-0.0", "-0.0"},
                                                       {"0.1", "0.1"},
                                                       {"1.5e300", "1.5e+300"},
                                                       {"123456789.125", "123456789.125"},
                                                       {"18446744073709551615", "18446744073709551615"},
                                                       {"5e-324", "5e-324"}};
  for (const auto& [json, python] : cases) EXPECT_EQ(PythonNumber(Json::parse(json)), python);
}

TEST(ChatFormat, OddSchemasFollowTheReference) {
  const auto declare = [](const char* properties) {
    const Json tool = {
        {"function",
         {{"name", "f"}, {"parameters", {{"properties", Json::parse(properties)}, {"type", "object"}}}}}};
    const auto text = RenderToolDeclaration(tool);
    return text ? *text : "error: " + text.error().Message();
  };
  const auto expected = [](const std::string& properties) {
    return "declaration:f{description:<|\"|><|\"|>,parameters:{properties:{" + properties +
           "},type:<|\"|>OBJECT<|\"|>}}";
  };
  EXPECT_EQ(declare(R"({"a":true})"), expected("a:{type:<|\"|><|\"|>}"));
  EXPECT_EQ(declare(R"({"a":{"type":["string","null"]}})"),
            expected("a:{type:<|\"|>['STRING', 'NULL']<|\"|>}"));
  EXPECT_EQ(declare(R"({"a":{"type":"object","properties":null,"minProperties":1}})"),
            expected("a:{properties:{minProperties:{type:<|\"|><|\"|>}},type:<|\"|>OBJECT<|\"|>}"));
  EXPECT_EQ(declare(R"({"a":{"type":"array","items":{"enum":[{"b":null}],"properties":3}}})"),
            expected("a:{items:{enum:[{<|\"|>b<|\"|>:null}],properties:{}},type:<|\"|>ARRAY<|\"|>}"));
  EXPECT_TRUE(declare(R"({"a":{"type":"object","required":"b"}})")
                  .starts_with("error: tool f: parameters.properties.a"));
}

TEST(ChatFormat, ErrorsNameTheMessage) {
  const auto expect = [](const char* messages, const char* word) {
    const std::string text = Render(messages, {});
    EXPECT_TRUE(text.starts_with("error: ") && text.find(word) != text.npos) << text;
  };
  expect("3", "messages");
  expect("[3]", "messages[0].role");
  expect(R"([{"role":"user","content":5}])", "messages[0].content");
  expect(R"([{"role":"user","content":["x"]}])", "messages[0].content[0]");
  expect(R"([{"role":"user","content":[{"type":"text","text":{}}]}])", "messages[0].content[0].text");
  expect(R"([{"role":"assistant","reasoning":1}])", "messages[0].reasoning");
  expect(R"([{"role":"assistant","tool_calls":{"a":1}}])", "messages[0].tool_calls");
  expect(R"([{"role":"assistant","tool_calls":[{}]}])", "messages[0].tool_calls[0].function.name");
  expect(R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}])", "arguments");
  std::string deep = R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":)" +
                     std::string(100000, '[') + std::string(100000, ']') + "}}}]}]";
  expect(deep.c_str(), "nested");
}

TEST(ChatFormat, APromptAlwaysEndsWhereAnAnswerCanBegin) {
  const Json done = Json::parse(
      R"([{"role":"user","content":"x"},
          {"role":"assistant","content":"ok",
           "tool_calls":[{"id":"1","function":{"name":"f","arguments":{}}}]},
          {"role":"tool","content":"r","tool_call_id":"1"}])");
  EXPECT_TRUE(RenderChat(done, {}, {.add_generation_prompt = true})->ends_with("ok<turn|>\n"));
  EXPECT_TRUE(
      RenderPrompt(done, {}, {})->ends_with("ok<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"));
  EXPECT_TRUE(RenderPrompt(done, {}, {.enable_thinking = true})->ends_with("ok<turn|>\n<|turn>model\n"));
  const Json hi = Json::parse(R"([{"role":"user","content":"Hi"}])");
  EXPECT_EQ(RenderPrompt(hi, {}, {}).value(), RenderChat(hi, {}, {.add_generation_prompt = true}).value());
}

TEST(ChatFormat, StripThinking) {
  EXPECT_EQ(StripThinking(" a<|channel>thought\nx<channel|> b "), "a b");
  EXPECT_EQ(StripThinking("<channel|>"), "");
  EXPECT_EQ(StripThinking(""), "");
}

}  // namespace
}  // namespace linnet
