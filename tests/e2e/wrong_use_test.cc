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

// What is said of a limit or of a name is what to do about it.
TEST(WrongUse, LimitsAndNamesOfTheSystemAreNamed) {
  const std::string wave = InSource("examples/command.wav"), picture = InSource("examples/shapes.png");
  for (const std::string& line : {"transcribe -q '" + wave + "'", "run -q -p x --image '" + picture + "'",
                                  "inspect '" + picture + "' -o '" + Folder("few-files") + "'"}) {
    const ProgramResult few = RunShell("exec 3>&-; ulimit -n 4 && $L " + line);
    EXPECT_EQ(few.code, 1) << line;
    EXPECT_NE(few.errors.find("allow more open files (ulimit -n)"), std::string::npos) << few.errors;
    EXPECT_EQ(few.errors.find("install linnet-media"), std::string::npos) << few.errors;
  }
  const std::string name(300, 'a');
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"inspect", name},
                                                    {"transcribe", "-q", name},
                                                    {"run", "-p", "x", "--image", name},
                                                    {"run", "-p", "x", "--tools", name},
                                                    {"translate", "--to", "fr", name},
                                                    {"transcribe", wave, "-o", name},
                                                    {"inspect", picture, "-o", name}}) {
    const ProgramResult result = RunLinnet(arguments);
    EXPECT_NE(result.code, 0) << arguments[0];
    EXPECT_NE(result.errors.find("File name too long; give a shorter name"), std::string::npos)
        << result.errors;
  }
}

TEST(WrongUse, AMediumThatIsGivenAsAnotherIsToldItsOption) {
  const std::string sound = InSource("examples/command.wav"), picture = InSource("examples/shapes.png");
  const std::string silent = InSource("tests/data/media/turned.mp4"),
                    film = InSource("tests/data/media/clip.mp4");
  const std::vector<std::vector<std::string>> cases = {
      {"--video", sound, "(--audio)"},
      {"--video", picture, "(--image)"},
      {"--audio", picture, "(--image)"},
      {"--audio", silent, "(--video)"},
      {"--image", sound, "(--audio)"},
      {"--image", film, "(--video)"},
      {"--video", InSource("tests/data/media/tone.m4a"), "(--audio)"},
      {"--video", InSource("tests/data/field/newline_before_pdf.pdf"), "(--image)"}};
  for (const auto& wrong : cases) {
    const ProgramResult result = RunLinnet({"run", "-q", "-p", "x", wrong[0], wrong[1]});
    if (result.errors.find("FFmpeg") != std::string::npos) GTEST_SKIP() << result.errors;
    EXPECT_EQ(result.code, 1) << wrong[0];
    EXPECT_NE(result.errors.find(wrong[2]), std::string::npos) << result.errors;
  }
}

TEST(WrongUse, JsonOfAModelInAnotherEncodingIsNamed) {
  for (const std::string file : {"config.json", "tokenizer.json"}) {
    const std::string model = Folder("utf16-" + file);
    std::filesystem::copy(
        InSource("models/chick"), model,
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    const std::string text = ReadFile(InSource("models/chick/" + file));
    WriteFile(model + "/" + file, "\xef\xbb\xbf" + text);  // the mark of UTF-8 does no harm
    EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10", "--model", model}).output, "15\n") << file;
    std::string wide = "\xff\xfe";
    for (const char c : text) wide += {c, '\0'};
    WriteFile(model + "/" + file, wide);
    const ProgramResult result = RunLinnet({"run", "-q", "-p", "5 + 10", "--model", model});
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.errors.find(file + ": is a text in UTF-16"), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("save it as UTF-8"), std::string::npos) << result.errors;
  }
}

}  // namespace
}  // namespace linnet
