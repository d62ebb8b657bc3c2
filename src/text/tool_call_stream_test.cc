#include "text/tool_call_stream.h"

#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "text/output_parser.h"
#include "text/tool_syntax.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;
using Random = std::mt19937;

// What is told when a block comes byte by byte.
std::vector<std::string> PiecesOf(const std::string& block) {
  ToolCallStream stream;
  std::vector<std::string> pieces;
  for (size_t size = 0; size <= block.size(); ++size) {
    if (std::string piece = stream.Push(std::string_view(block).substr(0, size)); !piece.empty())
      pieces.push_back(std::move(piece));
  }
  return pieces;
}

std::string JoinedPieces(const std::string& block) {
  std::string joined;
  for (const std::string& piece : PiecesOf(block)) joined += piece;
  return joined;
}

TEST(ToolCallStream, TellsWhatIsCertain) {
  EXPECT_EQ(PiecesOf(R"(call:timer{amount:8,unit:<|"|>minutes<|"|>})"),
            (std::vector<std::string>{"{", "\"amount\":", "8,\"unit\":", "\"", "minutes\"}"}));
  EXPECT_EQ(JoinedPieces(R"(call:f{a:[1,<|"|>x<|"|>,{b:null},[],{}],c:{d:-1.50,e:true}})"),
            R"({"a":[1,"x",{"b":null},[],{}],"c":{"d":-1.5,"e":true}})");
  EXPECT_EQ(JoinedPieces("call:f{}"), "{}");
  // A number may go on, and an entry behind it may turn out to be none.
  EXPECT_EQ(JoinedPieces("call:f{a:1"), R"({"a":)");
  EXPECT_EQ(JoinedPieces("call:f{a:1,5"), R"({"a":)");
  EXPECT_EQ(JoinedPieces("call:f{a:1,b:"), R"({"a":1,"b":)");
  EXPECT_EQ(JoinedPieces("call:f{a:[1"), R"({"a":[)");
  EXPECT_EQ(JoinedPieces("call:f{a:[1,"), R"({"a":[1)");
}

TEST(ToolCallStream, TellsLongStringsPieceByPiece) {
  const std::string text(500, 'x');
  EXPECT_EQ(PiecesOf("call:f{a:<|\"|>" + text).size(), 3u + text.size() - 63);
  EXPECT_EQ(JoinedPieces("call:f{a:<|\"|>" + text + "\ny \n<|"), R"({"a":")" + text + "\\ny");
  EXPECT_EQ(JoinedPieces("call:f{a:<|\"|>" + text + "<|\"|>}"), R"({"a":")" + text + "\"}");
  EXPECT_EQ(JoinedPieces("call:f{a:<|\"|>short"), R"({"a":")");
}

TEST(ToolCallStream, LeavesTheRestToTheParser) {
  EXPECT_EQ(JoinedPieces(R"({"name":"f","arguments":{}})"), "");
  EXPECT_EQ(JoinedPieces("f{a:1}"), "");
  EXPECT_EQ(JoinedPieces("call:call:f{a:1}"), "");
  EXPECT_EQ(JoinedPieces("call:f({a:1})"), "");
  EXPECT_EQ(JoinedPieces("call:f{city:New York,n:2}"), R"({"city":)");
  EXPECT_EQ(JoinedPieces(R"(call:f{a:"x",b:1})"), R"({"a":)");
  EXPECT_EQ(JoinedPieces("call:f{a:1,b=2}"), R"({"a":)");
  EXPECT_EQ(JoinedPieces("call:f{a:1,a:2}"), R"({"a":1)");
}

TEST(ToolCallStream, SaysOnceMoreWhatBecameAnother) {
  ToolCallStream twice;
  EXPECT_EQ(twice.Push("call:f{a:1,b:2,a:3}"), R"({"a":1,"b":2)");
  EXPECT_EQ(twice.Whole({"f", R"({"a":3,"b":2})", false}).arguments, R"({"a":1,"b":2,"a":3})");
  ToolCallStream open;
  const std::string text(100, 'x');
  EXPECT_EQ(open.Push("call:f{a:<|\"|>" + text + "\",n:2}"), R"({"a":")" + text + R"(\",n:2})");
  EXPECT_EQ(open.Whole({"f", R"({"a":"y","n":2})", false}).arguments,
            R"({"a":")" + text + R"(\",n:2}","a":"y","n":2})");
  ToolCallStream list;
  EXPECT_EQ(list.Push("call:f{a:[{b:1},"), R"({"a":[{"b":1})");
  EXPECT_EQ(list.Whole({"f", "{}", false}).arguments, R"({"a":[{"b":1}]})");
}

std::string RandomWords(Random& random) {
  static constexpr std::string_view kParts[] = {"a",  "é",  "😀", "\"",    "\\", "\n", "<",  "<|",
                                                "|>", "{",  "}",  ",",     ":",  "[",  "]",  " ",
                                                "1",  "x:", "\t", "call:", ", ", "b:", "<b", "word"};
  std::string text;
  for (uint32_t n = random() % (random() % 8 == 0 ? 60 : 8); n > 0; --n)
    text += kParts[random() % std::size(kParts)];
  return text;
}

Json RandomArgument(Random& random, int depth) {
  switch (random() % (depth > 3 ? 5 : 8)) {
    case 0:
      return nullptr;
    case 1:
      return random() % 2 == 0;
    case 2:
      return static_cast<int>(random()) / (1 << random() % 31);
    case 3:
      return static_cast<double>(static_cast<int>(random())) / 1024;
    case 4:
      return RandomWords(random);
    case 5: {
      Json list = Json::array();
      for (uint32_t n = random() % 4; n > 0; --n) list.push_back(RandomArgument(random, depth + 1));
      return list;
    }
    default: {
      Json map = Json::object();
      for (uint32_t n = random() % 4; n > 0; --n) {
        map[fmt::format("{}{}", "abcdé_-"[random() % 5], random() % 9)] = RandomArgument(random, depth + 1);
      }
      return map;
    }
  }
}

std::string RandomCall(Random& random) {
  Json arguments = Json::object();
  for (uint32_t n = 1 + random() % 4; n > 0; --n) {
    arguments[fmt::format("key{}", random() % 20)] = RandomArgument(random, 0);
  }
  return RenderToolCall("f", arguments).Spelled();
}

// What was told of a block's beginning is the beginning of what is read of it, wherever it ends.
TEST(ToolCallStream, WhatIsToldIsTheBeginningOfWhatIsRead) {
  Random random(7);
  for (int i = 0; i < 400; ++i) {
    const std::string block = RandomCall(random);
    ToolCallStream stream;
    std::string told;
    for (size_t size = 0; size <= block.size(); ++size) {
      const std::string_view part = std::string_view(block).substr(0, size);
      told += stream.Push(part);
      if (!stream.begun()) continue;
      const ToolCallBlock read = ParseToolCalls(part, true);
      ASSERT_FALSE(read.calls.empty()) << part;
      ASSERT_EQ(read.calls.front().name, stream.name()) << part;
      ASSERT_TRUE(read.calls.front().arguments.starts_with(told)) << part << "\n"
                                                                  << read.calls.front().arguments << "\n"
                                                                  << told;
      ASSERT_EQ(stream.Whole(read.calls.front()).arguments, read.calls.front().arguments);
    }
    if (block.find("call:", 1) != block.npos) continue;  // in a string, which might not end there
    ASSERT_EQ(told, ParseToolCalls(block, false).calls.front().arguments) << block;
  }
}

// Whatever became of a call, what was told and what followed say what is read of it.
TEST(ToolCallStream, DamagedCallsSayWhatIsReadOfThem) {
  static constexpr std::string_view kDamage[] = {"<|\"|>", "\"", "{", "}",       "[",        "]",
                                                 ",",      ":",  " ", "call:g{", "}call:g{", "=",
                                                 "'",      "x",  "7", "key1:",   "\n",       ";"};
  Random random(8);
  for (int i = 0; i < 6000; ++i) {
    std::string block = RandomCall(random);
    for (uint32_t n = 1 + random() % 3; n > 0; --n) {
      size_t at = random() % (block.size() + 1);
      while (at < block.size() && (static_cast<unsigned char>(block[at]) & 0xC0) == 0x80) ++at;
      if (random() % 2 == 0 || at == block.size()) {
        block.insert(at, kDamage[random() % std::size(kDamage)]);
      } else if (static_cast<unsigned char>(block[at]) < 0x80) {
        block.erase(at, 1);
      }
    }
    const bool cut = random() % 2 == 0;
    ToolCallStream stream;
    std::string told;
    for (size_t size = 0; size < block.size();) {
      size = std::min(block.size(), size + 1 + random() % 9);
      told += stream.Push(std::string_view(block).substr(0, CompletePrefix(block.substr(0, size))));
    }
    if (!stream.begun()) continue;
    const ToolCallBlock read = ParseToolCalls(block, cut);
    ASSERT_FALSE(read.calls.empty()) << block;
    ASSERT_EQ(read.calls.front().name, stream.name()) << block;
    const std::string whole = stream.Whole(read.calls.front()).arguments;
    ASSERT_TRUE(whole.starts_with(told)) << block << "\n" << whole << "\n" << told;
    ASSERT_EQ(nlohmann::json::parse(whole), nlohmann::json::parse(read.calls.front().arguments))
        << block << "\n"
        << whole;
  }
}

TEST(ToolCallStream, PartsStandBeforeTheirCall) {
  OutputGrammar grammar;
  std::vector<OutputEvent> events;
  grammar.Text("Well. ", events);
  grammar.Marker(OutputMarker::kCallOpen, events);
  for (const char* piece : {"call:", "f{a", ":1", ",b:", "2}"}) grammar.Text(piece, events);
  grammar.Marker(OutputMarker::kCallClose, events);
  grammar.Marker(OutputMarker::kCallOpen, events);
  grammar.Text("call:g{}", events);
  grammar.Finish(events, false);
  std::string told;
  std::vector<std::string> calls;
  for (const OutputEvent& event : events) {
    if (event.kind == OutputEvent::Kind::kCallPart) told += event.call.name + " " + event.text + "; ";
    if (event.kind == OutputEvent::Kind::kToolCall) calls.push_back(event.call.name + event.call.arguments);
  }
  EXPECT_EQ(told, "f {; f \"a\":; f 1,\"b\":; f 2}; g {}; ");
  EXPECT_EQ(calls, (std::vector<std::string>{R"(f{"a":1,"b":2})", "g{}"}));
}

}  // namespace
}  // namespace linnet
