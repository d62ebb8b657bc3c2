// What a new user does wrong first. Each answer is one line that says what was found and what to do, with
// exit code 1 for what failed and 2 for wrong use.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "program.h"

namespace linnet {
namespace {

// The last line of standard error names every one of `words`.
void ExpectError(const ProgramResult& result, int code, const std::vector<std::string>& words) {
  EXPECT_EQ(result.code, code) << result.errors;
  EXPECT_EQ(result.output, "");
  ASSERT_FALSE(result.errors.empty());
  std::string last = result.errors.substr(0, result.errors.find_last_not_of('\n') + 1);
  last = last.substr(last.rfind('\n') + 1);
  EXPECT_TRUE(last.starts_with("linnet: ")) << result.errors;
  for (const std::string& word : words)
    EXPECT_NE(last.find(word), std::string::npos) << word << " in: " << last;
}

TEST(WrongUse, NoArgumentsGivesTheHelpAndExitCodeTwo) {
  const ProgramResult result = RunLinnet({});
  ExpectError(result, 2, {"no command", "--help"});
  EXPECT_NE(result.errors.find("parity"), std::string::npos);
}

TEST(WrongUse, MisspeltCommandsAndOptionsSuggestTheNearest) {
  ExpectError(RunLinnet({"rnu"}), 2, {"rnu", "'run'"});
  ExpectError(RunLinnet({"run", "--promt", "hello"}), 2, {"--promt", "'--prompt'"});
  ExpectError(RunLinnet({"frobnicate"}), 2, {"frobnicate", "--help"});
  ExpectError(RunLinnet({"run", "-p", "x", "--temperature", "hot"}), 2, {"temperature", "hot"});
  ExpectError(RunLinnet({"run", "-p", "x", "--temperature", "-1"}), 2, {"temperature"});
  ExpectError(RunLinnet({"run", "-p", "x", "--mask-rule", "c"}), 2, {"mask-rule"});
  ExpectError(RunLinnet({"parity"}), 2, {"PATH"});
}

TEST(WrongUse, RawTextHasNoPlaceForWhatTheChatFormatCarries) {
  ExpectError(RunLinnet({"run", "--raw", "-p", "x", "--image", InSource("examples/shapes.png")}), 2,
              {"--raw", "--image"});
  ExpectError(RunLinnet({"run", "--raw", "-p", "x", "--system", "s"}), 2, {"--raw", "--system"});
  ExpectError(RunLinnet({"run", "--raw", "-p", "x", "--tools", "t.json"}), 2, {"--raw", "--tools"});
  ExpectError(RunLinnet({"run", "--raw", "-p", "x", "--think"}), 2, {"--raw", "--think"});
  ExpectError(RunLinnet({"run", "--raw"}), 2, {"prompt"});
  ExpectError(RunLinnet({"run", "--raw", "-p", "an <|image|>"}), 2, {"<|image|>"});
}

TEST(WrongUse, ModelsThatAreNone) {
  ExpectError(RunLinnet({"run", "no/such/model.gguf", "-p", "x"}), 1, {"no/such/model.gguf"});
  WriteFile(Scratch("empty.gguf"), "");
  ExpectError(RunLinnet({"run", Scratch("empty.gguf"), "-p", "x"}), 1, {"empty"});
  WriteFile(Scratch("notes.gguf"), "these are my notes\nand not a model\n");
  ExpectError(RunLinnet({"run", Scratch("notes.gguf"), "-p", "x"}), 1, {"notes.gguf", "text"});
  std::filesystem::create_directories(Scratch("folder"));
  WriteFile(Scratch("folder/readme.md"), "nothing here\n");
  ExpectError(RunLinnet({"run", Scratch("folder"), "-p", "x"}), 1, {"folder"});
  ExpectError(RunLinnet({"info", Scratch("folder")}), 1, {"folder"});
}

TEST(WrongUse, PicturesAndSoundsThatAreNone) {
  ExpectError(RunLinnet({"run", "-p", "x", "--image", "examples/shaeps.png"}), 1, {"shaeps.png"});
  WriteFile(Scratch("text.png"), "this is a text, whatever its name says\n");
  ExpectError(RunLinnet({"run", "-p", "x", "--image", Scratch("text.png")}), 1, {"text.png"});
  WriteFile(Scratch("empty.wav"), "");
  ExpectError(RunLinnet({"run", "-p", "x", "--audio", Scratch("empty.wav")}), 1, {"empty.wav"});
  ExpectError(RunLinnet({"run", "-p", "x", "--audio", InSource("examples/shapes.png")}), 1, {"shapes.png"});
}

TEST(WrongUse, AnEmptyPromptIsNoPrompt) {
  ExpectError(RunLinnet({"run"}), 2, {"prompt", "-p"});
  ExpectError(RunLinnet({"run", "-p", "  "}), 2, {"prompt"});
}

TEST(WrongUse, ToolsThatAreNoTools) {
  ExpectError(RunLinnet({"run", "-p", "x", "--tools", "no_tools.json"}), 1, {"no_tools.json"});
  WriteFile(Scratch("tools.json"), "[{]");
  ExpectError(RunLinnet({"run", "-p", "x", "--tools", Scratch("tools.json")}), 2, {"tools", "JSON list"});
  WriteFile(Scratch("tools.json"), R"([{"type": "function", "function": {"description": "nameless"}}])");
  ExpectError(RunLinnet({"run", "-p", "x", "--tools", Scratch("tools.json")}), 2, {"name"});
}

TEST(WrongUse, ParityWithoutDataSaysSo) {
  ExpectError(RunLinnet({"parity", "no/such/folder"}), 1, {"no/such/folder", "docs/parity.md"});
}

TEST(RightUse, HelpAndVersionAreNoErrors) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--help"}, {"run", "--help"}, {"info", "--help"}, {"parity", "--help"}}) {
    const ProgramResult result = RunLinnet(words);
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.output.find("Example"), std::string::npos);
    EXPECT_EQ(result.errors, "");
  }
  const ProgramResult version = RunLinnet({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_NE(version.output.find("linnet "), std::string::npos);
  EXPECT_NE(version.output.find("kernels"), std::string::npos);
}

}  // namespace
}  // namespace linnet
