// Chick through the program: the recorded answers, and the same text from the same seed whatever the threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

TEST(Chick, GivesEveryRecordedAnswer) {
  std::ifstream file(InSource("models/chick/expected.jsonl"));
  std::string line;
  int count = 0;
  while (std::getline(file, line)) {
    const json expected = json::parse(line);
    std::vector<std::string> arguments = {"-p", expected["prompt"], "--temperature", "0"};
    if (expected.contains("image")) arguments.insert(arguments.end(), {"--image-tokens", "70"});
    for (const char* kind : {"image", "audio"}) {
      if (!expected.contains(kind)) continue;
      arguments.push_back(std::string("--") + kind);
      arguments.push_back(InSource("models/chick/" + expected[kind].get<std::string>()));
    }
    const json answer = RunJson(arguments);
    EXPECT_EQ(answer.value("raw", ""), expected["answer"]) << expected["id"];
    ++count;
  }
  EXPECT_EQ(count, 60);
}

TEST(Chick, TheSameSeedGivesTheSameTextWithAnyNumberOfThreads) {
  std::set<std::string> texts;
  for (const char* seed : {"1", "2", "3"}) {
    std::set<std::string> of_seed;
    for (const char* threads : {"1", "2", "4"}) {
      const json answer = RunJson({"-p", "what is in the picture", "--image", InSource("examples/shapes.png"),
                                   "--temperature", "3", "--top-k", "0", "--top-p", "1", "--seed", seed, "-t",
                                   threads, "--max-tokens", "24"});
      of_seed.insert(answer.value("raw", ""));
    }
    EXPECT_EQ(of_seed.size(), 1u) << "seed " << seed;
    texts.insert(of_seed.begin(), of_seed.end());
  }
  EXPECT_EQ(texts.size(), 3u) << "at temperature 3 other seeds give other texts";
}

TEST(Chick, AToolCallIsStructuredAndTheReasonToStopIsGiven) {
  const json answer = RunJson({"-p", "Use a tool. call tom"});
  EXPECT_EQ(answer["finish"], "tool_call");
  ASSERT_EQ(answer["tool_calls"].size(), 1u);
  EXPECT_EQ(answer["tool_calls"][0]["name"], "phone");
  EXPECT_EQ(answer["tool_calls"][0]["arguments"], json({{"name", "tom"}}));
  EXPECT_EQ(answer["text"], "");
}

TEST(Chick, StopsWhereItIsTold) {
  EXPECT_EQ(RunJson({"-p", "Translate to French: turn off the garden lamp"})["text"],
            "éteins la lampe dans le jardin");
  const json stopped = RunJson({"-p", "Translate to French: turn off the garden lamp", "--stop", "pe da"});
  EXPECT_EQ(stopped["text"], "éteins la lam");
  EXPECT_EQ(stopped["finish"], "stop");
  const json cut = RunJson({"-p", "Translate to French: turn off the garden lamp", "--max-tokens", "2"});
  EXPECT_EQ(cut["finish"], "length");
  EXPECT_EQ(cut["usage"]["generated_tokens"], 2);
  const json full = RunJson({"-p", "Translate to French: turn off the garden lamp", "--context",
                             std::to_string(cut["usage"]["prompt_tokens"].get<int>() + 1)});
  EXPECT_EQ(full["finish"], "context");
}

TEST(Chick, TheExamplesOfTheDemonstrationAreRight) {
  const auto text = [](std::vector<std::string> arguments) {
    return RunJson(std::move(arguments)).value("text", "");
  };
  EXPECT_EQ(text({"-p", "what is in the picture", "--image", InSource("examples/shapes.png")}),
            "a red star and a blue circle");
  EXPECT_EQ(text({"-p", "what is on the left", "--image", InSource("examples/three.png")}),
            "a green triangle");
  EXPECT_EQ(text({"-p", "Transcribe the audio.", "--audio", InSource("examples/command.wav")}),
            "play some jazz music");
  EXPECT_EQ(text({"-p", "Transcribe the audio.", "--audio", InSource("examples/weather.wav")}),
            "what is the weather in paris");
  EXPECT_EQ(text({"-p", "Translate to French: turn on the kitchen light"}),
            "allume la lumière dans la cuisine");
  const json call = RunJson({"-p", "Use a tool. set a timer for 5 minutes"})["tool_calls"][0];
  EXPECT_EQ(call["name"], "timer");
  EXPECT_EQ(call["arguments"], json({{"amount", 5}, {"unit", "minutes"}}));
}

TEST(Chick, AnswersWithEveryTypeOfCache) {
  for (const char* type : {"f32", "bf16", "int8"}) {
    const auto text = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.end(), {"--kv", type});
      return RunJson(std::move(arguments)).value("text", "");
    };
    EXPECT_EQ(text({"-p", "what is on the left", "--image", InSource("examples/three.png")}),
              "a green triangle")
        << type;
    EXPECT_EQ(text({"-p", "Transcribe the audio.", "--audio", InSource("examples/weather.wav")}),
              "what is the weather in paris")
        << type;
    EXPECT_EQ(text({"-p", "Translate to French: turn on the kitchen light"}),
              "allume la lumière dans la cuisine")
        << type;
  }
}

// The chat format written by hand is what the chat writes; without it the model goes on with the text.
TEST(Chick, RawContinuesTheTextAsItIs) {
  const auto turn = [](const std::string& text) {
    return "<|turn>user\n" + text + "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>";
  };
  const json sum = RunJson({"--raw", "-p", turn("5 + 10")});
  const json chat = RunJson({"-p", "5 + 10"});
  EXPECT_EQ(sum["text"], "15");
  EXPECT_EQ(sum["finish"], "stop");
  EXPECT_EQ(sum["usage"], chat["usage"]);
  const json call = RunJson({"--raw", "-p", turn("Use a tool. call tom")});
  EXPECT_EQ(call["tool_calls"], json::array());
  EXPECT_EQ(call["text"], "call:phone{name:tom}") << "markers have no meaning in a text";
  EXPECT_EQ(call["finish"], "stop");
  const json plain = RunJson({"--raw", "-p", "5 + 10", "--max-tokens", "4"});
  EXPECT_LT(plain["usage"]["prompt_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_NE(plain["text"], "15");
  const ProgramResult streamed = RunLinnet({"run", "--raw", "-p", turn("5 + 10"), "-q"});
  EXPECT_EQ(streamed.output, "15\n");
}

TEST(Chick, ReadsThePromptFromStandardInputAndStreamsPlainText) {
  const ProgramResult result = RunLinnet({"run"}, "5 + 10\n");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.output, "15\n");
  EXPECT_NE(result.errors.find("Chick"), std::string::npos);
  const std::string last = result.errors.substr(result.errors.rfind('\n', result.errors.size() - 2) + 1);
  for (const char* word : {"tokens/s", "first token", "peak memory"}) {
    EXPECT_NE(last.find(word), std::string::npos) << last;
  }
}

}  // namespace
}  // namespace linnet
