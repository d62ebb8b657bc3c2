// linnet perplexity on Chick: its numbers as text and as JSON, alone and beside another file of the same
// weights.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

json Measure(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "perplexity");
  arguments.push_back("--json");
  const ProgramResult result = RunLinnet(arguments);
  EXPECT_EQ(result.code, 0) << result.errors;
  json measured = json::parse(result.output, nullptr, false);
  EXPECT_TRUE(measured.is_object()) << result.output;
  return measured;
}

class Perplexity : public testing::Test {
 protected:
  void SetUp() override {
    const std::string directory = Scratch("perplexity");
    std::filesystem::create_directories(directory);
    one_ = directory + "/one.txt";
    two_ = directory + "/two.txt";
    quantised_ = directory + "/chick-q8_0.gguf";
    WriteFile(one_, "turn off the garden lamp\nallume la lampe dans le jardin");
    WriteFile(two_, "a red star and a blue circle");
    const ProgramResult converted =
        RunLinnet({"convert", InSource("models/chick"), quantised_, "--type", "q8_0", "--force"});
    ASSERT_EQ(converted.code, 0) << converted.errors;
  }

  std::string one_, two_, quantised_;
};

// The reference keeps float32 whatever --kv says, and so does the tested model without it.
TEST_F(Perplexity, TellsWhatATypeOfTheCacheCosts) {
  const auto kl = [&](const char* type) {
    return Measure({quantised_, one_, two_, "--compare", quantised_, "--kv",
                    type})["total"]["comparison"]["kl_mean"]
        .get<double>();
  };
  EXPECT_EQ(kl("f32"), 0);
  EXPECT_GT(kl("bf16"), 0);
  EXPECT_LT(kl("bf16"), 1e-3);
  EXPECT_GT(kl("int8"), kl("bf16"));
  EXPECT_LT(kl("int8"), 0.05);
}

TEST_F(Perplexity, JsonHoldsEveryTextAndTheirMean) {
  const json all = Measure({quantised_, one_, two_});
  EXPECT_EQ(all["model"], quantised_);
  ASSERT_EQ(all["texts"].size(), 2u);
  double nll = 0, tokens = 0;
  for (const json& text : all["texts"]) {
    const double mean = text["mean_nll"], count = text["tokens"];
    EXPECT_GT(mean, 0);
    EXPECT_NEAR(text["perplexity"].get<double>(), std::exp(mean), 1e-9 * std::exp(mean));
    EXPECT_FALSE(text.contains("comparison"));
    nll += mean * count;
    tokens += count;
  }
  EXPECT_EQ(all["texts"][0]["name"], one_);
  EXPECT_EQ(all["total"]["tokens"], tokens);
  EXPECT_NEAR(all["total"]["mean_nll"].get<double>(), nll / tokens, 1e-9);
  EXPECT_EQ(Measure({quantised_, two_})["texts"][0], all["texts"][1])
      << "a text does not know its neighbours";
}

TEST_F(Perplexity, ComparesWithOtherWeightsAndWithTheSameInFloat) {
  const json other = Measure({quantised_, one_, two_, "--compare", InSource("models/chick")});
  EXPECT_EQ(other["reference"], InSource("models/chick"));
  const json original = Measure({InSource("models/chick"), one_, two_});
  const json exact = Measure({quantised_, one_, two_, "--compare", "dequantised"});
  for (const json* compared : {&other, &exact}) {
    const json& comparison = (*compared)["total"]["comparison"];
    EXPECT_GT(comparison["kl_mean"], 0);
    EXPECT_LE(comparison["kl_mean"], comparison["kl_max"]);
    EXPECT_LE(comparison["kl_99"], comparison["kl_max"]);
    EXPECT_GT(comparison["top1"], 0.5);
    EXPECT_NEAR(
        (*compared)["total"]["mean_nll"].get<double>() - comparison["reference_mean_nll"].get<double>(),
        comparison["nll_change"].get<double>(), 1e-12);
    EXPECT_TRUE((*compared)["texts"][1].contains("comparison"));
  }
  EXPECT_EQ(other["total"]["comparison"]["reference_mean_nll"], original["total"]["mean_nll"]);
  EXPECT_NE(other["total"]["comparison"]["kl_mean"], exact["total"]["comparison"]["kl_mean"]);
}

TEST_F(Perplexity, TextForPeopleSaysTheSame) {
  const ProgramResult result = RunLinnet({"perplexity", quantised_, one_, two_, "--compare", "dequantised"});
  EXPECT_EQ(result.code, 0) << result.errors;
  const json same = Measure({quantised_, one_, two_, "--compare", "dequantised"});
  char nll[64];
  std::snprintf(nll, sizeof nll, "mean nll %.5f", same["texts"][0]["mean_nll"].get<double>());
  for (const std::string& words : {one_ + ": ", std::string(nll), std::string("KL mean"),
                                   std::string("all: "), std::string("beside dequantised")}) {
    EXPECT_NE(result.output.find(words), std::string::npos) << words << " in: " << result.output;
  }
}

TEST_F(Perplexity, SaysWhatCannotBeMeasured) {
  WriteFile(one_, "");
  const ProgramResult empty = RunLinnet({"perplexity", quantised_, one_});
  EXPECT_NE(empty.code, 0);
  EXPECT_NE(empty.errors.find("one.txt"), std::string::npos) << empty.errors;
  EXPECT_NE(
      RunLinnet({"perplexity", quantised_, two_, "--compare", "no/such.gguf"}).errors.find("no/such.gguf"),
      std::string::npos);
  const ProgramResult stranger =
      RunLinnet({"perplexity", quantised_, two_, "--compare", InSource("tests/data/golden/model/target")});
  EXPECT_NE(stranger.code, 0);
  EXPECT_EQ(stranger.output, "");
}

}  // namespace
}  // namespace linnet
