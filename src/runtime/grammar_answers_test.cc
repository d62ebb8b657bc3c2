// Answers and tool calls of the built-in model that follow a grammar, and calls by chance: all are read back
// as they were meant and match their schemas.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "linnet/conversation.h"
#include "runtime/grammar_testing.h"
#include "runtime/schema_testing.h"
#include "text/output_parser.h"

namespace linnet {
namespace {

using testing::TestJson;

constexpr const char* kTwoTools = R"([
  {"type":"function","function":{"name":"phone","strict":true,"parameters":{"type":"object",
    "properties":{"name":{"type":"string","maxLength":30}},"required":["name"],
    "additionalProperties":false}}},
  {"type":"function","function":{"name":"weather","strict":true,"parameters":{"type":"object",
    "properties":{"city":{"enum":["rome","paris","tokyo","oslo"]},
                  "days":{"type":"integer","minimum":1,"maximum":9}},
    "required":["city"],"additionalProperties":false}}}])";

TestJson Tool(const std::string& name, const TestJson& parameters, bool strict = true) {
  return {{"type", "function"},
          {"function", {{"name", name}, {"strict", strict}, {"parameters", parameters}}}};
}

class GrammarAnswers : public testing::GrammarFixture {
 protected:
  struct Asked {
    std::string prompt, tools;
    GenerateOptions options;
  };
  static Result<Generation> Ask(const Asked& asked, const Grammar& grammar) {
    LINNET_ASSIGN(Conversation chat, Conversation::Create(*engine_, {}, {.tools = asked.tools}));
    chat.AddUser({asked.prompt, {}, {}});
    const std::unique_ptr<TokenMask> mask = grammar.NewMask();
    GenerateOptions options = asked.options;
    options.mask = mask.get();
    return chat.Answer(options);
  }
  static Grammar Tools(const std::string& tools, const ToolRules& rules = {}) {
    auto grammar = compiler_->CompileTools(tools, rules);
    EXPECT_TRUE(grammar.has_value()) << grammar.error().Message();
    return *grammar;
  }
  static std::string ToolError(const TestJson& tools, const ToolRules& rules = {}) {
    const auto grammar = compiler_->CompileTools(tools.dump(), rules);
    return grammar ? "compiled" : grammar.error().Message();
  }
};

TEST_F(GrammarAnswers, FollowTheirSchemaWithAndWithoutDrafts) {
  const std::string schema =
      R"({"type":"object","properties":{
        "shape":{"enum":["circle","square"]},
        "word":{"type":"string","maxLength":12},
        "counts":{"type":"array","items":{"type":"integer","minimum":0,"maximum":40},
                  "minItems":2,"maxItems":3}},
      "required":["shape","word","counts"],"additionalProperties":false})";
  const Grammar grammar = Schema(schema);
  for (const float temperature : {0.0f, 1.0f}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      Asked asked{.prompt = "what is in the picture"};
      asked.options.sampling.temperature = temperature;
      asked.options.sampling.seed = seed;
      asked.options.draft = 0;
      const auto plain = Ask(asked, grammar);
      ASSERT_TRUE(plain.has_value()) << plain.error().Message();
      EXPECT_EQ(plain->finish, FinishReason::kStop);
      const TestJson value = TestJson::parse(plain->text, nullptr, false);
      EXPECT_TRUE(testing::Matches({}, TestJson::parse(schema), value)) << plain->text;
      for (const int32_t draft : {-1, 3, 15}) {
        asked.options.draft = draft;
        const auto drafted = Ask(asked, grammar);
        ASSERT_TRUE(drafted.has_value()) << drafted.error().Message();
        EXPECT_EQ(drafted->ids, plain->ids) << draft;
        EXPECT_EQ(drafted->finish, plain->finish);
      }
    }
  }
}

// Wrong drafts are taken back out of the grammar as if they had never been there.
TEST_F(GrammarAnswers, OfRandomSchemasAreTheSameWithAndWithoutDrafts) {
  const char* prompts[] = {"what is in the picture", "Use a tool. call tom", "count to ten", "3 + 4"};
  const ToolRules rules{.choice = ToolRules::Choice::kMust, .text_before = false};
  int forms = 0;
  int64_t drafted = 0, accepted = 0;
  for (uint32_t seed = 0; forms < 200 && seed < 400; ++seed) {
    testing::RandomSchemas random(5000 + seed);
    const TestJson schema = random.Object(2);
    const auto grammar = seed % 2 == 0
                             ? Compile(GrammarKind::kJsonSchema, schema.dump())
                             : compiler_->CompileTools(TestJson::array({Tool("do", schema)}).dump(), rules);
    if (!grammar) continue;  // nothing matches it, or JSON cannot keep it
    ++forms;
    Asked asked{.prompt = prompts[random.Below(4)]};
    asked.options = {.max_tokens = 40, .draft = 0};
    asked.options.sampling.temperature = random.Below(2) == 0 ? 0.0f : 1.0f;
    asked.options.sampling.seed = seed;
    const auto plain = Ask(asked, *grammar);
    ASSERT_TRUE(plain.has_value()) << plain.error().Message() << " for " << schema;
    asked.options.draft = static_cast<int32_t>(1 + random.Below(kMaxDrafts));
    const auto with_drafts = Ask(asked, *grammar);
    ASSERT_TRUE(with_drafts.has_value()) << with_drafts.error().Message() << " for " << schema;
    EXPECT_EQ(with_drafts->ids, plain->ids) << schema;
    EXPECT_EQ(with_drafts->finish, plain->finish) << schema;
    drafted += with_drafts->stats.draft.drafts();
    for (const int64_t n : with_drafts->stats.draft.accepted) accepted += n;
  }
  EXPECT_EQ(forms, 200);
  EXPECT_GT(accepted, 200);
  EXPECT_GT(drafted - accepted, 200);
}

TEST_F(GrammarAnswers, AMaskServesOneAnswerAfterAnother) {
  const Grammar grammar = Schema(R"({"type":"integer","minimum":1,"maximum":99})");
  const std::unique_ptr<TokenMask> mask = grammar.NewMask();
  for (const char* question : {"3 + 4", "6 + 1", "what is in the picture", "3 + 4"}) {
    auto chat = Conversation::Create(*engine_, {}, {});
    ASSERT_TRUE(chat.has_value());
    chat->AddUser({question, {}, {}});
    Asked asked{.prompt = question};
    asked.options.sampling.temperature = 0;
    const auto alone = Ask(asked, grammar);
    asked.options.mask = mask.get();
    const auto answer = chat->Answer(asked.options);
    ASSERT_TRUE(alone.has_value() && answer.has_value());
    EXPECT_EQ(answer->ids, alone->ids) << question;
    EXPECT_TRUE(std::string(question).find('+') == std::string::npos || answer->text == "7") << answer->text;
  }
}

TEST_F(GrammarAnswers, WithoutEndAreEndedWithAReason) {
  Asked asked{.prompt = "3 + 4"};
  asked.options.sampling.temperature = 0;
  const auto endless = Compile(GrammarKind::kRegex, "(?:la){5000}");
  ASSERT_TRUE(endless.has_value()) << endless.error().Message();
  const auto answer = Ask(asked, *endless);
  ASSERT_TRUE(answer.has_value()) << answer.error().Message();
  EXPECT_EQ(answer->finish, FinishReason::kRepetition);
  EXPECT_EQ(FinishReasonName(answer->finish), "repetition");
  EXPECT_EQ(answer->text.substr(0, 6), "lalala");
}

TEST_F(GrammarAnswers, CallsAreThoseOfTheTools) {
  const TestJson tools = TestJson::parse(kTwoTools);
  Asked asked{.prompt = "Use a tool. call tom"};
  asked.options.sampling.temperature = 0;
  const auto call = Ask(asked, Tools(kTwoTools));
  ASSERT_TRUE(call.has_value()) << call.error().Message();
  ASSERT_EQ(call->tool_calls.size(), 1u);
  EXPECT_EQ(call->tool_calls[0].name, "phone");
  EXPECT_EQ(call->tool_calls[0].arguments, R"({"name":"tom"})");
  EXPECT_EQ(call->finish, FinishReason::kToolCall);
  ToolRules rules{
      .choice = ToolRules::Choice::kName, .name = "weather", .parallel = false, .text_before = false};
  const auto named = Ask(asked, Tools(kTwoTools, rules));
  ASSERT_TRUE(named.has_value()) << named.error().Message();
  ASSERT_EQ(named->tool_calls.size(), 1u);
  EXPECT_EQ(named->tool_calls[0].name, "weather");
  EXPECT_TRUE(named->tool_calls[0].complete);
  EXPECT_EQ(named->text, "");
  const TestJson& schema = tools[1]["function"]["parameters"];
  EXPECT_TRUE(testing::Matches({}, schema, TestJson::parse(named->tool_calls[0].arguments)));
}

TEST_F(GrammarAnswers, TextStandsWhereTheRulesLetIt) {
  const std::string call = "<|tool_call>call:phone{name:<|\"|>tom<|\"|>}<tool_call|>";
  using Choice = ToolRules::Choice;
  EXPECT_TRUE(Takes(Tools(kTwoTools), call + call));
  EXPECT_TRUE(Takes(Tools(kTwoTools), "I call tom." + call));
  EXPECT_TRUE(Takes(Tools(kTwoTools), "I call nobody."));
  EXPECT_FALSE(Takes(Tools(kTwoTools), call + "done"));
  EXPECT_FALSE(Takes(Tools(kTwoTools, {.parallel = false}), call + call));
  EXPECT_FALSE(Takes(Tools(kTwoTools, {.choice = Choice::kMust}), "I call nobody."));
  EXPECT_TRUE(Takes(Tools(kTwoTools, {.choice = Choice::kMust}), "I call tom." + call));
  EXPECT_FALSE(
      Takes(Tools(kTwoTools, {.choice = Choice::kMust, .text_before = false}), "I call tom." + call));
  EXPECT_FALSE(Takes(Tools(kTwoTools, {.choice = Choice::kName, .name = "weather"}), call));
  const ToolRules json{.answer =
                           GrammarSource{.kind = GrammarKind::kJsonSchema, .text = R"({"type":"integer"})"}};
  EXPECT_TRUE(Takes(Tools(kTwoTools, json), call));
  EXPECT_TRUE(Takes(Tools(kTwoTools, json), "17"));
  EXPECT_FALSE(Takes(Tools(kTwoTools, json), "seventeen"));
  const ToolRules any_object{.answer = GrammarSource{.kind = GrammarKind::kJsonObject}};
  EXPECT_TRUE(Takes(Tools(kTwoTools, any_object), R"({"a":[1]})"));
  EXPECT_FALSE(Takes(Tools(kTwoTools, any_object), "17"));
  const auto broken =
      compiler_->CompileTools(kTwoTools, {.answer = GrammarSource{GrammarKind::kRegex, "a\xFF", {}}});
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().what, "the grammar is not UTF-8");
  EXPECT_FALSE(Takes(Tools(kTwoTools), "<|tool_call>call:mail{}<tool_call|>"));
  EXPECT_FALSE(Takes(Tools(kTwoTools), "<|tool_call>call:weather{city:<|\"|>bonn<|\"|>}<tool_call|>"));
}

TEST_F(GrammarAnswers, WhatAToolAsksForIsKeptOrNamed) {
  const TestJson unique = {{"type", "object"},
                           {"properties", {{"a", {{"type", "array"}, {"uniqueItems", true}}}}}};
  EXPECT_EQ(ToolError(TestJson::array({Tool("list", unique)})).substr(0, 44),
            "tool list: #/properties/a has 'uniqueItems',");
  const TestJson nothing = {{"type", "object"}, {"properties", {{"a", {{"not", TestJson::object()}}}}}};
  EXPECT_EQ(ToolError(TestJson::array({Tool("list", nothing)})).substr(0, 36),
            "tool list: #/properties/a has 'not',");
  const TestJson free = {{"type", "object"}, {"properties", {{"a", {{"uniqueItems", false}}}}}};
  EXPECT_EQ(ToolError(TestJson::array({Tool("list", free)})), "compiled");
  const auto lenient = compiler_->CompileTools(TestJson::array({Tool("list", unique, false)}).dump());
  ASSERT_TRUE(lenient.has_value()) << lenient.error().Message();
  EXPECT_EQ(lenient->warnings(),
            std::vector<std::string>{"tool list: #/properties/a: 'uniqueItems' is not kept"});
  EXPECT_NE(ToolError(TestJson::array({Tool("list", unique, false)}), {.all_strict = true}), "compiled");
  EXPECT_EQ(ToolError(TestJson::array({Tool("a b", unique)})).substr(0, 45),
            "tool 'a b' has a name that a call cannot have");
  EXPECT_EQ(ToolError(TestJson::array({Tool("list", unique, false)}),
                      {.choice = ToolRules::Choice::kName, .name = "lost"})
                .substr(0, 28),
            "no tool has the name 'lost';");
  EXPECT_EQ(ToolError(TestJson::array()).substr(0, 24), "the tools are not a JSON");
  const TestJson cyclic = {{"$defs", {{"a", {{"$ref", "#/$defs/a"}}}}}, {"$ref", "#/$defs/a"}};
  EXPECT_NE(ToolError(TestJson::array({Tool("list", cyclic)})).find("refers to itself"), std::string::npos);
}

// A tree of any depth, as far as a call may be nested.
TEST_F(GrammarAnswers, ArgumentsMayReferToThemselves) {
  const TestJson tree = TestJson::parse(
      R"({"type":"object","properties":{"value":{"type":"integer","minimum":0,"maximum":9},)"
      R"("left":{"$ref":"#"},"right":{"$ref":"#"}},"required":["value"],"additionalProperties":false})");
  const Grammar grammar = Tools(TestJson::array({Tool("grow", tree)}).dump());
  EXPECT_TRUE(Takes(grammar, "<|tool_call>call:grow{left:{left:{value:1},value:2},value:3}<tool_call|>"));
  EXPECT_FALSE(Takes(grammar, "<|tool_call>call:grow{left:{left:{},value:2},value:3}<tool_call|>"));
}

void ExpectGoodCall(const TestJson& schema, const ToolCall& call, const std::string& written) {
  EXPECT_TRUE(call.complete) << written << " with " << schema;
  const TestJson arguments = TestJson::parse(call.arguments, nullptr, false);
  EXPECT_TRUE(testing::Matches(schema, schema, arguments))
      << call.arguments << " of " << written << " with " << schema;
}

TEST_F(GrammarAnswers, CallsByChanceMatchRandomSchemas) {
  int calls = 0;
  for (uint32_t seed = 0; calls < 200 && seed < 400; ++seed) {
    testing::RandomSchemas random(seed);
    const TestJson schema = random.Object(3);
    const ToolRules rules{.choice = ToolRules::Choice::kMust, .parallel = false, .text_before = false};
    const auto grammar = compiler_->CompileTools(TestJson::array({Tool("tool.x", schema)}).dump(), rules);
    ASSERT_TRUE(grammar.has_value()) << grammar.error().Message() << " for " << schema;
    const std::unique_ptr<TokenMask> mask = grammar->NewMask();
    const std::vector<int32_t> ids = Walk(*mask, seed, 400);
    if (ids.empty()) continue;  // too long for a test
    OutputParser parser(tokenizer());
    ParsedOutput output;
    for (const int32_t id : ids) {
      for (const OutputEvent& event : parser.Push(id)) output.Add(event);
    }
    const std::string written = tokenizer().Decode(ids);
    ASSERT_EQ(output.calls.size(), 1u) << written;
    EXPECT_EQ(output.calls[0].name, "tool.x");
    EXPECT_EQ(output.text, "") << written;
    ExpectGoodCall(schema, output.calls[0], written);
    ++calls;
  }
  EXPECT_EQ(calls, 200);
}

TEST_F(GrammarAnswers, TwoHundredCallsOfTheModelMatchTheirSchemas) {
  ToolRules rules{.choice = ToolRules::Choice::kMust, .text_before = false};
  const char* prompts[] = {"Use a tool. call tom", "Use a tool. what is the weather in rome", "sing",
                           "7 + 8"};
  int calls = 0;
  for (uint32_t seed = 0; calls < 200; ++seed) {
    testing::RandomSchemas random(1000 + seed, false);
    TestJson tools = TestJson::parse(kTwoTools);
    if (seed % 2 == 1) tools = TestJson::array({Tool("do", random.Object(2))});
    rules.parallel = seed % 4 < 2;
    Asked asked{.prompt = prompts[seed / 2 % 4]};
    asked.options.sampling.temperature = 1.0f;
    asked.options.sampling.seed = seed;
    asked.options.max_tokens = 150;
    const auto answer = Ask(asked, Tools(tools.dump(), rules));
    ASSERT_TRUE(answer.has_value()) << answer.error().Message();
    for (const ToolCall& call : answer->tool_calls) {
      // The last may be cut where the answer is; nothing else may be.
      if (answer->finish == FinishReason::kLength && &call == &answer->tool_calls.back()) continue;
      const auto declared = std::ranges::find_if(
          tools, [&](const TestJson& tool) { return tool["function"]["name"] == call.name; });
      ASSERT_NE(declared, tools.end()) << call.name;
      ExpectGoodCall((*declared)["function"]["parameters"], call, call.arguments);
      ++calls;
    }
  }
}

}  // namespace
}  // namespace linnet
