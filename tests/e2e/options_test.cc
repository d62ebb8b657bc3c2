// Nothing asked for is ignored: each option is used, or refused with what to do.
#include <gtest/gtest.h>

#include <filesystem>

#include "program.h"

namespace linnet {
namespace {

using Words = std::vector<std::string>;

void ExpectRefused(const Words& words, const std::vector<std::string>& told) {
  const ProgramResult result = RunLinnet(words);
  EXPECT_EQ(result.code, 2) << result.errors;
  EXPECT_EQ(result.output, "");
  for (const std::string& text : told)
    EXPECT_NE(result.errors.find(text), std::string::npos) << text << result.errors;
}

const std::string kChick = InSource("models/chick");
const std::string kTarget = InSource("tests/data/golden/model/target");
const std::string kAssistant = InSource("tests/data/golden/model/assistant");
const std::string kWave = InSource("models/chick/examples/hear-050.wav");

TEST(Options, ThreadsAreWithinTheirRangeEverywhere) {
  const std::string text = Scratch("threads.txt");
  WriteFile(text, "turn off the garden lamp\n");
  for (const Words& words : std::vector<Words>{{"run", "-p", "x"},
                                               {"transcribe", kWave},
                                               {"translate", "--to", "fr", text},
                                               {"parity", InSource("tests/data/golden")},
                                               {"bench"},
                                               {"bench", "media"},
                                               {"bench", "mtp"},
                                               {"convert", kChick, Scratch("threads.gguf")},
                                               {"perplexity", kChick, text}}) {
    for (const char* count : {"1000000", "-3", "1025", "99999999999999999999", "two"}) {
      Words with = words;
      with.insert(with.end(), {"-t", count});
      ExpectRefused(with, {count, "1 to 1024"});
    }
  }
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10", "-t", "0"}).output, "15\n");
}

TEST(Options, TheStoreTakesASize) {
  for (const char* size : {"2X", "-1", "G", "lots", "99999999999999G"}) {
    ExpectRefused({"run", "-p", "x", "--cache-ram", size}, {"--cache-ram", "16G"});
    ExpectRefused({"transcribe", kWave, "--cache-ram", size}, {"--cache-ram"});
  }
  ExpectRefused({"run", "-p", "x", "--cache-ram", ""}, {"--cache-ram", "empty"});
  for (const char* size : {"0", "1", "300K", "20M", "0.1Gi", "auto"}) {
    const ProgramResult result = RunLinnet({"run", "--json", "-q", "-p", "5 + 10", "--cache-ram", size});
    EXPECT_NE(result.output.find("\"text\":\"15\""), std::string::npos)
        << size << result.output << result.errors;
    EXPECT_NE(result.output.find("\"reused_tokens\":0"), std::string::npos) << result.output;
  }
}

TEST(Options, PartsWithoutTheirModelAreRefused) {
  ExpectRefused({"run", "-p", "x", "--mmproj", "some.gguf"}, {"some.gguf", "without a model", "--model"});
  ExpectRefused({"run", "-p", "x", "--drafter", kAssistant}, {"without a model"});
  ExpectRefused({"transcribe", kWave, "--mmproj", "some.gguf"}, {"without a model"});
  ExpectRefused({"info", "--drafter", kAssistant}, {"without a model"});
  ExpectRefused({"bench", "mtp", "--drafter", kAssistant}, {"without a model"});
  ExpectRefused({"run", kChick, "-p", "x", "--mmproj", "some.gguf"}, {"some.gguf", "leave --mmproj out"});
  ExpectRefused({"info", kChick, "--mmproj", "some.gguf"}, {"some.gguf", "leave --mmproj out"});
  ExpectRefused({"run", kTarget, "-p", "x", "--drafter", kAssistant, "--draft", "0"},
                {"assistant", "--draft 0"});
}

TEST(Options, ContextsOfAnySizeAnswerOrRefuse) {
  for (const int context : {1, 8, 17, 18, 19, 40, 77, 79}) {
    for (const Words& medium : std::vector<Words>{
             {"--image", InSource("examples/shapes.png")},
             {"--image", InSource("examples/shapes.png"), "--image-tokens", "70", "--audio", kWave},
             {"--audio", kWave}}) {
      Words words = {"run", "-q", "-p", "what is in it", "--context", std::to_string(context)};
      words.insert(words.end(), medium.begin(), medium.end());
      const ProgramResult result = RunLinnet(words);
      EXPECT_TRUE(result.code == 0 || result.code == 2) << context << ": " << result.code << result.errors;
      const bool told = result.errors.find("--context") != std::string::npos;
      EXPECT_TRUE(result.code == 0 || told) << result.errors;
    }
  }
}

TEST(Options, WhatIsWrongIsNamedByItself) {
  ExpectRefused({"translate", kWave}, {"no language is given; name it with --to"});
  for (const char* tokens : {"-1", "1121"}) {
    ExpectRefused({"info", "--image-tokens", tokens}, {tokens, "give 0 to 1120"});
  }
  const std::string text = Scratch("long-line.txt");
  WriteFile(text, "turn off the garden lamp\n" + std::string(5000, 'a') + "\n");
  const ProgramResult result = RunLinnet({"translate", "-q", "--to", "fr", text});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.errors.find("long-line.txt: line 2: the prompt needs"), std::string::npos)
      << result.errors;
  const std::string video = InSource("tests/data/media/tiny.mp4");
  const ProgramResult frames = RunLinnet({"run", "-p", "x", "--video", video, "--max-frames", "0"});
  if (!HasVideo(frames)) GTEST_SKIP() << frames.errors;
  EXPECT_NE(frames.errors.find("0 frames of a video at most; choose 1 to 10000"), std::string::npos)
      << frames.errors;
}

TEST(Options, AWrongInstructionSetIsRefused) {
  for (const char* command : {"run -p x", "info", "bench", "parity x", "inspect x"}) {
    const ProgramResult result = RunShell(std::string("LINNET_ISA=avx9 $L ") + command);
    EXPECT_EQ(result.code, 2) << result.errors;
    EXPECT_NE(result.errors.find("LINNET_ISA is 'avx9'"), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("scalar"), std::string::npos) << result.errors;
  }
  EXPECT_EQ(RunShell("LINNET_ISA=scalar $L run -q -p '5 + 10'").output, "15\n");
}

TEST(Options, WhatAnotherOptionMakesUselessIsRefused) {
  const std::string text = Scratch("useless.txt");
  WriteFile(text, "turn off the garden lamp\n");
  ExpectRefused({"run", "-p", "x", "--pages", "2"}, {"--pages", "--image"});
  ExpectRefused({"run", "-p", "x", "--fps", "2"}, {"--fps", "--video"});
  const std::string picture = InSource("examples/shapes.png");
  ExpectRefused({"run", "-p", "x", "--image-tokens", "280", "--audio", kWave}, {"--image-tokens", "--image"});
  ExpectRefused({"run", "-p", "x", "--frame-tokens", "70", "--image", picture},
                {"--frame-tokens", "--video"});
  ExpectRefused({"run", "-p", "x", "--mask-rule", "b"}, {"--mask-rule", "--image and --video"});
  ExpectRefused({"run", "-p", "x", "--no-sandbox"}, {"--no-sandbox", "--image"});
  ExpectRefused({"run", "-p", "x", "--seconds", "0"}, {"--seconds", "add --mic"});
  ExpectRefused({"run", "-p", "x", "--mic-device", "pulse:x"}, {"--mic-device", "add --mic"});
  ExpectRefused({"transcribe", "--mic", "--no-sandbox"}, {"--no-sandbox", "files"});
  ExpectRefused({"transcribe", kWave, "--timestamps", "-f", "srt"}, {"--timestamps", "plain text"});
  ExpectRefused({"translate", "--to", "fr", text, "--pad-seconds", "1"},
                {"--pad-seconds", "useless.txt is a text"});
  ExpectRefused({"run", "-p", "x", "--pages", "2", "--image", picture}, {"--pages", "PDF"});
  ExpectRefused({"run", "-p", "x", "--stop", ""}, {"--stop"});
  for (const char* option : {"--model", "--mmproj", "-n", "--context", "--seed", "--image"}) {
    ExpectRefused({"run", "-p", "x", option, ""}, {"empty"});
  }
  for (const char* option : {"-n", "--context", "--seed"}) {
    ExpectRefused({"run", "-p", "x", option, "99999999999999999999"}, {"99999999999999999999"});
  }
  ExpectRefused({"run", "-p", "x", "--seed", "-1"}, {"-1"});
  ExpectRefused({"run", "--prompt=", "-q"}, {"--prompt="});
  ExpectRefused({"inspect", picture, "--pages", "2"}, {"--pages", "PDF"});
  ExpectRefused({"inspect", picture, "--fps", "2"}, {"--fps", "videos"});
  ExpectRefused({"inspect", kWave, "--image-tokens", "280"}, {"--image-tokens"});
  ExpectRefused({"transcribe", kWave, "--again"}, {"--again", "-o"});
  ExpectRefused({"translate", "--to", "fr", text, "-f", "srt"}, {"useless.txt is a text", "--format"});
  ExpectRefused({"translate", "--to", "fr", text, "--timestamps"}, {"--timestamps"});
  ExpectRefused({"transcribe", kWave, "sub/hear-050.wav", "-o", Scratch("both")}, {"one file"});
  ExpectRefused({"bench", "--acceptance", "0.5"}, {"--acceptance", "bench mtp"});
  ExpectRefused({"bench", "--drafter", kAssistant}, {"--drafter", "bench mtp"});
  ExpectRefused({"bench", "mtp", "--depth", "3"}, {"--depth"});
  ExpectRefused({"bench", "media", "--kv", "int8"}, {"--kv"});
  ExpectRefused({"bench", kChick, "--synthetic", "12b:q4_0"}, {"--synthetic"});
  ExpectRefused({"bench", "--prompt", "1000000000000"}, {"prompt", "1000000000000"});
  ExpectRefused({"convert", "synthetic:12b:q4_0", Scratch("s.gguf"), "--type", "f32"}, {"--type"});
}

TEST(Options, ToolsAreAFileWithTools) {
  const ProgramResult folder = RunLinnet({"run", "-p", "x", "--tools", kChick});
  EXPECT_EQ(folder.code, 1);
  EXPECT_NE(folder.errors.find("Is a directory"), std::string::npos) << folder.errors;
  WriteFile(Scratch("none.json"), " \n");
  ExpectRefused({"run", "-p", "x", "--tools", Scratch("none.json")}, {"none.json is empty"});
  ExpectRefused({"run", "-p", "x", "--tools", ""}, {"--tools", "empty"});
}

TEST(Options, TheModelIsNamedTheSameWayEverywhere) {
  const std::string text = Scratch("model.txt");
  WriteFile(text, "turn off the garden lamp\n");
  EXPECT_EQ(RunLinnet({"run", "-q", kChick, "-p", "5 + 10"}).output, "15\n");
  EXPECT_EQ(RunLinnet({"run", "-q", "--model", kChick, "-p", "5 + 10"}).output, "15\n");
  EXPECT_EQ(RunLinnet({"info", "--model", kChick}).output, RunLinnet({"info", kChick}).output);
  EXPECT_EQ(RunLinnet({"perplexity", "--model", kChick, text}).output,
            RunLinnet({"perplexity", kChick, text}).output);
  EXPECT_EQ(RunLinnet({"convert", "--model", kChick, Scratch("named.gguf")}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(Scratch("named.gguf")));
  EXPECT_EQ(RunLinnet({"bench", "--model", "nofile"}).code, 1);
  for (const char* command : {"run", "info", "bench"}) {
    ExpectRefused({command, kChick, "--model", kChick}, {"--model"});
  }
  ExpectRefused({"perplexity", text}, {"MODEL TEXT"});
  ExpectRefused({"convert", kChick}, {"OUT"});
}

TEST(Options, TwoDashesEndThem) {
  const std::string folder = Scratch("dashes");
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(kWave, folder + "/-o.wav");
  EXPECT_EQ(RunShell("cd '" + folder + "' && $L transcribe -q -- -o.wav").output,
            "turn off the bedroom heater\n");
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10", "--", kChick}).output, "15\n");
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "5 + 10", "--"}).output, "15\n");
  EXPECT_EQ(RunLinnet({"info", "--"}).code, 0);
  ExpectRefused({"info", "--", kChick, "--json"}, {"'--json'"});
}

TEST(Options, DirectoriesForResultsAreMade) {
  const std::string shown = Scratch("made/by/inspect"), heard = Scratch("made/by/transcribe/");
  EXPECT_EQ(RunLinnet({"inspect", "-o", shown, kWave}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(shown + "/hear-050.wav.inspect.png"));
  EXPECT_EQ(RunLinnet({"transcribe", "-o", heard, kWave}).code, 0);
  EXPECT_EQ(ReadFile(heard + "hear-050.wav.txt"), "turn off the bedroom heater\n");
  WriteFile(Scratch("file"), "");
  ExpectRefused({"inspect", "-o", Scratch("file"), kWave}, {"cannot be made"});
}

TEST(Options, AFileOfThemIsReadOrRefusedWithItsLine) {
  const std::string file = Scratch("serve.toml");
  const auto refused = [&](const std::string& content, const std::vector<std::string>& told) {
    WriteFile(file, content);
    ExpectRefused({"serve", "--config", file}, told);
  };
  refused("port = 8080\nparalel = 2\n", {"line 2", "paralel", "did you mean parallel"});
  refused("port = \"high\"\n", {"line 1", "port", "a whole number"});
  refused("allow-host = \"one\"\n", {"allow-host", "a list of texts"});
  refused("log = \"loud\"\n", {"line 1", "log is 'loud'", "text, none"});
  refused("kv = \"q4\"\n", {"kv is 'q4'", "bf16"});
  refused("port = [\n", {"line", "write TOML"});
  refused("parallel = 0\n", {"--parallel is 0"});
  // The command line goes first; every option of the command may stand in the file.
  WriteFile(file, "port = 99999\nstore = \"responses.db\"\nmask-rule = \"a\"\n");
  ExpectRefused({"serve", "--config", file}, {"--port is 99999"});
  ExpectRefused({"serve", "--config", file, "--port", "70000"}, {"--port is 70000"});
}

}  // namespace
}  // namespace linnet
