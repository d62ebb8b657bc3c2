// linnet run with --schema, --regex, --grammar and --strict.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

using Words = std::vector<std::string>;

const std::string kCall = "Use a tool. what is the weather in rome";

class GrammarRun : public ::testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult result = RunLinnet({"run", "-q", "-t", "1", "--regex", "yes", "-p", "x"});
    if (result.errors.find("no structured output") != std::string::npos) {
      EXPECT_EQ(result.code, 1);
      EXPECT_NE(result.errors.find("setup.sh grammar"), std::string::npos) << result.errors;
      GTEST_SKIP() << "this build has no structured output";
    }
    EXPECT_EQ(result.output, "yes\n") << result.errors;
  }

  static std::string File(const std::string& name, const std::string& text) {
    const std::string path = Scratch(name);
    WriteFile(path, text);
    return path;
  }
  static ProgramResult Answer(Words words, const std::string& prompt) {
    words.insert(words.begin(), {"run", "-q", "-t", "1", "--temperature", "0", "-p", prompt});
    return RunLinnet(words);
  }
  static void ExpectRefused(const Words& words, const std::string& told) {
    const ProgramResult result = Answer(words, "3 + 4");
    EXPECT_NE(result.code, 0);
    EXPECT_EQ(result.output, "");
    EXPECT_NE(result.errors.find(told), std::string::npos) << result.errors;
  }
};

TEST_F(GrammarRun, AnswersFollowASchema) {
  const std::string schema =
      File("shape.json", R"({"type":"object","properties":{"shape":{"enum":["circle","square","star"]},)"
                         R"("count":{"type":"integer","minimum":0,"maximum":9}},)"
                         R"("required":["shape","count"],"additionalProperties":false})");
  std::string first;
  for (const char* draft : {"0", "auto", "4"}) {
    const ProgramResult result = Answer({"--schema", schema, "--draft", draft}, "3 + 4");
    ASSERT_EQ(result.code, 0) << result.errors;
    const auto json = nlohmann::json::parse(result.output, nullptr, false);
    ASSERT_TRUE(json.is_object()) << result.output;
    EXPECT_EQ(json.size(), 2u);
    EXPECT_TRUE(json["shape"].is_string() && json["count"].is_number_integer()) << result.output;
    if (first.empty()) first = result.output;
    EXPECT_EQ(result.output, first) << draft;
  }
  const auto json = RunJson({"-t", "1", "--schema", schema, "-p", "3 + 4", "-n", "2"});
  EXPECT_EQ(json["finish"], "length");
}

TEST_F(GrammarRun, AnswersFollowExpressionsAndGrammars) {
  EXPECT_EQ(Answer({"--regex", "[0-9]{1,2}"}, "3 + 4").output, "7\n");
  const std::string lark = File("sum.lark", "start: \"sum: \" N\nN: /[0-9]{1,2}/\n");
  EXPECT_EQ(Answer({"--grammar", lark}, "3 + 4").output.substr(0, 5), "sum: ");
  const std::string gbnf = File("sum.gbnf", "# a sum\nroot ::= \"it is \" number\nnumber ::= [0-9]{1,2}\n");
  EXPECT_EQ(Answer({"--grammar", gbnf}, "3 + 4").output.substr(0, 6), "it is ");
  EXPECT_EQ(Answer({"--raw", "--regex", "b{3}"}, "a").output, "bbb\n");
}

TEST_F(GrammarRun, ArgumentsOfToolsFollowTheirDeclaration) {
  const std::string parameters =
      R"({"type":"object","properties":{"city":{"enum":["oslo"]}},"required":["city"],)"
      R"("additionalProperties":false})";
  const auto tools = [&](const std::string& strict, const std::string& schema) {
    return File("tools.json", R"([{"type":"function","function":{"name":"weather")" + strict +
                                  R"(,"parameters":)" + schema + "}}]");
  };
  for (const Words& words : std::vector<Words>{{"--tools", tools(R"(,"strict":true)", parameters)},
                                               {"--tools", tools("", parameters), "--strict"}}) {
    Words all = {"-t", "1", "--temperature", "0", "-p", kCall};
    all.insert(all.end(), words.begin(), words.end());
    for (const auto& call : RunJson(all)["tool_calls"]) EXPECT_EQ(call["arguments"]["city"], "oslo");
  }
  const std::string unique = R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}})";
  ExpectRefused({"--tools", tools("", unique), "--strict"}, "tool weather: #/properties/a has 'uniqueItems'");
  const ProgramResult mixed = Answer({"--tools", tools("", unique), "--regex", "[0-9]{1,2}"}, "3 + 4");
  EXPECT_EQ(mixed.code, 0);
  EXPECT_NE(mixed.errors.find("'uniqueItems' is not kept"), std::string::npos) << mixed.errors;
}

TEST_F(GrammarRun, WhatCannotBeFollowedIsRefused) {
  ExpectRefused({"--schema", File("not.json", R"({"items":{"not":{}}})")}, "schema: #/items has 'not'");
  ExpectRefused({"--schema", File("broken.json", "{")}, "the schema is no JSON");
  ExpectRefused({"--schema", Scratch("nowhere.json")}, "nowhere.json");
  ExpectRefused({"--regex", "("}, "a bracket that is not closed");
  ExpectRefused({"--grammar", File("gap.gbnf", "root ::= gap\n")}, "line 1: the rule 'gap' is not defined");
  ExpectRefused({"--grammar", File("gap.lark", "start: gap\n")}, "the grammar cannot be used");
  ExpectRefused({"--regex", "a", "--grammar", File("a.lark", "start: \"a\"\n")}, "give one of them");
  ExpectRefused({"--strict"}, "--strict is for --tools");
}

}  // namespace
}  // namespace linnet
