// linnet fit, and commands that refuse what does not fit.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

constexpr int64_t kMegabyte = 1'000'000, kGigabyte = 1000 * kMegabyte;

json Fit(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"fit", "--json", "-t", "2"});
  const ProgramResult result = RunLinnet(arguments);
  EXPECT_EQ(result.code, 0) << result.errors;
  return json::parse(result.output, nullptr, false);
}

uint64_t Sum(const json& lines) {
  uint64_t sum = 0;
  for (const json& line : lines) sum += line.value("bytes", uint64_t{0});
  return sum;
}

TEST(Fit, PlansForAnotherMachine) {
  const json fit = Fit({"--synthetic", "12b:q4_0", "--ram", "16G", "--image-tokens", "1120"});
  EXPECT_TRUE(fit.value("fits", false));
  EXPECT_EQ(fit["bytes"].get<uint64_t>(), Sum(fit["lines"]));
  EXPECT_EQ(fit["tightest"]["available"].get<uint64_t>() + 2 * kGigabyte +
                (fit["bytes"].get<uint64_t>() -
                 (fit["tightest"]["available"].get<uint64_t>() - fit["headroom"].get<uint64_t>())),
            uint64_t{16} * kGigabyte)
      << "what the system holds, and what this program holds itself, are gone";
  ASSERT_EQ(fit["pictures"].size(), 5u);
  EXPECT_LT(fit["pictures"][0]["bytes"], fit["pictures"][4]["bytes"]);
  ASSERT_EQ(fit["formats"].size(), 17u);
  EXPECT_TRUE(fit["formats"][0]["format"].is_null());
  const json small = Fit({"--synthetic", "12b:q4_0", "--ram", "8G"});
  EXPECT_FALSE(small.value("fits", true));
  EXPECT_LT(small.value("headroom", int64_t{0}), 0);
  EXPECT_TRUE(Fit({"--synthetic", "12b:q4_0", "--ram", "8Gi", "--system", "100M", "--draft", "0"})["fits"]);
  EXPECT_FALSE(Fit({"--synthetic", "12b:bf16", "--ram", "24G"})["fits"]);
}

TEST(Fit, PlansTheBuiltInModel) {
  const json usual = Fit({}), longer = Fit({"--kv", "f32"});
  EXPECT_TRUE(usual.value("fits", false));
  EXPECT_LT(usual["bytes"], longer["bytes"]);
  const json one = Fit({"--as", "q8_0"});
  ASSERT_EQ(one["formats"].size(), 2u);
  EXPECT_EQ(one["formats"][1]["format"], "q8_0");
  EXPECT_LT(one["formats"][1]["weights"], one["formats"][0]["weights"]);
  const ProgramResult text = RunLinnet({"fit"});
  EXPECT_EQ(text.code, 0);
  for (const char* part : {"limit", "weights", "headroom", "1120 tokens", "as q4_0"}) {
    EXPECT_NE(text.output.find(part), std::string::npos) << part << "\n" << text.output;
  }
}

TEST(Fit, RefusesWhatCannotBeMeant) {
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"fit", "--ram", "many"},
                                                {"fit", "--ram", "16X"},
                                                {"fit", "--ram", "0x40G"},
                                                {"fit", "--ram", "-1G"},
                                                {"fit", "--ram", "1G", "--system", "2G"},
                                                {"fit", "--system", "2G"},
                                                {"fit", "--as", "q9"},
                                                {"fit", "--synthetic", "13b:q4_0"},
                                                {"fit", "x.gguf", "--synthetic", "12b:q4_0"},
                                                {"fit", "--context", "-1"},
                                                {"fit", "--ram", ""}}) {
    EXPECT_EQ(RunLinnet(wrong).code, 2) << wrong[1] << " " << wrong[2];
  }
}

TEST(Fit, WhatIsKeptOfPromptsIsTheFirstThatCanBeLess) {
  const ProgramResult result = RunLinnet({"run", "-p", "5 + 10", "--cache-ram", "900000G"});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.errors.find("give --cache-ram auto (saves 900000.00 GB)"), std::string::npos)
      << result.errors;
  EXPECT_EQ(result.errors.find("--kv"), std::string::npos) << "which would not do: " << result.errors;
}

// Bytes of address space that a command holds when it looks, so that limits can be set by what a plan lacks:
// libraries differ. 0 where it cannot be limited, as under a sanitizer.
int64_t HeldAddresses() {
  const ProgramResult fit = RunLinnetWithin(4 * kGigabyte, {"fit", "--json"});
  if (fit.code != 0) return 0;
  for (const json& limit : json::parse(fit.output, nullptr, false)["limits"]) {
    if (limit["name"] != "ulimit -v") continue;
    constexpr int64_t kStack = 8 * kMegabyte + kMegabyte / 2;  // of the second thread
    return limit["bytes"].get<int64_t>() - limit["available"].get<int64_t>() + kStack;
  }
  return 0;
}

// The address space that a plan of Chick takes beside what is held already.
int64_t Lacking(const std::vector<std::string>& arguments) {
  return Fit(arguments).value("addresses", int64_t{0});
}

// The 12B's weights would take a minute to make up and end the program on their way.
TEST(Fit, RefusesBeforeAnyWeightIsRead) {
  struct Refused {
    int64_t bytes;
    std::vector<std::string> arguments;
  };
  const int64_t held = HeldAddresses();
  if (held == 0) return;
  const std::string sound = InSource("examples/command.wav"), picture = InSource("examples/shapes.png");
  const std::string text = Scratch("text.txt");
  WriteFile(text, "the lamp is on");
  for (const Refused& refused :
       {Refused{4 * kGigabyte, {"bench", "memory", "--synthetic", "12b:q4_0"}},
        {10 * kGigabyte, {"bench", "memory", "--synthetic", "12b:q4_0", "--kv", "f32"}},
        {4 * kGigabyte, {"bench", "--synthetic", "12b:q4_k_m"}},
        {3 * kGigabyte, {"bench", "--synthetic", "12b@6:f32"}},
        {6 * kGigabyte, {"bench", "media", "--synthetic", "12b:q4_0"}},
        {8 * kGigabyte, {"bench", "mtp", "--synthetic", "12b:q8_0"}},
        {held + Lacking({"--kv", "f32"}) / 2, {"run", "-p", "hi", "--kv", "f32", "--context", "4096"}},
        {held + Lacking({"--dequantise"}) / 2, {"run", "-p", "hi", "--image", picture, "--dequantise"}},
        {held + Lacking({"--conversations", "64"}) / 2, {"transcribe", sound, "--together", "64"}},
        {held + Lacking({"--kv", "f32"}) / 2, {"perplexity", "--model", InSource("models/chick"), text}}}) {
    std::vector<std::string> arguments = refused.arguments;
    arguments.insert(arguments.end(), {"-t", "2"});
    const ProgramResult result = RunLinnetWithin(refused.bytes, arguments);
    EXPECT_EQ(result.code, 1) << arguments[0] << " " << arguments[1];
    EXPECT_NE(result.errors.find("needs"), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("ulimit -v"), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("--over-plan"), std::string::npos) << result.errors;
  }
}

TEST(Fit, TakesWhatFitsWhereNobodyAskedForMore) {
  const int64_t held = HeldAddresses();
  if (held == 0) return;
  const std::vector<std::string> hear = {"transcribe", InSource("examples/command.wav"), "-t", "2",
                                         "--no-sandbox"};
  const ProgramResult all = RunLinnet(hear);
  const ProgramResult fewer = RunLinnetWithin(held + Lacking({"--image-tokens", "0"}) + 2 * kMegabyte, hear);
  EXPECT_EQ(fewer.code, 0) << fewer.errors;
  EXPECT_EQ(fewer.output, all.output);
  EXPECT_NE(fewer.errors.find("at once, not 4"), std::string::npos) << fewer.errors;
  EXPECT_EQ(all.errors.find("at once, not 4"), std::string::npos) << all.errors;
  const ProgramResult over = RunLinnet({"run", "-q", "-p", "5 + 10", "--over-plan"});
  EXPECT_EQ(over.code, 0) << over.errors;
  EXPECT_EQ(over.errors.find("over the plan"), std::string::npos) << "it fits";
}

}  // namespace
}  // namespace linnet
