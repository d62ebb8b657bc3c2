// Sequences that share pages of their full layers and go on from snapshots of their rings hold what fresh
// ones hold that read the same tokens.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "base/allocation_counter.h"
#include "runtime/session_testing.h"

namespace linnet {
namespace {

using testing::AddIds;
using testing::AddPicture;
using testing::Beginning;
using testing::kTarget;
using testing::Load;
using testing::Logits;
using testing::Open;
using testing::RandomIds;

constexpr int64_t kContext = 512;

// What a prefix store or a file of a session keeps of a sequence at one position.
struct Kept {
  KvPrefix prefix;
  std::vector<uint8_t> rings;
  Prompt history;
};

KvCache& CacheOf(const std::unique_ptr<Session>& session) { return session->impl().cache; }

// A window of 8 and of 256 positions; keys of the second are stored with their values in bytes too.
struct Model {
  const char* name;
  std::string path;
};
const std::array<Model, 2> kPrefixModels{{{"Target", kTarget}, {"Chick", LINNET_SOURCE_DIR "/models/chick"}}};

class KvPrefixes : public ::testing::TestWithParam<std::tuple<KvType, Model>> {
 protected:
  void SetUp() override { MakePool(16 * kPagePositions); }

  void MakePool(int64_t positions) {
    auto made = KvCache::NewPool(engine_->impl().config, type_, positions);
    ASSERT_TRUE(made);
    pool_ = std::move(*made);
  }

  std::unique_ptr<Session> OpenShared(int64_t rows = 100) {
    Engine::Impl& e = engine_->impl();
    auto cache = KvCache::Create(e.config, e.weights, {type_, kContext, rows, pool_});
    EXPECT_TRUE(cache);
    auto impl = std::make_unique<Session::Impl>(e, std::move(*cache));
    impl->Reserve();
    return std::make_unique<Session>(std::move(impl));
  }

  static Kept Keep(const std::unique_ptr<Session>& session, int64_t position, const Prompt& history) {
    const KvCache& cache = CacheOf(session);
    Kept kept{cache.Prefix(cache.length()),
              std::vector<uint8_t>(static_cast<size_t>(cache.RingBytes(position))),
              Beginning(history, position)};
    EXPECT_TRUE(cache.SaveRings(position, kept.rings));
    return kept;
  }

  // The logits of `more` after `history`, read by a sequence that shares nothing.
  std::vector<float> Fresh(const Prompt& history, std::span<const int32_t> more) {
    const std::unique_ptr<Session> fresh = Open(*engine_, 400, type_, kContext);
    EXPECT_TRUE(history.ids.empty() || fresh->impl().Feed(history));
    EXPECT_TRUE(fresh->Feed(more));
    return Logits(*fresh);
  }

  // Text with a picture, across the end of a page.
  Prompt Document() {
    Prompt prompt;
    AddIds(prompt, RandomIds(kPagePositions - 20, 1));
    AddPicture(prompt, engine_->impl().config, 7, 5, 2);
    AddIds(prompt, RandomIds(30, 3));
    return prompt;
  }

  const KvType type_ = std::get<0>(GetParam());
  const std::unique_ptr<Engine> engine_ = Load(2, std::get<1>(GetParam()).path);
  std::shared_ptr<KvPagePool> pool_;
};

TEST_P(KvPrefixes, SequencesGoOnDifferentlyFromOneThatIsGone) {
  const Prompt document = Document();
  std::unique_ptr<Session> first = OpenShared();
  ASSERT_TRUE(first->impl().Feed(document));
  const Kept kept = Keep(first, first->length(), document);
  EXPECT_EQ(pool_->free_pages(), 14);
  const std::unique_ptr<Session> second = OpenShared(7), third = OpenShared(150);
  ASSERT_TRUE(CacheOf(second).Restore(kept.prefix, kept.rings));
  ASSERT_TRUE(CacheOf(third).Restore(kept.prefix, kept.rings));
  EXPECT_EQ(second->length(), first->length());
  EXPECT_EQ(pool_->free_pages(), 14);

  Prompt picture = document, more;
  AddPicture(more, engine_->impl().config, 12, 9, 8);
  AddPicture(picture, engine_->impl().config, 12, 9, 8);
  ASSERT_TRUE(second->impl().Feed(more));
  EXPECT_EQ(pool_->free_pages(), 13);  // the page they have begun has been copied, the full one has not
  ASSERT_TRUE(first->Feed(RandomIds(9, 5)));
  ASSERT_TRUE(first->Feed(RandomIds(20, 6)));
  Prompt text = document;
  AddIds(text, RandomIds(9, 5));
  EXPECT_EQ(Logits(*first), Fresh(text, RandomIds(20, 6)));
  first.reset();
  EXPECT_EQ(pool_->free_pages(), 13);
  ASSERT_TRUE(third->Feed(RandomIds(70, 7)));
  EXPECT_EQ(Logits(*third), Fresh(document, RandomIds(70, 7)));
  ASSERT_TRUE(second->Feed(RandomIds(3, 6)));
  EXPECT_EQ(Logits(*second), Fresh(picture, RandomIds(3, 6)));
}

TEST_P(KvPrefixes, GoingBackIntoAPageThatOthersHoldCopiesIt) {
  Prompt document;
  AddIds(document, RandomIds(kPagePositions + 50, 1));
  const std::vector<int32_t> wrong = RandomIds(50, 77);
  for (const int64_t back : {1, 49, 60}) {  // the last one to the page before
    const std::unique_ptr<Session> session = OpenShared();
    ASSERT_TRUE(session->impl().Feed(document));
    const int64_t end = session->length();
    const Kept kept = Keep(session, end, document);
    ASSERT_TRUE(session->Truncate(end - back));
    ASSERT_TRUE(session->Feed(wrong));
    EXPECT_EQ(Logits(*session), Fresh(Beginning(document, end - back), wrong));
    ASSERT_TRUE(CacheOf(session).Restore(kept.prefix, kept.rings));
    ASSERT_TRUE(session->Feed(wrong));
    EXPECT_EQ(Logits(*session), Fresh(document, wrong));
  }
}

TEST_P(KvPrefixes, ASnapshotMayLieBeforeTheEndOfThePages) {
  const Prompt document = Document();
  const std::unique_ptr<Session> session = OpenShared();
  ASSERT_TRUE(session->impl().Feed(document));
  const int64_t position = session->length() - 25;
  const Kept kept = Keep(session, position, document);
  const std::unique_ptr<Session> other = OpenShared();
  ASSERT_TRUE(CacheOf(other).Restore(kept.prefix, kept.rings));
  EXPECT_EQ(other->length(), position);
  EXPECT_EQ(CacheOf(other).shortest(), CacheOf(other).oldest() == 0 ? 0 : position);
  ASSERT_TRUE(other->Feed(RandomIds(10, 4)));
  EXPECT_EQ(Logits(*other), Fresh(kept.history, RandomIds(10, 4)));
  // Nothing of what the other one had read behind the snapshot is left in the copy.
  for (int64_t l = 0; l < static_cast<int64_t>(engine_->impl().config.layers.size()); ++l) {
    if (engine_->impl().config.layers[static_cast<size_t>(l)].window > 0) continue;
    const KvStore& store = CacheOf(other).layer(l);
    const std::vector<float> zeros(static_cast<size_t>(store.head_dim()));
    std::vector<float> key(zeros.size(), 1.0f), value(zeros.size(), 1.0f);
    store.Read(other->length(), 0, key.data(), value.data());
    EXPECT_EQ(key, zeros);
    EXPECT_EQ(value, zeros);
    CacheOf(session).layer(l).Read(other->length(), 0, key.data(), value.data());
    EXPECT_NE(key, zeros);
  }
}

TEST_P(KvPrefixes, StepsThatTakeOrCopyPagesAllocateNothing) {
  const std::unique_ptr<Session> session = OpenShared();
  ASSERT_TRUE(session->Feed(RandomIds(kPagePositions - 5)));
  const int32_t id = 11;
  ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
  const KvPrefix held = CacheOf(session).Prefix(session->length());
  const int64_t before = AllocationCount();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
  ASSERT_TRUE(session->Truncate(kPagePositions - 3));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
  EXPECT_EQ(AllocationCount(), before);
}

TEST_P(KvPrefixes, AnEmptyPoolIsAnErrorThatLeavesTheSequenceAsItWas) {
  MakePool(2 * kPagePositions);
  const std::unique_ptr<Session> session = OpenShared();
  std::unique_ptr<Session> other = OpenShared();
  const std::vector<int32_t> ids = RandomIds(kPagePositions - 10, 1), more = RandomIds(20, 2);
  ASSERT_TRUE(session->Feed(ids));
  ASSERT_TRUE(other->Feed(ids));
  const Status full = session->Feed(more);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(session->length(), kPagePositions - 10);
  ASSERT_TRUE(other->Truncate(0));
  ASSERT_TRUE(session->Feed(more));
  Prompt history;
  AddIds(history, ids);
  EXPECT_EQ(Logits(*session), Fresh(history, more));
}

TEST_P(KvPrefixes, WhatDoesNotFitIsRefused) {
  const std::unique_ptr<Session> session = OpenShared();
  Prompt history;
  AddIds(history, RandomIds(500));
  ASSERT_TRUE(session->impl().Feed(history));
  const Kept kept = Keep(session, 500, history);
  KvCache& cache = CacheOf(session);
  std::vector<uint8_t> rings(static_cast<size_t>(cache.RingBytes(20)));
  EXPECT_EQ(cache.SaveRings(20, rings).has_value(), cache.oldest() == 0);
  EXPECT_FALSE(cache.SaveRings(501, rings));
  const auto refused = [&](const KvPrefix& prefix, std::span<const uint8_t> snapshot) {
    const bool restored = cache.Restore(prefix, snapshot).has_value();
    return !restored && cache.length() == 500;
  };
  EXPECT_TRUE(refused(kept.prefix, {}));
  EXPECT_TRUE(refused(kept.prefix, std::span(kept.rings).first(kept.rings.size() - 1)));
  EXPECT_TRUE(refused(cache.Prefix(499), kept.rings));
  EXPECT_TRUE(refused({{}, 500}, kept.rings));
  const std::unique_ptr<Session> alone = Open(*engine_, 100, type_, kContext);
  ASSERT_TRUE(alone->impl().Feed(history));
  EXPECT_TRUE(refused(CacheOf(alone).Prefix(500), kept.rings));
  for (const int64_t position : {int64_t{-1}, int64_t{499}, int64_t{1} << 60}) {
    std::vector<uint8_t> wrong = kept.rings;
    std::memcpy(wrong.data(), &position, sizeof(position));
    if (position == 499 && static_cast<size_t>(cache.RingBytes(499)) == wrong.size()) continue;
    EXPECT_TRUE(refused(kept.prefix, wrong)) << position;
  }
  ASSERT_TRUE(session->Feed(RandomIds(5, 9)));
  EXPECT_EQ(Logits(*session), Fresh(history, RandomIds(5, 9)));
}

constexpr auto kTypes = {KvType::kF32, KvType::kBf16, KvType::kInt8};

std::string Name(const ::testing::TestParamInfo<std::tuple<KvType, Model>>& info) {
  const auto& [type, model] = info.param;
  return std::string(model.name) + (type == KvType::kF32 ? "F32" : type == KvType::kBf16 ? "Bf16" : "Int8");
}

INSTANTIATE_TEST_SUITE_P(All, KvPrefixes,
                         ::testing::Combine(::testing::ValuesIn(kTypes), ::testing::ValuesIn(kPrefixModels)),
                         Name);

// Several sequences of one pool that read, go back, are kept, end and begin from what was kept, at random.
class RandomKvPrefixes : public KvPrefixes {
 protected:
  struct Live {
    std::unique_ptr<Session> session;
    Prompt history;
  };

  void Begin(Live& live) {
    live.session = OpenShared(1 + static_cast<int64_t>(rng_() % 120));
    live.history = {};
  }

  void Step() {
    Live& live = live_[rng_() % live_.size()];
    switch (rng_() % 8) {
      case 0:
        return Begin(live);
      case 1:
        return Back(live);
      case 2:
        return Remember(live);
      case 3:
      case 4:
        return GoOn(live);
      case 5: {
        Prompt prompt;
        AddPicture(prompt, engine_->impl().config, static_cast<int32_t>(2 + rng_() % 14),
                   static_cast<int32_t>(1 + rng_() % 9), static_cast<uint32_t>(rng_()));
        return Feed(live, prompt);
      }
      default: {
        Prompt prompt;
        AddIds(prompt, RandomIds(1 + rng_() % 120, static_cast<uint32_t>(rng_())));
        return Feed(live, prompt);
      }
    }
  }

  void Feed(Live& live, const Prompt& prompt) {
    if (live.session->length() + static_cast<int64_t>(prompt.ids.size()) > kContext) return Begin(live);
    ASSERT_TRUE(live.session->impl().Feed(prompt));
    live.history.ids.insert(live.history.ids.end(), prompt.ids.begin(), prompt.ids.end());
    live.history.types.insert(live.history.types.end(), prompt.types.begin(), prompt.types.end());
    live.history.images.insert(live.history.images.end(), prompt.images.begin(), prompt.images.end());
  }

  // A position that is in no picture, up to `most` back.
  int64_t Earlier(const Live& live, int64_t most) {
    int64_t to = live.session->length() - static_cast<int64_t>(rng_() % static_cast<uint64_t>(most));
    while (to > 0 && to < live.session->length() &&
           live.history.types[static_cast<size_t>(to)] == TokenType::kImage) {
      --to;
    }
    return std::max<int64_t>(to, 0);
  }

  void Back(Live& live) {
    const int64_t to = Earlier(live, 200);
    if (live.session->Truncate(to)) live.history = Beginning(live.history, to);
  }

  void Remember(const Live& live) {
    const int64_t position = Earlier(live, 60);
    if (position < CacheOf(live.session).shortest()) return;
    kept_.push_back(Keep(live.session, position, live.history));
    if (kept_.size() > 4) kept_.erase(kept_.begin() + static_cast<int64_t>(rng_() % kept_.size()));
  }

  void GoOn(Live& live) {
    if (kept_.empty()) return;
    const Kept& kept = kept_[rng_() % kept_.size()];
    if (rng_() % 2 == 0) Begin(live);
    ASSERT_TRUE(CacheOf(live.session).Restore(kept.prefix, kept.rings));
    live.history = kept.history;
    ++restored_;
  }

  void Compare(Live& live) {
    const std::vector<int32_t> more = RandomIds(3, static_cast<uint32_t>(rng_()));
    if (live.session->length() + 3 > kContext) return;
    const std::vector<float> expected = Fresh(live.history, more);
    Prompt prompt;
    AddIds(prompt, more);
    Feed(live, prompt);
    ASSERT_EQ(Logits(*live.session), expected) << "length " << live.session->length();
  }

  std::mt19937 rng_;
  std::array<Live, 3> live_;
  std::vector<Kept> kept_;
  int restored_ = 0;
};

TEST_P(RandomKvPrefixes, HoldWhatFreshOnesHold) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    rng_.seed(seed);
    kept_.clear();
    for (Live& live : live_) Begin(live);
    for (int step = 0; step < 40; ++step) {
      Step();
      if (step % 4 == 3) Compare(live_[rng_() % live_.size()]);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(restored_, 20);
  kept_.clear();
  for (Live& live : live_) live = {};
  EXPECT_EQ(pool_->free_pages(), pool_->pages());
}

INSTANTIATE_TEST_SUITE_P(All, RandomKvPrefixes,
                         ::testing::Combine(::testing::ValuesIn(kTypes), ::testing::Values(kPrefixModels[0])),
                         Name);

}  // namespace
}  // namespace linnet
