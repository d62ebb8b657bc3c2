// The depth control against a simulated machine: it must find the gain where there is one and lose nothing
// elsewhere.
#include "runtime/draft_depth.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace linnet {
namespace {

struct Machine {
  double row = 0.1;     // of a plain step, for every further row of a call
  double draft = 0.04;  // of a plain step, for a draft
  double noise = 0.05;  // relative deviation of a measured time
};

// Speed over plain decoding (1 a token) after `tokens` tokens whose drafts are accepted with acceptance(token
// index).
double Simulate(const Machine& machine, int64_t tokens, const std::function<double(int64_t)>& acceptance,
                uint32_t seed = 1) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> normal(0, machine.noise);
  DraftDepth depth;
  double time = 0;
  int64_t done = 0;
  while (done < tokens) {
    const int64_t drafts = depth.Choose(DraftSource::kDrafter, kMaxDrafts).drafts;
    const double noise = 1 + std::abs(normal(rng));
    const double pass = (1 + machine.row * static_cast<double>(drafts)) * noise;
    const double drafting = machine.draft * static_cast<double>(drafts) * noise;
    int64_t accepted = 0;
    while (accepted < drafts && uniform(rng) < acceptance(done + accepted)) ++accepted;
    depth.RecordPass(drafts + 1, pass);
    if (drafts > 0) {
      depth.RecordDraftCost(DraftSource::kDrafter, drafting / static_cast<double>(drafts));
      depth.RecordDrafts(DraftSource::kDrafter, drafts, accepted, true);
    }
    depth.Settle(accepted + 1, pass + drafting);
    done += accepted + 1;
    time += pass + drafting;
  }
  // Plain decoding would have seen the same noise.
  return static_cast<double>(done) * (1 + machine.noise * 0.798) / time;
}

TEST(DraftDepth, IsNeverMuchSlowerThanPlainDecoding) {
  for (const double acceptance : {0.0, 0.05, 0.2, 0.4, 0.6}) {
    for (const Machine& machine :
         {Machine{0.1, 0.04}, Machine{0.4, 0.04}, Machine{1.0, 0.04}, Machine{0.1, 0.5}}) {
      for (const uint32_t seed : {1u, 2u, 3u, 4u}) {
        const double speed = Simulate(machine, 400, [&](int64_t) { return acceptance; }, seed);
        EXPECT_GE(speed, 0.97) << "acceptance " << acceptance << ", row " << machine.row << ", draft "
                               << machine.draft;
      }
    }
  }
}

TEST(DraftDepth, IsNotMuchSlowerWhenGoodTextTurnsBad) {
  for (const int64_t turn : {50, 200, 300}) {
    const double speed = Simulate({0.3, 0.04}, 600, [&](int64_t t) { return t < turn ? 0.9 : 0.0; });
    EXPECT_GE(speed, 0.97) << turn;
  }
}

// The best fixed number of drafts, in closed form.
double BestFixed(const Machine& machine, double acceptance) {
  double best = 1, tokens = 1, reached = 1;
  for (int k = 1; k <= kMaxDrafts; ++k) {
    tokens += reached *= acceptance;
    best = std::max(best, tokens / (1 + k * (machine.row + machine.draft)));
  }
  return best;
}

TEST(DraftDepth, FindsMostOfTheGain) {
  for (const double acceptance : {0.6, 0.75, 0.9, 0.98}) {
    for (const Machine& machine : {Machine{0.05, 0.04}, Machine{0.1, 0.04}, Machine{0.2, 0.04}}) {
      const double speed = Simulate(machine, 1000, [&](int64_t) { return acceptance; });
      EXPECT_GE(speed, 0.9 * BestFixed(machine, acceptance)) << acceptance << " " << machine.row;
    }
  }
}

TEST(DraftDepth, ComesBackWhenTextTurnsGood) {
  const double speed = Simulate({0.1, 0.04}, 3000, [](int64_t t) { return t < 1000 ? 0.0 : 0.9; });
  EXPECT_GE(speed, 1.5);  // 1.77 with the best depth of each part
}

TEST(DraftDepth, DraftsNothingBeforeAPlainStepWasMeasured) {
  DraftDepth depth;
  EXPECT_EQ(depth.Choose(DraftSource::kLongMatch, 15).drafts, 0);
  depth.RecordPass(1, 0.5);
  EXPECT_GT(depth.Choose(DraftSource::kLongMatch, 15).drafts, 0);
  EXPECT_LE(depth.Choose(DraftSource::kLongMatch, 2).drafts, 2);
  EXPECT_EQ(depth.Choose(DraftSource::kLongMatch, 0).drafts, 0);
}

}  // namespace
}  // namespace linnet
