// linnet bench on Chick, whose context is shorter than the depth that is measured by default.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

TEST(Bench, MeasuresAModelWhateverItsContext) {
  const std::vector<std::string> quick = {"bench",    "--prompt", "16", "--decode", "2",
                                          "--repeat", "1",        "-t", "1"};
  std::vector<std::string> as_json = quick;
  as_json.push_back("--json");
  const ProgramResult deep = RunLinnet(as_json);
  ASSERT_EQ(deep.code, 0) << deep.errors;
  const json result = json::parse(deep.output, nullptr, false);
  for (const char* key : {"prefill_tok_s", "decode_tok_s", "int8_peak_tmacs", "bandwidth_gbs",
                          "decode_32k_ratio", "planned_gb"}) {
    EXPECT_GT(result.value(key, 0.0), 0) << key;
  }
  std::vector<std::string> empty = quick;
  empty.insert(empty.end(), {"--depth", "0"});
  const ProgramResult text = RunLinnet(empty);
  ASSERT_EQ(text.code, 0) << text.errors;
  EXPECT_EQ(text.output.find("at depth"), std::string::npos);
  EXPECT_NE(RunLinnet(quick).output.find("at depth"), std::string::npos);
}

uint64_t Planned(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"info", "--json"});
  const ProgramResult info = RunLinnet(arguments);
  EXPECT_EQ(info.code, 0) << info.errors;
  const json memory = json::parse(info.output, nullptr, false).value("memory", json());
  uint64_t sum = 0;
  for (const json& line : memory.value("lines", json::array())) sum += line.value("bytes", uint64_t{0});
  EXPECT_EQ(sum, memory.value("bytes", uint64_t{0}));
  return sum;
}

TEST(Info, PlansTheMemoryOfWhatIsAskedFor) {
  const uint64_t usual = Planned({"-t", "2"});
  EXPECT_GT(usual, uint64_t{20'000'000});
  EXPECT_LT(Planned({"-t", "2", "--context", "512"}), usual);
  EXPECT_LT(Planned({"-t", "2", "--kv", "int8"}), usual);
  EXPECT_GT(Planned({"-t", "2", "--kv", "f32"}), usual);
  EXPECT_LT(Planned({"-t", "1"}), usual);
  EXPECT_GT(Planned({"-t", "2", "--conversations", "4"}), usual);
  EXPECT_GT(Planned({"-t", "2", "--image-tokens", "1120"}), usual);
  EXPECT_GT(Planned({"-t", "2", "--dequantise"}), usual);
  EXPECT_EQ(RunLinnet({"info", "--context", "1000000"}).code, 2);
  EXPECT_EQ(RunLinnet({"info", "--conversations", "0"}).code, 2);
}

}  // namespace
}  // namespace linnet
