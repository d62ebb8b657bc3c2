#include "text/output_parser.h"

#include <random>

#include <fmt/format.h>

#include "text/golden_testing.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;
using testing::Shown;
using testing::SmallTokenizer;

struct Case {
  const char* output;
  const char* thought;
  const char* text;
  std::vector<const char*> calls;  // "name arguments", "!" in front: not complete
};

const Case kCases[] = {
    {"Hello.", "", "Hello.", {}},
    {" Hello.\n", "", " Hello.\n", {}},
    {"", "", "", {}},
    {"<|channel>thought\nLet me see.\n<channel|>Yes.", "Let me see.", "Yes.", {}},
    {"<|channel>thought\n<channel|>Yes.", "", "Yes.", {}},
    {"<|channel>thought<channel|>Yes.", "", "Yes.", {}},
    {"<|channel>thought Hm.<channel|>\nYes.", "Hm.", "Yes.", {}},
    {"<|channel>Let me see\nwell<channel|>Yes.", "Let me see\nwell", "Yes.", {}},
    {"<channel|>Yes.<channel|>", "", "Yes.", {}},
    {"a<|channel>thought\nb<channel|>c", "b", "ac", {}},
    {"<|channel>thought\nnever closed", "never closed", "", {}},
    {"<|channel>thought\na<|channel>thought\nb<channel|>c", "ab", "c", {}},
    {"Yes.<turn|>\n<|turn>user\nmore", "", "Yes.", {}},
    {"<|tool_call>call:f{}<tool_call|><|tool_response>ignored", "", "", {"f {}"}},
    {"<|tool_call>call:get_weather{city:<|\"|>Oslo<|\"|>,n:2}<tool_call|>",
     "",
     "",
     {R"(get_weather {"city":"Oslo","n":2})"}},
    {"<|channel>thought\nx<|tool_call>call:f{a:true}<tool_call|>", "x", "", {R"(f {"a":true})"}},
    {"Wait. <|tool_call>call:f{}<tool_call|>\n<|tool_call>call:g{}<tool_call|> Done. ",
     "",
     "Wait.Done. ",
     {"f {}", "g {}"}},
    {"<|tool_call>call:f{a:1}<|tool_call>call:g{b:[1,2.5,{c:null}]}<tool_call|>",
     "",
     "",
     {R"(f {"a":1})", R"(g {"b":[1,2.5,{"c":null}]})"}},
    {"<|tool_call>call:f{s:<|\"|>x \"y\" <|\"|> z<|\"|>,z:null}<tool_call|>",
     "",
     "",
     {R"(f {"s":"x \"y\" <|\"|> z","z":null})"}},
    {"<|tool_call>call:f{a:<|\"|>{b:[<|\"|>}<tool_call|>", "", "", {R"(f {"a":"{b:["})"}},
    {"<|tool_call>call:f{a:<|\"|>cut", "", "", {R"(!f {"a":"cut"})"}},
    {"<|tool_call>call:f{a:<|\"|>no quote}<tool_call|>", "", "", {R"(!f {"a":"no quote"})"}},
    {"<|tool_call>call:f{a:", "", "", {R"(!f {"a":null})"}},
    {"<|tool_call>call:f{a:1,b", "", "", {R"(!f {"a":1,"b":null})"}},
    {"<|tool_call>call:f{a:[1,2}<tool_call|>", "", "", {R"(!f {"a":[1,2]})"}},
    {"<|tool_call>call:f{\"a\": \"x\\n\", \"b\": 3}<tool_call|>", "", "", {R"(f {"a":"x\n","b":3})"}},
    {"<|tool_call>call:f{city:Oslo town,b:None}<tool_call|>",
     "",
     "",
     {R"(!f {"city":"Oslo town","b":null})"}},
    {"<|tool_call>f{a:1}<tool_call|>", "", "", {R"(!f {"a":1})"}},
    {"<|tool_call>call:f<tool_call|>", "", "", {"!f {}"}},
    {"<|tool_call>call:f{a:1}}}<tool_call|>", "", "", {R"(!f {"a":1})"}},
    {"<|tool_call><tool_call|>Hm.", "", "Hm.", {}},
    {"<|tool_call>{not a call<tool_call|>", "", "{not a call", {}},
    {"say <|\"|>hi<|\"|>", "", "say \"hi\"", {}},
    {"<tool_call|><tool_response|>x", "", "x", {}},
    {"a < b <| c <|tool", "", "a < b <| c <|tool", {}},
};

TEST(OutputParser, Cases) {
  for (const Case& c : kCases) {
    const ParsedOutput output = ParseOutput(c.output);
    EXPECT_EQ(output.thought, c.thought) << c.output;
    EXPECT_EQ(output.text, c.text) << c.output;
    EXPECT_EQ(Shown(output.calls), std::vector<std::string>(c.calls.begin(), c.calls.end())) << c.output;
  }
}

TEST(OutputParser, TokensGiveTheSameAsText) {
  for (const Case& c : kCases) {
    OutputParser parser(SmallTokenizer());
    ParsedOutput output;
    for (const int32_t id : SmallTokenizer().Encode(c.output)) {
      for (const OutputEvent& event : parser.Push(id)) output.Add(event);
    }
    for (const OutputEvent& event : parser.Finish()) output.Add(event);
    EXPECT_EQ(output.thought, c.thought) << c.output;
    EXPECT_EQ(output.text, c.text) << c.output;
    EXPECT_EQ(Shown(output.calls), std::vector<std::string>(c.calls.begin(), c.calls.end())) << c.output;
    EXPECT_TRUE(parser.finished());
    EXPECT_TRUE(parser.Push(SmallTokenizer().TokenId("a").value()).empty());
  }
}

TEST(OutputParser, TextComesAtOnce) {
  const Tokenizer& tokenizer = SmallTokenizer();
  OutputParser parser(tokenizer);
  const auto push = [&](const char* token) {
    std::string text;
    for (const OutputEvent& event : parser.Push(tokenizer.TokenId(token).value())) text += event.text;
    return text;
  };
  EXPECT_EQ(push("a"), "a");
  EXPECT_EQ(push(" "), "");  // may stand before a call
  EXPECT_EQ(push("a"), " a");
  EXPECT_EQ(push("<|channel>"), "");
  EXPECT_EQ(push("a"), "");  // may be the channel's name
  EXPECT_EQ(push("\n"), "");
  EXPECT_EQ(push("b"), "b");
  EXPECT_EQ(push("<bos>"), "");
  EXPECT_EQ(push("<turn|>"), "");
  EXPECT_TRUE(parser.finished());
}

TEST(OutputParser, GoesOnInsideAnOpenThought) {
  const ParsedOutput output = ParseOutput("so\n<channel|>Three.", true);
  EXPECT_EQ(output.thought, "so");
  EXPECT_EQ(output.text, "Three.");
}

std::string RandomText(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {
      "a",    "b ",    "\n", " ",       "{",  "}",  "[", "]",  ":", ",",  "1", "-2.5", "true",
      "null", "call:", "f",  "thought", "\"", "\\", "é", "😀", "<", "|>", "=", "'",    "\u3000"};
  std::string text;
  for (size_t n = random() % 12; n-- > 0;) text += kPieces[random() % kPieces.size()];
  return text;
}

// Any order of markers and text, in pieces of any size, gives the same, valid UTF-8, and JSON for arguments.
TEST(OutputParser, RandomOutputs) {
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    OutputGrammar whole, pieces;
    std::vector<OutputEvent> whole_events, piece_events;
    for (size_t n = random() % 10; n-- > 0;) {
      if (random() % 2 == 0) {
        const auto marker = static_cast<OutputMarker>(random() % 7);
        if (marker == OutputMarker::kResponseOpen && random() % 4 != 0) continue;
        whole.Marker(marker, whole_events);
        pieces.Marker(marker, piece_events);
        continue;
      }
      const std::string text = RandomText(random);
      whole.Text(text, whole_events);
      for (size_t at = 0; at < text.size();) {
        size_t end = at + DecodeCodePoint(text, at).length;
        while (end < text.size() && random() % 3 != 0) end += DecodeCodePoint(text, end).length;
        pieces.Text(std::string_view(text).substr(at, end - at), piece_events);
        at = end;
      }
    }
    whole.Finish(whole_events, true);
    pieces.Finish(piece_events, true);
    ParsedOutput a, b;
    for (const OutputEvent& event : whole_events) a.Add(event);
    for (const OutputEvent& event : piece_events) {
      b.Add(event);
      EXPECT_TRUE(IsValidUtf8(event.text));
    }
    EXPECT_EQ(a.thought, b.thought);
    EXPECT_EQ(a.text, b.text);
    EXPECT_EQ(Shown(a.calls), Shown(b.calls));
    for (const ToolCall& call : a.calls)
      EXPECT_TRUE(Json::parse(call.arguments).is_object()) << call.arguments;
  }
}

Json RandomValue(std::mt19937& random, int depth) {
  switch (random() % (depth > 0 ? 7u : 5u)) {
    case 0:
      return RandomText(random);
    case 1:
      return static_cast<int64_t>(random()) - INT32_MAX;
    case 2:
      return static_cast<double>(random()) / 1024;
    case 3:
      return random() % 2 == 0;
    case 4:
      return nullptr;
    case 5: {
      Json list = Json::array();
      for (size_t n = random() % 4; n-- > 0;) list.push_back(RandomValue(random, depth - 1));
      return list;
    }
    default: {
      Json map = Json::object();
      for (size_t n = random() % 4; n-- > 0;) {
        map[fmt::format("k{}", random() % 9)] = RandomValue(random, depth - 1);
      }
      return map;
    }
  }
}

// What is rendered is read back as it was.
TEST(OutputParser, RoundTrip) {
  std::mt19937 random(5);
  for (int round = 0; round < 5000; ++round) {
    ParsedOutput output;
    output.thought = std::string(Strip(RandomText(random)));
    output.text = std::string(Strip(RandomText(random)));
    for (size_t n = random() % 3; n-- > 0;) {
      Json arguments = Json::object();
      for (size_t k = random() % 4; k-- > 0;) arguments[fmt::format("k{}", k)] = RandomValue(random, 3);
      output.calls.push_back({fmt::format("tool_{}", n), arguments.dump(), true});
    }
    const std::string text = RenderOutput(output);
    const ParsedOutput read = ParseOutput(text);
    EXPECT_EQ(read.thought, output.thought) << text;
    EXPECT_EQ(read.text, output.text) << text;
    ASSERT_EQ(read.calls.size(), output.calls.size()) << text;
    for (size_t i = 0; i < read.calls.size(); ++i) {
      EXPECT_TRUE(read.calls[i].complete) << text;
      // Rendering sorts keys, so compare as unordered maps.
      EXPECT_EQ(nlohmann::json::parse(read.calls[i].arguments),
                nlohmann::json::parse(output.calls[i].arguments))
          << text;
    }
  }
}

TEST(ToolCallParser, DeepNestingIsBounded) {
  const std::string deep = "call:f{a:" + std::string(200000, '[');
  EXPECT_EQ(ParseToolCalls(deep, true).calls.at(0).name, "f");
  EXPECT_FALSE(ParseToolCalls("call:f{a:" + std::string(200000, '{'), false).calls.at(0).complete);
}

}  // namespace
}  // namespace linnet
