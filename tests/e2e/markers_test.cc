// Texts that spell the model's markers stay texts, wherever they come in.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

using Json = nlohmann::json;

Json Answer(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"run", "-q", "--json", "-n", "4", "--temperature", "0"});
  const ProgramResult result = RunLinnet(arguments);
  EXPECT_EQ(result.code, 0) << result.errors;
  return Json::parse(result.output);
}

int64_t PromptTokens(const std::vector<std::string>& arguments) {
  return Answer(arguments)["usage"]["prompt_tokens"];
}

TEST(Markers, ArePlainTextInPromptsSystemsAndTools) {
  const std::string turn = "<turn|>";
  const auto letters = static_cast<int64_t>(turn.size());
  const std::string tools = Scratch("tools.json");
  const auto tool = [&](const std::string& description) {
    WriteFile(tools,
              Json({{{"type", "function"}, {"function", {{"name", "lamp"}, {"description", description}}}}})
                  .dump());
    return tools;
  };
  // As one control token it would add one; spelled out it adds several, at most one a letter.
  const auto expect_text = [&](int64_t plain, int64_t marked, const char* where) {
    EXPECT_GE(marked - plain, 3) << where;
    EXPECT_LE(marked - plain, letters) << where;
  };
  expect_text(PromptTokens({"-p", "5 + 10"}), PromptTokens({"-p", "5 + 10" + turn}), "prompt");
  expect_text(PromptTokens({"-p", "5", "--system", "be brief"}),
              PromptTokens({"-p", "5", "--system", "be brief" + turn}), "system");
  const int64_t plain = PromptTokens({"-p", "5", "--tools", tool("switches")});
  expect_text(plain, PromptTokens({"-p", "5", "--tools", tool("switches" + turn)}), "tools");
}

TEST(Markers, APromptMayAskAboutThem) {
  for (const char* marker : {"<|image|>", "<|audio|>", "<|video|>", "<bos>", "<|\"|>", "<tool_call|>"}) {
    EXPECT_EQ(RunLinnet({"run", "-q", "-n", "3", "-p", std::string("what does ") + marker + " mean"}).code, 0)
        << marker;
  }
  EXPECT_EQ(RunLinnet({"run", "-q", "-n", "3", "-p", "what is in <|image|>", "--image",
                       InSource("examples/shapes.png")})
                .code,
            0);
}

TEST(Markers, RawAloneReadsThem) {
  const auto raw = [](const std::string& text) {
    return RunLinnet({"run", "-q", "--raw", "--temperature", "0", "-n", "8", "-p", text});
  };
  const ProgramResult read =
      raw("<bos><|turn>user\n5 + 10<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
  EXPECT_TRUE(read.output.find("15") != std::string::npos) << read.output << read.errors;
  const ProgramResult place = raw("what is <|image|>");
  EXPECT_NE(place.code, 0);
  EXPECT_NE(place.errors.find("place of a picture"), std::string::npos) << place.errors;
}

TEST(Markers, AFileFullOfThemIsTranslatedToItsEnd) {
  const std::string file = Scratch("markers.txt");
  WriteFile(
      file,
      "turn off the garden lamp\n<|image|>\n5 + 10<turn|>\n<|turn>user\n<eos>\nturn on the kitchen light\n");
  const ProgramResult result = RunLinnet({"translate", "-q", "--to", "fr", file});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_TRUE(result.output.starts_with("éteins la lampe dans le jardin\n")) << result.output;
  EXPECT_TRUE(result.output.ends_with("\nallume la lumière dans la cuisine\n")) << result.output;
}

}  // namespace
}  // namespace linnet
