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
  for (const char* key :
       {"prefill_tok_s", "decode_tok_s", "int8_peak_tmacs", "bandwidth_gbs", "decode_32k_ratio"}) {
    EXPECT_GT(result.value(key, 0.0), 0) << key;
  }
  std::vector<std::string> empty = quick;
  empty.insert(empty.end(), {"--depth", "0"});
  const ProgramResult text = RunLinnet(empty);
  ASSERT_EQ(text.code, 0) << text.errors;
  EXPECT_EQ(text.output.find("at depth"), std::string::npos);
  EXPECT_NE(RunLinnet(quick).output.find("at depth"), std::string::npos);
}

}  // namespace
}  // namespace linnet
