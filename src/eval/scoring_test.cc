#include "eval/scoring.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "runtime/engine_impl.h"

namespace linnet {
namespace {

TEST(Scoring, LogSumExpHoldsForLargeLogits) {
  EXPECT_NEAR(LogSumExp(std::vector<float>{0, 0, 0, 0}), std::log(4.0), 1e-12);
  EXPECT_NEAR(LogSumExp(std::vector<float>{1000, 1000}), 1000 + std::log(2.0), 1e-9);
  EXPECT_NEAR(LogSumExp(std::vector<float>{-1000, -INFINITY}), -1000, 1e-9);
}

TEST(Scoring, KlDivergenceOfKnownDistributions) {
  const std::vector<float> p = {std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  const std::vector<float> q = {std::log(0.25f) + 3, std::log(0.25f) + 3, std::log(0.5f) + 3};  // any offset
  EXPECT_NEAR(KlDivergence(p, q), 0.5 * std::log(2.0) - 0.25 * std::log(2.0), 1e-6);
  EXPECT_EQ(KlDivergence(p, p), 0);
  // What both exclude does not count.
  EXPECT_NEAR(KlDivergence(std::vector<float>{0, -INFINITY}, std::vector<float>{1, -INFINITY}), 0, 1e-12);
}

TEST(Scoring, EveryRowHasTheLogitsOfASingleStep) {
  LoadOptions options;
  options.model = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/target";
  options.threads = 1;
  auto engine = LoadEngine(options, false);
  ASSERT_TRUE(engine) << engine.error().Message();
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < ScoringSession::kRows + 5; ++i) ids.push_back(3 + 7 * i % 160);
  auto rows = ScoringSession::Open(**engine, 100), steps = ScoringSession::Open(**engine, 100);
  ASSERT_TRUE(rows && steps);
  for (size_t begin = 0; begin < ids.size(); begin += ScoringSession::kRows) {
    const auto part =
        std::span(ids).subspan(begin, std::min<size_t>(ScoringSession::kRows, ids.size() - begin));
    const auto together = rows->Feed(part);
    ASSERT_TRUE(together);
    ASSERT_EQ(together->rows, static_cast<int64_t>(part.size()));
    for (int64_t r = 0; r < together->rows; ++r) {
      const auto single = steps->Feed(part.subspan(static_cast<size_t>(r), 1));
      ASSERT_TRUE(single);
      ASSERT_TRUE(std::equal(together->row(r), together->row(r) + together->width, single->row(0))) << r;
      // Nothing is suppressed.
      for (int64_t v = 0; v < single->width; ++v) ASSERT_TRUE(std::isfinite(single->row(0)[v]));
    }
  }
}

}  // namespace
}  // namespace linnet
