#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "base/allocation_counter.h"
#include "base/rng.h"

namespace linnet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

SamplingPlan Plan(float temperature, int32_t top_k = 0, float top_p = 1.0f, float min_p = 0.0f) {
  SamplingPlan plan;
  plan.temperature = temperature;
  plan.top_k = top_k;
  plan.top_p = top_p;
  plan.min_p = min_p;
  return plan;
}

std::vector<float> RandomLogits(size_t n, uint64_t seed) {
  std::vector<float> logits(n);
  for (size_t i = 0; i < n; ++i) logits[i] = static_cast<float>(RandomUniform(seed, i) * 60.0 - 30.0);
  return logits;
}

std::vector<int32_t> Ids(std::span<const Candidate> candidates) {
  std::vector<int32_t> ids;
  for (const Candidate& c : candidates) ids.push_back(c.id);
  return ids;
}

double Sum(std::span<const Candidate> candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.probability;
  return sum;
}

TEST(Sampler, GreedyTakesTheLowestOfEqualIdsAndNeverANan) {
  Sampler sampler(Plan(0.0f), 5);
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 3, kNan, 3, 2}), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{kNan, -kInf, -5, kNan, -6}), 2);
  EXPECT_EQ(sampler.Sample(std::vector<float>{kNan, -kInf, kNan, -kInf, kNan}), -1);
}

TEST(Sampler, SoftmaxWithTemperatureAgreesWithTheFormula) {
  const std::vector<float> logits = {1.0f, 2.0f, 0.5f, -kInf, kNan};
  Sampler sampler(Plan(0.7f), 5);
  const auto d = sampler.Distribution(logits);
  ASSERT_EQ(Ids(d), (std::vector<int32_t>{0, 1, 2}));
  const double total = std::exp(1.0 / 0.7) + std::exp(2.0 / 0.7) + std::exp(0.5 / 0.7);
  for (const Candidate& c : d) {
    EXPECT_NEAR(c.probability, std::exp(logits[static_cast<size_t>(c.id)] / 0.7) / total, 1e-6);
  }
}

TEST(Sampler, TinyAndHugeValuesStayNumbers) {
  for (float temperature : {1e-45f, 1e-20f, 1000.0f}) {
    Sampler sampler(Plan(temperature), 3);
    const auto d = sampler.Distribution(std::vector<float>{-30.0f, 30.0f, 29.0f});
    EXPECT_NEAR(Sum(d), 1.0, 1e-6);
    EXPECT_GE(sampler.Sample(std::vector<float>{kInf, -3e38f, 3e38f}), 0);
  }
}

TEST(Sampler, TopKKeepsExactlyKAndTheLowestIdsAtTheEdge) {
  Sampler sampler(Plan(1.0f, 3), 6);
  EXPECT_EQ(Ids(sampler.Distribution(std::vector<float>{1, 5, 1, 7, 1, 1})), (std::vector<int32_t>{3, 1, 0}));
  EXPECT_EQ(Ids(sampler.Distribution(std::vector<float>{kNan, 5, -kInf, kNan, 1, -kInf})),
            (std::vector<int32_t>{1, 4}));
}

TEST(Sampler, TopKEqualsASortOfEverything) {
  const std::vector<float> logits = RandomLogits(5000, 7);
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  for (int32_t k : {1, 2, 64, 4999, 5000, 9000}) {
    Sampler sampler(Plan(1.0f, k), 5000);
    std::vector<int32_t> ids = Ids(sampler.Distribution(logits));
    const size_t expected = std::min<size_t>(static_cast<size_t>(k), 5000);
    ASSERT_EQ(ids.size(), expected);
    if (k < 5000) {
      EXPECT_TRUE(std::equal(ids.begin(), ids.end(), order.begin()));
    }
  }
}

// Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625 exactly.
const std::vector<float> kHalves = {std::log(0.0625f), std::log(0.25f), std::log(0.5f), std::log(0.125f),
                                    std::log(0.0625f)};

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesP) {
  const struct {
    float p;
    std::vector<int32_t> ids;
  } cases[] = {{0.0f, {2}}, {0.49f, {2}}, {0.6f, {2, 1}}, {0.81f, {2, 1, 3}}, {0.935f, {2, 1, 3, 0}}};
  for (const auto& c : cases) {
    for (int32_t top_k : {0, 4}) {  // heap and sorted path
      Sampler sampler(Plan(1.0f, top_k, c.p), 5);
      const auto d = sampler.Distribution(kHalves);
      EXPECT_EQ(Ids(d), c.ids) << "p " << c.p << " top_k " << top_k;
      EXPECT_NEAR(Sum(d), 1.0, 1e-6);
    }
  }
}

TEST(Sampler, TopPCountsAfterTopK) {
  // Of the two best, 2/3 and 1/3: 0.66 is reached by the first alone, though it has only 0.5 of the whole.
  Sampler sampler(Plan(1.0f, 2, 0.66f), 5);
  EXPECT_EQ(Ids(sampler.Distribution(kHalves)), (std::vector<int32_t>{2}));
}

TEST(Sampler, MinPDropsWhatIsFarBelowTheBest) {
  Sampler sampler(Plan(1.0f, 0, 1.0f, 0.3f), 5);
  const auto d = sampler.Distribution(kHalves);
  EXPECT_EQ(Ids(d), (std::vector<int32_t>{1, 2}));
  EXPECT_NEAR(d[0].probability, 1.0 / 3.0, 1e-6);
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeOnce) {
  SamplingPlan plan = Plan(0.0f);
  plan.repetition_penalty = 2.0f;
  Sampler sampler(plan, 3);
  EXPECT_EQ(sampler.Sample(std::vector<float>{3.0f, 2.0f, 1.0f}), 0);
  sampler.Accept(std::vector<int32_t>{0, 0, 0, -1, 99});
  EXPECT_EQ(sampler.Sample(std::vector<float>{3.0f, 1.6f, 1.0f}), 1);  // 1.5 against 1.6
  EXPECT_EQ(sampler.Sample(std::vector<float>{3.0f, 1.4f, 1.0f}), 0);  // 1.5 against 1.4: penalised once
  EXPECT_EQ(sampler.Sample(std::vector<float>{-1.0f, -1.9f, -3.0f}), 1);
  sampler.Reset();
  EXPECT_EQ(sampler.Sample(std::vector<float>{3.0f, 1.6f, 1.0f}), 0);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  SamplingPlan plan = Plan(1.0f);
  plan.seed = 11;
  Sampler sampler(plan, 5);
  std::map<int32_t, int> counts;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.Sample(kHalves)];
  double chi2 = 0;
  for (size_t id = 0; id < kHalves.size(); ++id) {
    const double expected = std::exp(kHalves[id]) * kDraws;
    chi2 += std::pow(counts[static_cast<int32_t>(id)] - expected, 2) / expected;
  }
  EXPECT_LT(chi2, 18.5);  // 4 degrees of freedom, p = 0.001
}

TEST(Sampler, SameSeedSameChoicesOtherSeedOthers) {
  const std::vector<float> logits(64, 0.0f);
  const auto draw = [&](uint64_t seed) {
    SamplingPlan plan = Plan(1.0f);
    plan.seed = seed;
    Sampler sampler(plan, 64);
    std::vector<int32_t> ids;
    for (int i = 0; i < 32; ++i) ids.push_back(sampler.Sample(logits));
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(Sampler, ChecksItsOptionsAndTakesTheModelsDefaults) {
  GenerationDefaults defaults;
  SamplingOptions options;
  auto plan = ResolveSampling(options, defaults);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->temperature, 1.0f);
  EXPECT_EQ(plan->top_k, 64);
  EXPECT_EQ(plan->top_p, 0.95f);
  defaults.do_sample = false;
  EXPECT_EQ(ResolveSampling(options, defaults)->temperature, 0.0f);
  options.temperature = 0.5f;
  EXPECT_EQ(ResolveSampling(options, defaults)->temperature, 0.5f);
  for (auto spoil :
       {+[](SamplingOptions& o) { o.temperature = -1.0f; }, +[](SamplingOptions& o) { o.temperature = kNan; },
        +[](SamplingOptions& o) { o.top_k = -1; }, +[](SamplingOptions& o) { o.top_p = 1.5f; },
        +[](SamplingOptions& o) { o.min_p = kNan; },
        +[](SamplingOptions& o) { o.repetition_penalty = 0.0f; }}) {
    SamplingOptions bad;
    spoil(bad);
    auto result = ResolveSampling(bad, defaults);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Sampler, AStepAllocatesNothingAndIsQuick) {
  constexpr size_t kVocab = 262144;
  const std::vector<float> logits = RandomLogits(kVocab, 3);
  const std::pair<SamplingPlan, double> cases[] = {{Plan(0.0f), 1.0},
                                                   {Plan(1.0f, 64, 0.95f), 1.0},
                                                   {Plan(0.8f, 0, 0.9f, 0.01f), 30.0},
                                                   {Plan(1.0f), 30.0}};
  for (auto [plan, milliseconds] : cases) {
    plan.repetition_penalty = 1.1f;
    Sampler sampler(plan, kVocab);
    double best = 1e9;
    const int64_t before = AllocationCount();
    for (int step = 0; step < 10; ++step) {
      const auto start = std::chrono::steady_clock::now();
      sampler.Accept(sampler.Sample(logits));
      const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
      best = std::min(best, time.count());
    }
    EXPECT_EQ(AllocationCount(), before);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(best, milliseconds) << "top_k " << plan.top_k << " temperature " << plan.temperature;
#endif
    std::printf("temperature %.1f top_k %d top_p %.2f: %.3f ms\n", plan.temperature, plan.top_k, plan.top_p,
                best);
  }
}

}  // namespace
}  // namespace linnet
