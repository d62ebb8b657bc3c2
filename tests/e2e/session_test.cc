// linnet run --session, linnet session: conversations that go on after the program has ended.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

using Json = nlohmann::json;

std::string NewSession(const std::string& name) { return Folder("session_" + name) + "/s"; }

void ExpectSaid(const ProgramResult& result, int code, const std::vector<std::string>& said) {
  EXPECT_EQ(result.code, code) << result.errors;
  for (const std::string& text : said) {
    EXPECT_NE(result.errors.find(text), std::string::npos) << text << " in: " << result.errors;
  }
}

TEST(Session, SingleCallsGoOnAndReadOnlyWhatIsNew) {
  const std::string file = NewSession("calls");
  const std::string picture = InSource("examples/shapes.png");
  const Json first = RunJson({"--session", file, "-p", "6 + 1"});
  EXPECT_EQ(first["text"], "7");
  const ProgramResult second = RunLinnet({"run", "--session", file, "-p", "16 + 18"});
  ExpectSaid(second, 0, {"goes on: 2 messages"});
  EXPECT_EQ(second.output, "34\n");
  EXPECT_EQ(RunShell("stat -c %a " + file).output, "600\n");
  const Json third = RunJson(
      {"--session", file, "-p", "what is in the picture", "--image", picture, "--image-tokens", "70"});
  EXPECT_GT(third["usage"]["prompt_tokens"], 60);
  const Json fourth = RunJson({"--session", file, "-p", "what color is the circle"});
  EXPECT_LT(fourth["usage"]["prompt_tokens"], 50) << "the picture was read again";

  const Json facts = Json::parse(RunLinnet({"session", file, "--json", "--check"}).output);
  EXPECT_EQ(facts["messages"], 8);
  EXPECT_EQ(facts["media"].size(), 1u);
  EXPECT_EQ(facts["kv"], "bf16");
  const Json exported = Json::parse(RunLinnet({"session", file, "--export", "json"}).output);
  EXPECT_EQ(exported["messages"][1]["content"], "7");
  EXPECT_EQ(exported["messages"][4]["content"][0]["sha256"], facts["media"][0]["sha256"]);
  EXPECT_NE(RunLinnet({"session", file, "--export", "md"}).output.find("## Model\n\n34\n"),
            std::string::npos);
}

TEST(Session, AToolCallGetsItsResultInAnotherCall) {
  const std::string file = NewSession("tools");
  const Json call = RunJson({"--session", file, "-p", "Use a tool. call tom"});
  EXPECT_EQ(call["finish"], "tool_call");
  const Json answer = RunJson({"--session", file, "--result", "tom answered", "-n", "8"});
  EXPECT_LT(answer["usage"]["prompt_tokens"], 40);
  ExpectSaid(RunLinnet({"run", "--session", file, "--result", "again"}), 2, {"no tool call waits"});
  ExpectSaid(RunLinnet({"run", "-p", "x", "--result", "again"}), 2, {"--result is for --session"});
  ExpectSaid(RunLinnet({"run", "--session", file, "-p", "x", "--result", "y"}), 2, {"with a prompt"});
}

TEST(Session, WhatItWasBegunWithStays) {
  const std::string file = NewSession("options");
  RunJson({"--session", file, "-p", "6 + 1", "--system", "You are terse.", "--kv", "int8", "--context", "512",
           "--temperature", "0.5", "--seed", "9"});
  RunJson({"--session", file, "-p", "6 + 1", "--system", "You are terse."});
  const Json facts = Json::parse(RunLinnet({"session", file, "--json"}).output);
  EXPECT_EQ(facts["kv"], "int8");
  EXPECT_EQ(facts["context"], 512);
  EXPECT_EQ(facts["messages"], 5);
  EXPECT_NE(RunLinnet({"session", file}).output.find("temperature 0.5"), std::string::npos);
  EXPECT_NE(RunLinnet({"session", file}).output.find("seed 9"), std::string::npos);
  const std::vector<std::vector<std::string>> refused = {
      {"--system", "Be kind."},
      {"--kv", "f32"},
      {"--mask-rule", "b"},
      {"--context", "20"},
      {"--model", InSource("tests/data/golden/model/target")},
      {"--dequantise"},
      {"--raw"}};
  const std::string before = ReadFile(file);
  for (std::vector<std::string> options : refused) {
    const std::string name = options[0];
    options.insert(options.begin(), {"run", "-p", "6 + 1", "--session", file});
    const ProgramResult result = RunLinnet(options);
    EXPECT_NE(result.code, 0) << name;
    EXPECT_NE(result.errors.find("; "), std::string::npos) << result.errors;
    EXPECT_EQ(ReadFile(file), before) << name;
  }
}

TEST(Session, AFileInUseOrDamagedOrOfAnotherKindIsRefused) {
  const std::string file = NewSession("refused");
  RunJson({"--session", file, "-p", "6 + 1"});
  ExpectSaid(RunShell("flock " + file + " \"$L\" run -p 1 --session " + file), 2,
             {"in use by another program"});
  ExpectSaid(RunShell("flock " + file + " \"$L\" session " + file), 2, {"in use by another program"});

  const std::string whole = ReadFile(file);
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 16);
  WriteFile(file, flipped);
  ExpectSaid(RunLinnet({"run", "-p", "1", "--session", file}), 1, {file + ": is damaged", "another session"});
  EXPECT_EQ(ReadFile(file), flipped) << "a refused file was changed";
  WriteFile(file, whole.substr(0, whole.size() / 3));
  ExpectSaid(RunLinnet({"session", file}), 1, {"it was cut"});
  const std::string picture = InSource("examples/shapes.png");
  ExpectSaid(
      RunShell("cp " + picture + " " + file + "; chmod 644 " + file + "; \"$L\" run -p 1 --session " + file),
      1, {"no session"});
  EXPECT_EQ(ReadFile(file), ReadFile(picture));
  EXPECT_EQ(RunShell("stat -c %a " + file).output, "644\n") << "a file of another kind was changed";
  ExpectSaid(
      RunShell("ln -s " + file + ".none " + file + ".link; \"$L\" run -p 1 --session " + file + ".link"), 2,
      {"is a link to a file that is not there"});
  ExpectSaid(RunLinnet({"session", file + ".none"}), 1, {"cannot open"});
  ExpectSaid(RunLinnet({"run", "-p", "1", "--session", "/nowhere/s"}), 2, {"cannot be made"});
}

}  // namespace
}  // namespace linnet
