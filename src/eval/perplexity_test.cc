#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "eval/scoring.h"
#include "model/config.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

TEST(ScoringWindows, EveryTokenCountsOnceWithHalfAWindowBeforeIt) {
  for (const int64_t room : {1, 2, 3, 8, 31}) {
    for (const int64_t ids : {0, 1, 7, 8, 9, 31, 100}) {
      int64_t next = 0;
      for (const ScoringWindow& window : ScoringWindows(ids, room)) {
        EXPECT_EQ(window.scored, next);
        EXPECT_LT(window.scored, window.last);
        EXPECT_LE(window.last - window.first, room);
        if (window.scored > 0 && room > 1) {
          EXPECT_GE(window.scored - window.first, room / 2);
        }
        next = window.last;
      }
      EXPECT_EQ(next, ids) << room;
    }
  }
}

std::unique_ptr<Engine> Load(const std::string& model, bool dequantise = false) {
  LoadOptions options;
  options.model = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/" + model;
  options.threads = 1;
  options.dequantise = dequantise;
  auto engine = LoadEngine(options, false);
  EXPECT_TRUE(engine) << (engine ? "" : engine.error().Message());
  return std::move(*engine);
}

TokenText Text(int32_t tokens, int32_t seed) {
  TokenText text{"text" + std::to_string(seed), {}};
  for (int32_t i = 0; i < tokens; ++i) text.ids.push_back(3 + (i * 37 + seed * 11) % 160);
  return text;
}

// The definition, one token at a time.
double DirectNll(Engine& engine, const TokenText& text, int64_t count) {
  auto session = ScoringSession::Open(engine, 200);
  int32_t previous = engine.impl().config.tokens.bos;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto row = session->Feed(std::span<const int32_t>(&previous, 1));
    previous = text.ids[static_cast<size_t>(i)];
    const std::span<const float> logits{row->row(0), static_cast<size_t>(row->width)};
    sum += LogSumExp(logits) - logits[static_cast<size_t>(previous)];
  }
  return sum;
}

TEST(Perplexity, IsTheMeanOfTheTokens) {
  const auto engine = Load("target");
  const std::vector<TokenText> texts = {Text(70, 1), Text(33, 2)};
  const auto result = MeasurePerplexity(*engine, nullptr, texts, {});
  ASSERT_TRUE(result) << result.error().Message();
  const double first = DirectNll(*engine, texts[0], 70), second = DirectNll(*engine, texts[1], 33);
  EXPECT_EQ(result->texts[0].tokens, 70);
  EXPECT_NEAR(result->texts[0].mean_nll, first / 70, 1e-9);
  EXPECT_NEAR(result->texts[1].mean_nll, second / 33, 1e-9);
  EXPECT_EQ(result->total.tokens, 103);
  EXPECT_NEAR(result->total.mean_nll, (first + second) / 103, 1e-9);
  EXPECT_NEAR(result->total.Perplexity(), std::exp((first + second) / 103), 1e-6);
}

TEST(Perplexity, LongTextsAreCutIntoWindows) {
  const auto engine = Load("target");
  const std::vector<TokenText> texts = {Text(100, 3)};
  const auto result = MeasurePerplexity(*engine, nullptr, texts, {41});
  ASSERT_TRUE(result) << result.error().Message();
  // The second window: tokens 20 to 60 are seen, 40 to 60 count.
  double sum = DirectNll(*engine, texts[0], 40);
  for (const auto& [first, scored, last] : {std::tuple{20, 40, 60}, {40, 60, 80}, {60, 80, 100}}) {
    TokenText part{"", {texts[0].ids.begin() + first, texts[0].ids.end()}};
    sum += DirectNll(*engine, part, last - first) - DirectNll(*engine, part, scored - first);
  }
  EXPECT_EQ(result->total.tokens, 100);
  EXPECT_NEAR(result->total.mean_nll, sum / 100, 1e-9);
}

TEST(Perplexity, ComparesWithAReference) {
  const auto engine = Load("target");
  const std::vector<TokenText> texts = {Text(60, 4)};
  const auto same = MeasurePerplexity(*engine, engine.get(), texts, {});
  ASSERT_TRUE(same && same->total.comparison) << (same ? "" : same.error().Message());
  EXPECT_FALSE(MeasurePerplexity(*engine, nullptr, texts, {})->total.comparison);
  EXPECT_EQ(same->total.comparison->kl_max, 0);
  EXPECT_EQ(same->total.comparison->top1, 1);
  EXPECT_EQ(same->total.comparison->reference_nll, same->total.mean_nll);

  const auto other = Load("target", true);
  for (float& w : other->impl().weights.norm) w *= 1.5f;  // sharper distributions
  const std::vector<TokenText> two = {texts[0], Text(20, 5)};
  const auto different = MeasurePerplexity(*engine, other.get(), two, {});
  ASSERT_TRUE(different && different->total.comparison);
  EXPECT_GT(different->total.comparison->kl_mean, 1e-4);
  EXPECT_LE(different->total.comparison->kl_mean, different->total.comparison->kl_99);
  EXPECT_LE(different->total.comparison->kl_99, different->total.comparison->kl_max);
  EXPECT_NE(different->total.comparison->reference_nll, different->total.mean_nll);
  // The parts make the whole, weighted by their tokens.
  const ModelComparison& first = *different->texts[0].comparison;
  const ModelComparison& second = *different->texts[1].comparison;
  EXPECT_NEAR(different->total.comparison->kl_mean, (60 * first.kl_mean + 20 * second.kl_mean) / 80, 1e-12);
  EXPECT_NEAR(different->total.comparison->top1, (60 * first.top1 + 20 * second.top1) / 80, 1e-12);
  EXPECT_NEAR(different->total.comparison->reference_nll,
              (60 * first.reference_nll + 20 * second.reference_nll) / 80, 1e-12);
  EXPECT_EQ(different->total.comparison->kl_max, std::max(first.kl_max, second.kl_max));
  EXPECT_EQ(different->texts[0].comparison->kl_mean,
            MeasurePerplexity(*engine, other.get(), texts, {})->total.comparison->kl_mean);
}

TEST(Perplexity, RefusesWhatItCannotMeasure) {
  const auto engine = Load("target");
  const std::vector<TokenText> empty = {{"empty.txt", {}}};
  const auto nothing = MeasurePerplexity(*engine, nullptr, empty, {});
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().what.find("empty.txt"), std::string::npos);
  const std::vector<TokenText> texts = {Text(10, 5)};
  EXPECT_FALSE(MeasurePerplexity(*engine, nullptr, texts, {1}));
  EXPECT_FALSE(MeasurePerplexity(*engine, nullptr, texts, {int64_t{1} << 40}));
  const auto other = Load("target", true);
  other->impl().config.vocab_size -= 1;
  EXPECT_EQ(MeasurePerplexity(*engine, other.get(), texts, {}).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace linnet
