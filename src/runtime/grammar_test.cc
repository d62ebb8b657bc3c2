// What grammars take and what is refused of them.
#include <gtest/gtest.h>

#include "runtime/grammar_gbnf.h"
#include "runtime/grammar_regex.h"
#include "runtime/grammar_testing.h"
#include "runtime/repetition.h"

namespace linnet {
namespace {

class GrammarTest : public testing::GrammarFixture {};

TEST_F(GrammarTest, SchemasTakeWhatMatchesThem) {
  const Grammar grammar = Schema(
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0}},)"
      R"("required":["name"],"additionalProperties":false})");
  EXPECT_TRUE(Takes(grammar, R"({"name":"tom","age":7})"));
  EXPECT_TRUE(Takes(grammar, R"({"name": "tom", "age": 7})"));  // one space behind a comma or colon
  EXPECT_TRUE(Takes(grammar, R"({"name":"t\"om"})"));
  EXPECT_FALSE(Takes(grammar, R"({"name":  "tom"})"));
  EXPECT_FALSE(Takes(grammar, R"({ "name":"tom"})"));
  EXPECT_FALSE(Takes(grammar, "{\n\"name\":\"tom\"}"));
  EXPECT_FALSE(Takes(grammar, R"({"age":7})"));
  EXPECT_FALSE(Takes(grammar, R"({"name":"tom","age":-7})"));
  EXPECT_FALSE(Takes(grammar, R"({"name":"tom","size":7})"));
  EXPECT_FALSE(Takes(grammar, R"({"name":"tom"} and more)"));
  EXPECT_FALSE(Takes(grammar, R"(Sure: {"name":"tom"})"));
}

TEST_F(GrammarTest, AnyObject) {
  const auto grammar = Compile(GrammarKind::kJsonObject, "");
  ASSERT_TRUE(grammar.has_value()) << grammar.error().Message();
  EXPECT_TRUE(Takes(*grammar, R"({"a":[1,2,{"b":null}],"c":"x"})"));
  EXPECT_TRUE(Takes(*grammar, "{}"));
  EXPECT_FALSE(Takes(*grammar, "[]"));
  EXPECT_FALSE(Takes(*grammar, R"({"a":})"));
}

// As Pydantic writes a union of models: alternatives behind references, told apart by a field with a default.
TEST_F(GrammarTest, AlternativesThatAreApart) {
  const Grammar grammar = Schema(R"({
    "$defs": {
      "Cat": {"type":"object",
              "properties":{"kind":{"const":"cat","default":"cat"},"lives":{"type":"integer"}},
              "required":["lives"],"additionalProperties":false},
      "Dog": {"type":"object",
              "properties":{"kind":{"const":"dog","default":"dog"},"name":{"type":"string"}},
              "required":["name"],"additionalProperties":false}},
    "oneOf": [{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/Dog"}],
    "discriminator": {"propertyName":"kind"}})");
  EXPECT_TRUE(Takes(grammar, R"({"kind":"cat","lives":9})"));
  EXPECT_TRUE(Takes(grammar, R"({"kind":"dog","name":"rex"})"));
  EXPECT_FALSE(Takes(grammar, R"({"kind":"dog","lives":9})"));
  EXPECT_EQ(ErrorOf(GrammarKind::kJsonSchema,
                    R"({"properties":{"a":{"oneOf":[{"type":"integer"},{"type":"number","minimum":2}]}}})")
                .substr(0, 40),
            "schema: #/properties/a cannot be kept by");
  const auto coerced =
      Compile(GrammarKind::kJsonSchema,
              R"({"oneOf":[{"type":"integer"},{"type":"number"}],"x-guidance":{"coerce_one_of":true}})");
  ASSERT_TRUE(coerced.has_value()) << coerced.error().Message();
  EXPECT_EQ(coerced->warnings(), std::vector<std::string>{"schema: #: oneOf is read as anyOf"});
}

TEST_F(GrammarTest, WhatCannotBeKeptIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"properties":{"a":{"not":{"type":"null"}}}})", "schema: #/properties/a has 'not'"},
      {R"({"type":"array","items":{"if":{"type":"null"},"then":{}}})", "schema: #/items has 'if'"},
      {R"({"anyOf":[{"type":"null"},{"type":"array","uniqueItems":true}]})",
       "schema: #/anyOf/1 has 'uniqueItems'"},
      {R"({"$defs":{"x/y":{"contains":{"type":"null"}}},"$ref":"#/$defs/x~1y"})",
       "schema: #/$defs/x~1y has 'contains'"},
      {R"({"properties":{"a":{"type":"string","format":"idn-email"}}})",
       "schema: #/properties/a has 'format' of 'idn-email'"},
      {R"({"$ref":"https://example.com/schema"})", "schema: #/$ref refers to another document"},
      {R"({"$ref":"#/$defs/gone"})", "schema: #/$ref refers to '#/$defs/gone', which is not there"},
      {R"({"properties":{"a":7}})", "schema: #/properties/a is neither an object nor true or false"},
      {R"({"properties":[]})", "schema: #/properties is not a map of schemas"},
      {R"({"properties":{"a":{"type":"string","pattern":"(?=xy"}}})",
       "schema: #/properties/a cannot be kept"},
      {R"({"properties":{"a":{"properties":{"b":{"type":"word"}}}}})",
       "schema: #/properties/a/properties/b cannot be kept"},
      {"false", "schema: # allows no answer at all"},
      {"{", "the schema is no JSON"},
      {"7", "schema: # is neither an object nor true or false"},
  };
  for (const auto& [schema, start] : cases) {
    const std::string message = ErrorOf(GrammarKind::kJsonSchema, schema);
    EXPECT_EQ(message.substr(0, std::string(start).size()), start) << schema << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  // What asks for nothing is not refused.
  EXPECT_TRUE(Takes(Schema(R"({"type":"array","uniqueItems":false,"then":{},"minContains":2})"), "[1]"));
}

TEST_F(GrammarTest, DepthIsRefusedNotSuffered) {
  std::string list, schema;
  for (int i = 0; i < 100000; ++i) list += "[", schema += R"({"items":)";
  list += std::string(100000, ']');
  schema += "{}" + std::string(100000, '}');
  EXPECT_NE(ErrorOf(GrammarKind::kJsonSchema, list).find("nested too deeply"), std::string::npos);
  EXPECT_NE(ErrorOf(GrammarKind::kJsonSchema, schema).find("nested too deeply"), std::string::npos);
  std::string rules = "start: r0\n", brackets = "start: ", gbnf = "root ::= ", chain = "root ::= r0\n";
  for (int i = 0; i < 12000; ++i) rules += "r" + std::to_string(i) + ": r" + std::to_string(i + 1) + "\n";
  for (int i = 0; i < 2000; ++i)
    chain += "r" + std::to_string(i) + " ::= \"x\" r" + std::to_string(i + 1) + "\n";
  for (int i = 0; i < 100000; ++i) brackets += "(", gbnf += "(";
  EXPECT_NE(ErrorOf(GrammarKind::kLark, rules + "r12000: \"x\"\n"), "");
  EXPECT_NE(ErrorOf(GrammarKind::kLark, brackets), "compiled");
  EXPECT_NE(ErrorOf(GrammarKind::kGbnf, gbnf), "compiled");
  EXPECT_NE(ErrorOf(GrammarKind::kGbnf, chain + "r2000 ::= \"y\"\n"), "");
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, std::string(100000, '(')), "compiled");
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, "((((a{1,1000}){1,1000}){1,1000}){1,1000}){1,1000}"), "");
}

TEST_F(GrammarTest, ExpressionsMatchTheWholeAnswer) {
  const auto grammar = Compile(GrammarKind::kRegex, R"(^\d{2}/\w+$|no\n)");
  ASSERT_TRUE(grammar.has_value()) << grammar.error().Message();
  EXPECT_TRUE(Takes(*grammar, "12/ab"));
  EXPECT_TRUE(Takes(*grammar, "no\n"));
  EXPECT_FALSE(Takes(*grammar, "12/ab "));
  EXPECT_FALSE(Takes(*grammar, "1/ab"));
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, "a(?!b)").find("an assertion (?!"), std::string::npos);
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, R"((a)\1)").find("a reference back"), std::string::npos);
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, "a)").find("closes a bracket"), std::string::npos);
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, "[a").find("a bracket that is not closed"), std::string::npos);
  EXPECT_NE(ErrorOf(GrammarKind::kRegex, "*a"), "compiled");
  const std::string long_one = ErrorOf(GrammarKind::kRegex, "(\n" + std::string(5000, 'x'));
  EXPECT_EQ(long_one.find('\n'), std::string::npos);
  EXPECT_LT(long_one.size(), 1000u);
}

TEST_F(GrammarTest, Choices) {
  const auto grammar = compiler_->Compile(
      {.kind = GrammarKind::kChoice, .text = {}, .choices = {"yes", "yes, \"sir\"\n", "no\\"}});
  ASSERT_TRUE(grammar.has_value()) << grammar.error().Message();
  for (const char* choice : {"yes", "yes, \"sir\"\n", "no\\"}) EXPECT_TRUE(Takes(*grammar, choice)) << choice;
  EXPECT_FALSE(Takes(*grammar, "ye"));
  EXPECT_FALSE(Takes(*grammar, "no"));
  EXPECT_FALSE(compiler_->Compile({.kind = GrammarKind::kChoice, .text = {}, .choices = {}}).has_value());
}

TEST_F(GrammarTest, LarkWithSpecialTokens) {
  const auto grammar = Compile(GrammarKind::kLark, "start: \"a\" <|tool_call> B+\nB: /[0-9]/\n");
  ASSERT_TRUE(grammar.has_value()) << grammar.error().Message();
  EXPECT_TRUE(Takes(*grammar, "a<|tool_call>12"));
  EXPECT_FALSE(Takes(*grammar, "a12"));
  EXPECT_EQ(ErrorOf(GrammarKind::kLark, "start: missing\n").substr(0, 30), "the grammar cannot be used: at");
  EXPECT_NE(ErrorOf(GrammarKind::kLark, std::string("start: \"a\0\"", 11)).find("code 0"), std::string::npos);
}

TEST_F(GrammarTest, Gbnf) {
  // As llama.cpp's JSON grammar is built: recursive, with white space behind each piece.
  const auto json = Compile(GrammarKind::kGbnf, R"(
# a comment
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws (
             value ("," ws value)*
           )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= | " " | "\n" [ \t]{0,20}
)");
  ASSERT_TRUE(json.has_value()) << json.error().Message();
  EXPECT_TRUE(Takes(*json, "{\"a\": [1, 2.5e3, {}], \"b\": \"x\\n\", \"c\":null }"));
  EXPECT_FALSE(Takes(*json, "{\"a\": [1,, 2]}"));
  EXPECT_FALSE(Takes(*json, "{\"a\": tru}"));
  EXPECT_FALSE(Takes(*json, "[]"));
  const auto words = Compile(GrammarKind::kGbnf, "root ::= \"é\" [α-γ\\u00e8]+ \"-\"? \"x\"{2,3} | .");
  ASSERT_TRUE(words.has_value()) << words.error().Message();
  EXPECT_TRUE(Takes(*words, "éβèxx"));
  EXPECT_TRUE(Takes(*words, "éα-xxx"));
  EXPECT_TRUE(Takes(*words, "z"));
  EXPECT_FALSE(Takes(*words, "éxx"));
  EXPECT_FALSE(Takes(*words, "éαx"));
  EXPECT_EQ(ErrorOf(GrammarKind::kGbnf, "root ::= a\n").substr(0, 55),
            "grammar in GBNF, line 1: the rule 'a' is not defined; g");
  EXPECT_EQ(ErrorOf(GrammarKind::kGbnf, "root ::= \"a\"\n\nb ::= \"a\n").substr(0, 43),
            "grammar in GBNF, line 4: a '\"' is missing; ");
  EXPECT_NE(ErrorOf(GrammarKind::kGbnf, "a ::= \"x\"\n").find("'root' is not defined"), std::string::npos);
}

TEST_F(GrammarTest, RollingBackGivesTheSameMasks) {
  const Grammar grammar =
      Schema(R"({"type":"object","properties":{"a":{"type":"string","maxLength":20},"b":{"type":"array",)"
             R"("items":{"enum":["one","two",3]},"maxItems":4}},"required":["a","b"],)"
             R"("additionalProperties":false})");
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::unique_ptr<TokenMask> straight = grammar.NewMask(), rolled = grammar.NewMask();
    const std::vector<int32_t> ids = Walk(*straight, seed, 200);
    ASSERT_FALSE(ids.empty());
    straight->Begin({});
    std::mt19937 rng(seed);
    for (size_t i = 0; i < ids.size(); ++i) {
      // Drafts, right ones and wrong ones, which are taken back.
      const size_t drafts = rng() % 5;
      for (size_t k = 0; k < drafts; ++k) {
        rolled->Allowed();
        const bool right = i + k < ids.size() && rng() % 3 != 0;
        rolled->Advance(right ? ids[i + k] : static_cast<int32_t>(rng() % 300));
      }
      rolled->RollBack(static_cast<int64_t>(drafts));
      const AllowedWords expected = straight->Allowed(), words = rolled->Allowed();
      ASSERT_TRUE(std::ranges::equal(words, expected)) << "seed " << seed << ", token " << i;
      straight->Advance(ids[i]);
      rolled->Advance(ids[i]);
    }
    EXPECT_TRUE(MayEnd(*rolled));
    EXPECT_EQ(rolled->error(), nullptr);
  }
}

TEST_F(GrammarTest, AnEndMayBeADraft) {
  const Grammar grammar = Schema(R"({"const":1})");
  const std::unique_ptr<TokenMask> mask = grammar.NewMask();
  mask->Advance(tokenizer().EncodeOrdinary("1")[0]);
  ASSERT_TRUE(MayEnd(*mask));
  mask->Advance(Id("<turn|>"));
  EXPECT_FALSE(MayEnd(*mask));
  mask->RollBack(1);
  EXPECT_TRUE(MayEnd(*mask));
  EXPECT_EQ(mask->error(), nullptr);
}

TEST_F(GrammarTest, TheThoughtIsFree) {
  const Grammar grammar = Schema(R"({"const":1})");
  const std::unique_ptr<TokenMask> mask = grammar.NewMask();
  const auto allows = [&](int32_t id) { return IsAllowed(mask->Allowed(), static_cast<size_t>(id)); };
  const int32_t open = Id("<|channel>"), close = Id("<channel|>"), one = tokenizer().EncodeOrdinary("1")[0];
  const int32_t word = tokenizer().EncodeOrdinary("red")[0];
  mask->Begin({.may_think = true});
  EXPECT_TRUE(allows(open));
  EXPECT_TRUE(allows(one));
  EXPECT_FALSE(allows(word));
  mask->Advance(open);
  EXPECT_TRUE(allows(word));
  EXPECT_FALSE(allows(Id("<turn|>")));
  EXPECT_FALSE(allows(Id("<|tool_call>")));
  mask->Advance(word);
  mask->Advance(close);
  EXPECT_TRUE(allows(one));
  EXPECT_FALSE(allows(open));
  EXPECT_FALSE(allows(word));
  mask->RollBack(2);
  EXPECT_TRUE(allows(word));
  mask->Begin({.inside_thought = true});
  EXPECT_TRUE(allows(word));
  mask->Advance(close);
  mask->Advance(one);
  EXPECT_TRUE(MayEnd(*mask));
  EXPECT_FALSE(allows(Id("<|tool_response>")));  // nothing was called
  mask->Begin({});
  EXPECT_FALSE(allows(open));
}

TEST(Repetition, IsNoticedInsideOfValues) {
  Repetition json(ValueNotation::kJson, -1);
  for (const char* piece : {"{\"", "a", "\":", "\""}) json.Add(piece[0], piece);
  for (size_t i = 0; i < Repetition::kWithin + Repetition::kLongestPart + 20; ++i) {
    EXPECT_FALSE(i < Repetition::kWithin && json.Endless());
    json.Add(static_cast<int32_t>(100 + i % 3), i % 3 == 0 ? "la" : "\\\"");
  }
  EXPECT_TRUE(json.Endless());
  json.RollBack(static_cast<int64_t>(Repetition::kLongestPart + 40));
  EXPECT_FALSE(json.Endless());
}

TEST(Repetition, ListsMayBeLonger) {
  Repetition json(ValueNotation::kJson, -1);
  size_t count = 0;
  for (json.Add(1, "["); !json.Endless() && count < 10000; ++count)
    json.Add(count % 2 == 0 ? 2 : 3, count % 2 == 0 ? "0" : ",");
  EXPECT_GE(count, Repetition::kAcross);
  EXPECT_LT(count, Repetition::kAcross + 2 * Repetition::kLongestPart);
  Repetition prose(ValueNotation::kJson, -1);
  prose.Add(1, "\"");
  for (int32_t i = 0; i < 20000; ++i) prose.Add(i % 97, "x");  // longer than any part that is looked for
  EXPECT_FALSE(prose.Endless());
}

TEST(GrammarNotation, IsTakenFromTheNamesOfRules) {
  EXPECT_EQ(NotationOf("# a ::= b\nroot ::= \"yes\""), GrammarKind::kGbnf);
  EXPECT_EQ(NotationOf("start: \"::=\"\nroot::= [a-z]+"), GrammarKind::kGbnf);
  EXPECT_EQ(NotationOf("start: \"a ::= b\" /x::=/\n// c ::= d\n"), GrammarKind::kLark);
  EXPECT_EQ(NotationOf(""), GrammarKind::kLark);
}

TEST(GrammarTools, AreStrictWhereOneSaysSo) {
  EXPECT_TRUE(AnyStrict(R"([{"function":{"name":"a"}},{"function":{"name":"b","strict":true}}])"));
  for (const char* none : {R"([{"function":{"name":"a","strict":false}}])", R"([{"strict":true}])",
                           R"([1,{"function":"strict"}])", R"({"function":{"strict":true}})", "[{", "null"}) {
    EXPECT_FALSE(AnyStrict(none)) << none;
  }
}

TEST(GrammarRegex, AnchorsAndPieces) {
  EXPECT_EQ(WholeRegex("^a$|b", RegexMatch::kAnywhere).value(), "(?:a)|(?s:.*)(?:b)(?s:.*)");
  EXPECT_EQ(WholeRegex("[\\d$^|(]", RegexMatch::kWhole).value(), "(?:[0-9$^|(])");
  EXPECT_EQ(LarkRegex("a/\\/\n\\n"), "/a\\/\\/\\n\\n/");
  EXPECT_EQ(LarkString("a\"\\\n\x7f"), "\"a\\\"\\\\\\u000a\\u007f\"");
}

}  // namespace
}  // namespace linnet
