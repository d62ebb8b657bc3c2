// Engines of one process share their threads, and nothing of it shows in their results.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "runtime/session_testing.h"

namespace linnet {
namespace {

using testing::Load, testing::Logits, testing::Open, testing::RandomIds;

// The logits of a prompt in pieces and of some tokens after it, all in one.
std::vector<float> Work(Engine& engine, uint32_t seed) {
  const auto session = Open(engine, 40);
  std::vector<float> all;
  const auto feed = [&](std::span<const int32_t> ids) {
    const Status fed = session->Feed(ids);
    EXPECT_TRUE(fed) << (fed ? "" : fed.error().Message());
    const std::vector<float> logits = Logits(*session);
    all.insert(all.end(), logits.begin(), logits.end());
  };
  feed(RandomIds(130, seed));
  for (const int32_t id : RandomIds(12, seed + 1)) feed({&id, 1});
  return all;
}

TEST(SessionsOfTwoEngines, WorkAtOnceAsTheyDoAlone) {
  const auto alone = Load(1);
  const std::vector<float> expected[] = {Work(*alone, 1), Work(*alone, 7)};
  const std::unique_ptr<Engine> engines[] = {Load(3), Load(3)};
  EXPECT_EQ(&engines[0]->impl().pool, &engines[1]->impl().pool);
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int e = 0; e < 2; ++e) {
    threads.emplace_back([&, e] {
      for (int i = 0; i < 3; ++i) equal += Work(*engines[e], e == 0 ? 1 : 7) == expected[e];
    });
  }
  // One more comes and goes meanwhile.
  EXPECT_EQ(Work(*Load(3), 1), expected[0]);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 6);
}

}  // namespace
}  // namespace linnet
