// Where the answer and the errors go, and what comes in by standard input: full disks, closed descriptors,
// pipes, and texts as other systems save them.
#include <gtest/gtest.h>

#include <filesystem>

#include "program.h"

namespace linnet {
namespace {

const char* const kFrench = "éteins la lampe dans le jardin\n";

std::string Quoted(const std::string& path) { return "'" + path + "'"; }

// The same whatever becomes of standard error: same answer, same exit code.
void ExpectSameWithoutErrors(const std::string& command) {
  const ProgramResult usual = RunShell("$L " + command);
  for (const char* errors : {"2>/dev/full", "2>&-", "2>&1 >&3 3>&- | true"}) {
    const bool piped = std::string(errors).find('|') != std::string::npos;
    const ProgramResult result = piped ? RunShell("{ { $L " + command + "; echo $? >&4; } " + errors +
                                                  "; } 3>&1 4>" + Quoted(Scratch("code")))
                                       : RunShell("$L " + command + " " + errors);
    EXPECT_EQ(piped ? std::stoi(ReadFile(Scratch("code"))) : result.code, usual.code) << command << errors;
    EXPECT_EQ(result.output, usual.output) << command << errors;
  }
}

TEST(Streams, WhatCannotBeSaidOnStandardErrorIsDropped) {
  const std::string wave = Quoted(InSource("models/chick/examples/hear-050.wav"));
  const std::string data = Quoted(InSource("tests/data/golden"));
  WriteFile(Scratch("one.txt"), "turn off the garden lamp\n");
  EXPECT_EQ(RunShell("$L run -p '5 + 10' 2>/dev/full").output, "15\n");
  for (const std::string& command : std::vector<std::string>{
           std::string("run -p '5 + 10'"), std::string("run -p '5 + 10' --image nofile"),
           std::string("info nofile"), "transcribe " + wave,
           "translate --to fr " + Quoted(Scratch("one.txt")), "inspect nofile",
           "inspect -o " + Quoted(Scratch("shown")) + " " + wave, "parity --filter model/text-long " + data,
           "perplexity " + Quoted(InSource("models/chick")) + " " + Quoted(Scratch("one.txt")),
           std::string("convert nofile out.gguf"), std::string("bench --prompt 0"), std::string("rnu")}) {
    ExpectSameWithoutErrors(command);
  }
  const std::string written = Scratch("heard.txt");
  EXPECT_EQ(RunShell("$L transcribe " + wave + " -o " + Quoted(written) + " 2>&-").code, 0);
  EXPECT_EQ(ReadFile(written), "turn off the bedroom heater\n");
}

TEST(Streams, AnAnswerThatCannotBeWrittenIsAnError) {
  for (const char* words :
       {"run -p '5 + 10'", "run -p '5 + 10' --json", "--help", "run --help", "--version", "info"}) {
    const ProgramResult full = RunShell(std::string("$L ") + words + " >/dev/full");
    EXPECT_EQ(full.code, 1) << words;
    EXPECT_NE(full.errors.find("linnet: standard output cannot be written: No space"), std::string::npos)
        << words << full.errors;
    EXPECT_EQ(RunShell(std::string("$L ") + words + " >&-").code, 1) << words;
    EXPECT_EQ(RunShell(std::string("$L ") + words + " >&- 2>&- <&-").code, 1) << words;
    const ProgramResult gone = RunShell(std::string("$L ") + words + " | true");
    EXPECT_EQ(gone.errors.find("standard output"), std::string::npos) << words << gone.errors;
  }
}

TEST(Streams, FilesDoNotLandOnClosedDescriptors) {
  const std::string out = Scratch("closed.gguf");
  const std::string chick = Quoted(InSource("models/chick"));
  EXPECT_EQ(RunShell("$L convert " + chick + " " + Quoted(out) + " --force 2>&- <&-").code, 0);
  EXPECT_EQ(RunLinnet({"run", out, "-p", "5 + 10"}).output, "15\n");
  EXPECT_EQ(RunShell("$L convert " + chick + " " + Quoted(out) + " --force >&- 2>&- <&-").code, 1);
  EXPECT_EQ(RunLinnet({"run", out, "-p", "5 + 10"}).output, "15\n");
}

TEST(Streams, AFileThatMayNotGrowIsAnErrorAndLeavesNothing) {
  const std::string folder = Scratch("limited");
  std::filesystem::create_directories(folder);
  const ProgramResult converted = RunShell("ulimit -f 100; $L convert " + Quoted(InSource("models/chick")) +
                                           " " + Quoted(folder + "/c.gguf"));
  EXPECT_EQ(converted.code, 1) << converted.errors;
  EXPECT_NE(converted.errors.find("File too large"), std::string::npos) << converted.errors;
  const std::string wave = Quoted(InSource("models/chick/examples/hear-050.wav"));
  const ProgramResult heard =
      RunShell("(ulimit -f 0; $L transcribe " + wave + " -o " + Quoted(folder + "/a.txt") + " 2>&1) | cat");
  EXPECT_NE(heard.output.find("cannot be written: File too large"), std::string::npos) << heard.output;
  const ProgramResult shown =
      RunShell("(ulimit -f 0; $L inspect " + wave + " -o " + Quoted(folder) + " 2>&1) | cat");
  EXPECT_NE(shown.output.find("cannot be written: File too large"), std::string::npos) << shown.output;
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(Streams, LinesOfATextEndInEveryWay) {
  const std::string lamp = "turn off the garden lamp";
  const std::string line(kFrench), french = line.substr(0, line.size() - 1);
  EXPECT_EQ(RunLinnet({"translate", "--to", "fr", "-q", "-"},
                      lamp + "\r\r" + lamp + "\r\n" + lamp + "\n" + lamp + "\r")
                .output,
            french + "\r\r" + french + "\r\n" + french + "\n" + french + "\r");
}

TEST(Streams, PipedTextFollowsThePrompt) {
  const std::string lamp = "turn off the garden lamp\n";
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "Translate to French:"}, lamp).output, kFrench);
  EXPECT_EQ(RunLinnet({"run", "-q"}, "Translate to French: " + lamp).output, kFrench);
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "-"}, "Translate to French: " + lamp).output, kFrench);
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10"}, "").output, "15\n");
  EXPECT_EQ(RunShell("$L run -q -p '5 + 10' </dev/null").output, "15\n");
  EXPECT_EQ(RunShell("$L run -q -p '5 + 10' <&-").output, "15\n");
  const ProgramResult broken = RunShell("$L run -q -p '5 + 10' </");
  EXPECT_EQ(broken.code, 1);
  EXPECT_EQ(broken.output, "");
  EXPECT_NE(broken.errors.find("standard input cannot be read: Is a directory"), std::string::npos)
      << broken.errors;
  const ProgramResult endless = RunShell("$L run -q -p '5 + 10' </dev/zero");
  EXPECT_EQ(endless.code, 2);
  EXPECT_NE(endless.errors.find("standard input holds more than"), std::string::npos) << endless.errors;
}

class Encoding : public testing::TestWithParam<const char*> {};

TEST_P(Encoding, IsReadWhereverATextIs) {
  const std::string kind = GetParam();
  // ASCII in the form that is tried.
  const auto as = [&](const std::string& text) {
    if (kind == "utf8") return "\xef\xbb\xbf" + text;
    std::string out = kind == "utf16le" ? "\xff\xfe" : "\xfe\xff";
    for (const char c : text) out += kind == "utf16le" ? std::string({c, '\0'}) : std::string({'\0', c});
    return out;
  };
  const std::string file = Scratch("encoded.txt");
  WriteFile(file, as("turn off the garden lamp\r\n"));
  EXPECT_EQ(RunLinnet({"translate", "--to", "fr", "-q", file}).output, "éteins la lampe dans le jardin\r\n");
  EXPECT_EQ(RunLinnet({"translate", "--to", "fr", "-q", "-"}, as("turn off the garden lamp\n")).output,
            kFrench);
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "Translate to French:"}, as("turn off the garden lamp")).output,
            kFrench);
  EXPECT_EQ(RunLinnet({"run", "-q"}, as("5 + 10")).output, "15\n");
  EXPECT_EQ(RunLinnet({"run", "-q", "--raw", "-n", "4"}, as("5 + 10")).output,
            RunLinnet({"run", "-q", "--raw", "-n", "4"}, "5 + 10").output);
  const std::string tools = R"([{"type": "function", "function": {"name": "phone"}}])";
  WriteFile(Scratch("tools.json"), as(tools));
  WriteFile(Scratch("plain.json"), tools);
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10", "--json", "--tools", Scratch("tools.json")}).code, 0);
  const std::string text = Scratch("corpus.txt");
  WriteFile(text, as("turn off the garden lamp"));
  const ProgramResult marked = RunLinnet({"perplexity", InSource("models/chick"), text});
  WriteFile(text, "turn off the garden lamp");
  EXPECT_EQ(marked.output, RunLinnet({"perplexity", InSource("models/chick"), text}).output) << marked.errors;
}

INSTANTIATE_TEST_SUITE_P(Streams, Encoding, testing::Values("utf8", "utf16le", "utf16be"));

TEST(Streams, APromptAndASystemMessageMayBeginWithAMark) {
  EXPECT_EQ(RunLinnet({"run", "-q", "-p",
                       "\xef\xbb\xbf"
                       "5 + 10"})
                .output,
            "15\n");
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10", "-s", "\xef\xbb\xbf"}).output, "15\n");
}

TEST(Streams, WhatIsNoTextIsNamed) {
  const std::string picture = InSource("examples/shapes.png"), chick = InSource("models/chick");
  const auto expect = [](const ProgramResult& result, const std::string& what) {
    EXPECT_EQ(result.code, 1) << result.errors;
    EXPECT_EQ(result.output, "");
    EXPECT_NE(result.errors.find(what), std::string::npos) << result.errors;
  };
  expect(RunLinnet({"perplexity", chick, picture}), "shapes.png is a PNG picture, no text");
  expect(RunLinnet({"translate", "--to", "fr", picture}), "shapes.png is a PNG picture, no text");
  expect(RunLinnet({"run", "-p", "x"}, ReadFile(picture)), "standard input is a PNG picture, no text");
  expect(RunLinnet({"run", "-p", "x", "--tools", picture}), "shapes.png is a PNG picture, no text");
  expect(RunLinnet({"run", "-p", "x"}, "caf\xe9"), "standard input is not UTF-8: byte 0xE9 in line 1");
  expect(RunLinnet({"run", "-p", "caf\xe9"}), "the prompt is not UTF-8");
  expect(RunLinnet({"run"}, std::string("a\0b", 3)), "byte 2 is zero");
}

}  // namespace
}  // namespace linnet
