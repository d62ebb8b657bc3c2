#include "runtime/prefix_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>

#include "base/allocation_counter.h"
#include "base/process.h"
#include "runtime/session_testing.h"

namespace linnet {
namespace {

using testing::Load;
using testing::Logits;
using testing::Open;
using testing::RandomIds;
using Place = PrefixStore::Place;

constexpr int64_t kStoreContext = 512;

std::shared_ptr<const PrefixKey> KeyOfIds(std::vector<int32_t> ids) {
  return std::make_shared<const PrefixKey>(PrefixKey{std::move(ids), {}});
}

class PrefixStoreTest : public ::testing::Test {
 protected:
  // A sequence of the engine that has read these tokens.
  std::unique_ptr<Session> Read(const std::vector<int32_t>& ids) {
    std::unique_ptr<Session> session = Open(*engine_, 64, KvType::kBf16, kStoreContext);
    EXPECT_TRUE(session->Feed(ids));
    return session;
  }

  KvCache& CacheOf(const std::unique_ptr<Session>& session) { return session->impl().cache; }
  PrefixDomain Domain() { return {(*engine_->impl().PoolOf(KvType::kBf16)).get(), MaskRule::kA}; }

  // Keeps what one that reads these tokens holds, which then ends.
  PrefixStore::Live Keep(const std::vector<int32_t>& ids, Place place = Place::kEnd) {
    const auto session = Read(ids);
    return store_.Keep(MaskRule::kA, KeyOfIds(ids), static_cast<int64_t>(ids.size()), CacheOf(session),
                       place);
  }

  // How much of these tokens is known.
  int64_t Known(std::vector<int32_t> ids) {
    const int64_t most = static_cast<int64_t>(ids.size());
    return store_.Find(Domain(), {std::move(ids), {}}, most).length;
  }

  static std::vector<int32_t> Joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  const std::unique_ptr<Engine> engine_ = Load(1);
  PrefixStore& store_ = engine_->impl().prefixes;
};

TEST_F(PrefixStoreTest, FindsTheLongestThatAPromptBeginsWith) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  const std::vector<int32_t> system = RandomIds(40, 1), question = RandomIds(50, 2), other = RandomIds(60, 3);
  Keep(system);
  Keep(Joined(system, question));
  Keep(other);
  EXPECT_EQ(store_.entries(), 3);
  EXPECT_EQ(Known(Joined(system, other)), 40);
  EXPECT_EQ(Known(Joined(Joined(system, question), other)), 90);
  EXPECT_EQ(Known(Joined(other, system)), 60) << "a root of its own";
  EXPECT_EQ(Known(RandomIds(30, 9)), 0);
  Keep(system);
  EXPECT_EQ(store_.entries(), 3) << "nothing is kept twice";
  const PrefixDomain rule_b{Domain().pool, MaskRule::kB};
  EXPECT_EQ(store_.Find(rule_b, {system, {}}, 40).length, 0);
  EXPECT_EQ(store_.Find(Domain(), {system, {}}, 39).length, 0) << "of at most so many tokens";
}

// A place that the cache can no longer go back to.
TEST_F(PrefixStoreTest, DropsNothingForWhatCannotBeKept) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  const std::vector<int32_t> kept = RandomIds(80, 1), ids = RandomIds(400, 2);
  Keep(kept);
  store_.SetCap(store_.bytes());
  const auto session = Read(ids);
  ASSERT_GT(CacheOf(session).shortest(), 80);
  EXPECT_EQ(store_.Keep(MaskRule::kA, KeyOfIds(ids), 80, CacheOf(session), Place::kEnd), nullptr);
  EXPECT_EQ(Known(kept), 80);
}

TEST_F(PrefixStoreTest, TellsWherePromptsPart) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  const std::vector<int32_t> document = RandomIds(200, 1);
  Keep(Joined(document, RandomIds(30, 2)));
  const PrefixStore::Match match = store_.Find(Domain(), {Joined(document, RandomIds(30, 3)), {}}, 230);
  EXPECT_EQ(match.length, 0);
  EXPECT_EQ(match.branch, 200);
  Keep(document);
  EXPECT_EQ(store_.Find(Domain(), {Joined(document, RandomIds(30, 3)), {}}, 230).branch, 0);
}

// First what one other goes on from, then leaves, then what several go on from, then what is live; among
// equals what was used least recently, then what costs the fewest tokens.
TEST_F(PrefixStoreTest, DropsInTheOrderThatItSays) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  const std::vector<int32_t> root = RandomIds(100, 1);
  const auto turn = [&](uint32_t seed) { return Joined(root, RandomIds(50, seed)); };
  const std::vector<int32_t> first = turn(2), second = turn(3), live = turn(4),
                             later = Joined(first, RandomIds(9, 5)), last = Joined(later, RandomIds(30, 6));
  Keep(root);
  Keep(first);
  Keep(second);
  const PrefixStore::Live held = Keep(live);
  Keep(later);
  Keep(last);
  Known(second);  // is used, after `last`
  const std::vector<std::vector<int32_t>> order = {later, first, last, second, root, live};
  uint64_t bytes = store_.bytes();
  for (size_t n = 0; n < order.size(); ++n) {
    ASSERT_EQ(store_.entries(), static_cast<int64_t>(order.size() - n));
    store_.SetCap(store_.bytes() - 1);
    store_.Trim();
    ASSERT_EQ(store_.entries(), static_cast<int64_t>(order.size() - n - 1));
    EXPECT_LT(Known(order[n]), static_cast<int64_t>(order[n].size())) << n;
    EXPECT_LT(store_.bytes(), bytes);
    bytes = store_.bytes();
  }
  EXPECT_EQ(store_.bytes(), 0u);
}

TEST_F(PrefixStoreTest, SaysWhatWasDroppedAndIsMissed) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  const std::vector<int32_t> ids = RandomIds(90, 1);
  Keep(std::vector<int32_t>(ids.begin(), ids.begin() + 30));
  Keep(ids);
  store_.SetCap(store_.bytes() - 1);
  store_.Trim();
  store_.SetCap(1'000'000'000);
  EXPECT_EQ(store_.Find(Domain(), {ids, {}}, 90).length, 90);
  EXPECT_EQ(store_.Find(Domain(), {ids, {}}, 90).dropped, 0) << "what is known beyond it counts";
  EXPECT_EQ(store_.Find(Domain(), {ids, {}}, 60).dropped, 30);
}

// What lies on the way displaces no leaf; the end of a turn does.
TEST_F(PrefixStoreTest, TakesWhatLiesOnTheWayWhereThereIsRoom) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  Keep(RandomIds(80, 1));
  store_.SetCap(store_.bytes() + 100);
  EXPECT_EQ(Keep(RandomIds(80, 2), Place::kOnTheWay), nullptr);
  EXPECT_EQ(Known(RandomIds(80, 1)), 80);
  EXPECT_NE(Keep(RandomIds(80, 2), Place::kEnd), nullptr);
  EXPECT_EQ(Known(RandomIds(80, 1)), 0);
  EXPECT_EQ(Known(RandomIds(80, 2)), 80);
  store_.SetCap(0);
  EXPECT_EQ(Keep(RandomIds(80, 3)), nullptr);
}

// Pages count once, and not while a sequence holds them too.
TEST_F(PrefixStoreTest, CountsPagesThatOnlyItHoldsOnce) {
  (void)Open(*engine_, 8);
  store_.SetCap(1'000'000'000);
  const std::vector<int32_t> ids = RandomIds(2 * kPagePositions, 1);
  const auto page = static_cast<uint64_t>(Domain().pool->page_bytes());
  std::unique_ptr<Session> session = Read(ids);
  const auto key = KeyOfIds(ids);
  store_.Keep(MaskRule::kA, key, 2 * kPagePositions, CacheOf(session), Place::kEnd);
  const uint64_t one = store_.bytes();
  store_.Keep(MaskRule::kA, key, 2 * kPagePositions - 10, CacheOf(session), Place::kEnd);
  const uint64_t both = store_.bytes();
  EXPECT_LT(one, static_cast<uint64_t>(CacheOf(session).RingBytes(2 * kPagePositions)) + 4096);
  session.reset();
  EXPECT_EQ(store_.bytes(), both + 2 * page);
}

// A sequence has all the pages that it has reserved, also where the store holds what it had before.
TEST_F(PrefixStoreTest, GivesPagesBackToSequencesWithoutAllocating) {
  const std::unique_ptr<Session> session = Open(*engine_, 64, KvType::kBf16, 2 * kPagePositions);
  store_.SetCap(static_cast<uint64_t>(2 * Domain().pool->page_bytes() - 1));  // of pages, one
  const int32_t id = 11;
  for (uint32_t round = 0; round < 3; ++round) {
    const std::vector<int32_t> ids = RandomIds(kPagePositions + 100, round);
    ASSERT_TRUE(session->Truncate(0));
    ASSERT_TRUE(session->Feed(ids));
    ASSERT_NE(store_.Keep(MaskRule::kA, KeyOfIds(ids), session->length(), CacheOf(session), Place::kEnd),
              nullptr);
    ASSERT_TRUE(session->Truncate(0));
    ASSERT_TRUE(session->Feed({&id, 1}));
    EXPECT_EQ(store_.entries(), 1);
    const int64_t before = AllocationCount();
    while (session->length() < session->context()) ASSERT_TRUE(session->Feed({&id, 1}));
    EXPECT_EQ(AllocationCount(), before);
    EXPECT_EQ(store_.entries(), 0) << "its pages were needed";
  }
}

// Sequences that read, go back, are kept, end, and begin from what is kept: the cap holds after each, and
// what is found is what reading gives.
TEST_F(PrefixStoreTest, HoldsItsCapAndTheRightBitsUnderRandomUse) {
  (void)Open(*engine_, 8);
  const uint64_t cap = 1'500'000;
  store_.SetCap(cap);
  std::mt19937 rng(7);
  struct Live {
    std::unique_ptr<Session> session;
    std::vector<int32_t> ids;
    PrefixStore::Live end;
  };
  std::array<Live, 4> live;
  int restored = 0, full = 0;
  int64_t most = 0;
  // Few different pieces, so that sequences have beginnings in common.
  const auto piece = [&] { return RandomIds(30, static_cast<uint32_t>(rng() % 2)); };
  for (int operation = 0; operation < 1000; ++operation) {
    Live& one = live[rng() % live.size()];
    const int64_t length = static_cast<int64_t>(one.ids.size());
    if (one.session == nullptr || length + 80 > kStoreContext || rng() % 9 == 0) {
      one = {Open(*engine_, 64, KvType::kBf16, kStoreContext), {}, nullptr};
      for (int n = 0; n < 4; ++n) one.ids = Joined(one.ids, piece());
      const auto match = store_.Find(Domain(), {one.ids, {}}, static_cast<int64_t>(one.ids.size()) - 1);
      if (match.length > 0) {
        ASSERT_TRUE(CacheOf(one.session).Restore(match.snapshot->prefix, match.snapshot->rings));
        ++restored;
      }
      ASSERT_TRUE(one.session->Feed(std::span(one.ids).subspan(static_cast<size_t>(match.length))));
      if (match.length > 0 && restored % 2 == 0) {
        EXPECT_EQ(Logits(*one.session), Logits(*Read(one.ids)));
      }
    } else if (rng() % 3 == 0) {
      const std::vector<int32_t> more = piece();
      ASSERT_TRUE(one.session->Feed(more));
      one.ids = Joined(one.ids, more);
    } else {
      const int64_t at = std::max<int64_t>(length - static_cast<int64_t>(rng() % 90), 1);
      const bool end = rng() % 2 == 0;
      auto kept = store_.Keep(MaskRule::kA, KeyOfIds(one.ids), at, CacheOf(one.session),
                              end ? Place::kEnd : Place::kOnTheWay);
      if (end) one.end = std::move(kept);
    }
    store_.Trim();
    ASSERT_LE(store_.bytes(), cap) << operation;
    full += store_.bytes() > cap - 200'000;
    most = std::max(most, store_.entries());
  }
  EXPECT_GT(restored, 25);
  EXPECT_GT(full, 300);
  EXPECT_GT(most, 5);
  live = {};
  store_.SetCap(0);
  store_.Trim();
  EXPECT_EQ(store_.entries(), 0);
  const auto pool = *engine_->impl().PoolOf(KvType::kBf16);
  EXPECT_EQ(pool->free_pages(), pool->pages());
}

}  // namespace
}  // namespace linnet
