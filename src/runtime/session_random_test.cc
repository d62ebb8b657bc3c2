// Sessions that are fed, rolled back and stopped at random hold what a fresh one holds that was fed the same
// tokens.
#include <algorithm>
#include <atomic>
#include <vector>

#include "runtime/session_testing.h"

namespace linnet {
namespace {

using testing::AddIds;
using testing::AddPicture;
using testing::Beginning;
using testing::Load;
using testing::Logits;
using testing::Open;
using testing::RandomIds;

constexpr int64_t kContext = 500;

// Raises a flag when the model comes to a layer.
class StopAtLayer : public Probe {
 public:
  explicit StopAtLayer(int64_t layer) : layer_(layer) {}
  void See(std::string_view, int64_t layer, Rows) override {
    if (layer == layer_) stop = true;
  }
  std::atomic<bool> stop{false};

 private:
  int64_t layer_;
};

class RandomSession {
 public:
  RandomSession(Engine& engine, KvType kv, uint32_t seed) : engine_(engine), kv_(kv), rng_(seed) {
    const int64_t rows = rng_() % 3 == 0 ? 400 : 1 + static_cast<int64_t>(rng_() % 60);
    session_ = Open(engine, rows, kv, kContext);
  }

  void Step() {
    switch (rng_() % 6) {
      case 0:
        return Back();
      case 1:
        return Feed(Picture());
      case 2:
        return Stopped();
      default:
        return Feed(Text());
    }
  }

  void Compare() {
    if (history_.ids.empty()) return;
    const std::unique_ptr<Session> fresh = Open(engine_, 400, kv_, kContext);
    ASSERT_TRUE(fresh->impl().Feed(history_));
    Feed(Text(3));
    Prompt tail;
    AddIds(tail, std::span(history_.ids).last(3));
    ASSERT_TRUE(fresh->impl().Feed(tail));
    ASSERT_EQ(session_->length(), fresh->length());
    ASSERT_EQ(Logits(*session_), Logits(*fresh)) << "length " << session_->length();
    ++compared;
  }

  int compared = 0, back = 0, refused = 0, stopped = 0, emptied = 0;

 private:
  Prompt Text(size_t n = 0) {
    Prompt prompt;
    AddIds(prompt, RandomIds(n > 0 ? n : 1 + rng_() % 90, static_cast<uint32_t>(rng_())));
    return prompt;
  }

  Prompt Picture() {
    Prompt prompt = Text(rng_() % 4);
    const auto columns = static_cast<int32_t>(2 + rng_() % 18), lines = static_cast<int32_t>(1 + rng_() % 10);
    AddPicture(prompt, engine_.impl().config, columns, lines, static_cast<uint32_t>(rng_()));
    return prompt;
  }

  void Remember(const Prompt& prompt) {
    history_.ids.insert(history_.ids.end(), prompt.ids.begin(), prompt.ids.end());
    history_.types.insert(history_.types.end(), prompt.types.begin(), prompt.types.end());
    history_.images.insert(history_.images.end(), prompt.images.begin(), prompt.images.end());
  }

  void Feed(const Prompt& prompt) {
    if (session_->length() + static_cast<int64_t>(prompt.ids.size()) > kContext) {
      ASSERT_TRUE(session_->Truncate(0));
      history_ = {};
    }
    ASSERT_TRUE(session_->impl().Feed(prompt));
    Remember(prompt);
  }

  void Back() {
    int64_t to = session_->length() - static_cast<int64_t>(rng_() % 200);
    while (to > 0 && to < session_->length() &&
           history_.types[static_cast<size_t>(to)] == TokenType::kImage) {
      --to;
    }
    to = std::max<int64_t>(to, 0);
    if (!session_->Truncate(to)) {
      ++refused;
      return;
    }
    ++back;
    history_ = Beginning(history_, to);
  }

  // A prompt that is stopped somewhere: what the session says it holds is the beginning of what it was fed.
  void Stopped() {
    const Prompt prompt = rng_() % 3 == 0 ? Picture() : Text(1 + rng_() % 400);
    if (session_->length() + static_cast<int64_t>(prompt.ids.size()) > kContext) return;
    StopAtLayer probe(static_cast<int64_t>(rng_() % 6));
    session_->impl().probe = &probe;
    const Status status = session_->impl().Feed(prompt, {{}, &probe.stop});
    session_->impl().probe = nullptr;
    ASSERT_FALSE(status);
    ASSERT_EQ(status.error().code, ErrorCode::kCancelled);
    const int64_t before = static_cast<int64_t>(history_.ids.size());
    Remember(prompt);
    ASSERT_TRUE(session_->length() == 0 || session_->length() >= before);
    ++stopped;
    emptied += session_->length() == 0 && before > 0;
    history_ = Beginning(history_, session_->length());
  }

  Engine& engine_;
  KvType kv_;
  std::mt19937 rng_;
  std::unique_ptr<Session> session_;
  Prompt history_;
};

class RandomSessions : public ::testing::TestWithParam<KvType> {};

TEST_P(RandomSessions, HoldWhatAFreshOneHolds) {
  const std::unique_ptr<Engine> engine = Load(1);
  int compared = 0, back = 0, refused = 0, stopped = 0, emptied = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    RandomSession session(*engine, GetParam(), seed);
    for (int step = 0; step < 12; ++step) {
      session.Step();
      if (step % 2 == 1) session.Compare();
      if (HasFatalFailure()) return;
    }
    compared += session.compared;
    back += session.back;
    refused += session.refused;
    stopped += session.stopped;
    emptied += session.emptied;
  }
  EXPECT_GT(compared, 200);
  EXPECT_GT(back, 30);
  EXPECT_GT(refused, 0);
  EXPECT_GT(stopped, 30);
  EXPECT_GT(emptied, 0);
}

INSTANTIATE_TEST_SUITE_P(All, RandomSessions, ::testing::Values(KvType::kF32, KvType::kBf16, KvType::kInt8));

// A window that had been overwritten counted as intact once a picture had made the rings grow.
TEST_P(RandomSessions, RingsThatGrowForgetNothingThatTheyHadLost) {
  const std::unique_ptr<Engine> engine = Load(2, LINNET_SOURCE_DIR "/models/chick");
  const auto open = [&] { return Open(*engine, 512, GetParam(), 4096); };
  const std::vector<int32_t> ids = [] {
    std::vector<int32_t> random(1000);
    std::mt19937 rng(1);
    for (int32_t& id : random) id = static_cast<int32_t>(100 + rng() % 1300);
    return random;
  }();
  const std::unique_ptr<Session> session = open();
  ASSERT_TRUE(session->Feed(ids));
  const int64_t intact = session->impl().cache.shortest();
  ASSERT_TRUE(session->Truncate(intact));
  Prompt picture;
  AddIds(picture, RandomIds(1));
  AddPicture(picture, engine->impl().config, 20, 14, 4);
  ASSERT_TRUE(session->impl().Feed(picture));
  EXPECT_GE(session->impl().cache.shortest(), intact);
  EXPECT_FALSE(session->Truncate(intact - 1));
  ASSERT_TRUE(session->Truncate(intact));
  ASSERT_TRUE(session->Feed(std::span(ids).first(3)));
  const std::unique_ptr<Session> fresh = open();
  ASSERT_TRUE(fresh->Feed(std::span(ids).first(static_cast<size_t>(intact))));
  ASSERT_TRUE(fresh->Feed(std::span(ids).first(3)));
  EXPECT_EQ(Logits(*session), Logits(*fresh));
}

}  // namespace
}  // namespace linnet
