// The invariants of a session: the bits of the logits do not depend on chunks, threads, batches or
// roll-backs, and a decode step allocates nothing.
#include "linnet/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "base/allocation_counter.h"
#include "model/embedders.h"
#include "runtime/engine_impl.h"
#include "runtime/media_input.h"
#include "runtime/session_testing.h"

namespace linnet {
namespace {

using testing::AddIds;
using testing::AddPicture;
using testing::kTarget;
using testing::Load;
using testing::Logits;
using testing::Open;
using testing::RandomIds;

// Text, a picture, a clip, text.
Prompt MixedPrompt(const ModelConfig& config, size_t text = 9, int32_t columns = 5, int32_t lines = 3) {
  Prompt prompt;
  AddIds(prompt, RandomIds(text));
  AddPicture(prompt, config, columns, lines, 4);
  std::mt19937 rng(5);
  std::vector<float> samples;
  for (int i = 0; i < 130; ++i) samples.push_back(static_cast<float>(rng() % 1000) / 500.0f - 1.0f);
  AddIds(prompt, {{config.tokens.begin_audio}});
  AddIds(prompt, std::vector<int32_t>(7, config.tokens.audio), TokenType::kAudio);
  AddIds(prompt, {{config.tokens.end_audio}});
  prompt.clips.push_back({std::move(samples)});
  AddIds(prompt, RandomIds(40, 2));
  return prompt;
}

class KvTypes : public ::testing::TestWithParam<KvType> {};

TEST_P(KvTypes, LogitsDoNotDependOnChunksOrThreads) {
  const std::vector<int32_t> ids = RandomIds(150);
  std::vector<float> text, mixed;
  for (const int threads : {1, 2, 4}) {
    const std::unique_ptr<Engine> engine = Load(threads);
    const Prompt prompt = MixedPrompt(engine->impl().config);
    for (const int64_t rows : {400, 1, 7, 64}) {
      const std::unique_ptr<Session> session = Open(*engine, rows, GetParam());
      ASSERT_TRUE(session->Feed(ids));
      if (text.empty()) text = Logits(*session);
      EXPECT_EQ(Logits(*session), text) << rows << " rows, " << threads << " threads";
      ASSERT_TRUE(session->impl().Feed(prompt));
      if (mixed.empty()) mixed = Logits(*session);
      EXPECT_EQ(Logits(*session), mixed) << rows << " rows, " << threads << " threads";
    }
  }
}

// A call's rows are appended KvCache::kRowsAtOnce at a time, but a picture's as one.
TEST_P(KvTypes, PicturesAcrossThePiecesOfACallStayWhole) {
  const std::unique_ptr<Engine> engine = Load(2);
  const size_t before = KvCache::kRowsAtOnce - 8;
  for (const Prompt& prompt :
       {MixedPrompt(engine->impl().config, before), MixedPrompt(engine->impl().config, 20, 14, 11)}) {
    std::vector<float> expected;
    for (const int64_t rows : {400, 64, 7}) {
      const std::unique_ptr<Session> session = Open(*engine, rows, GetParam());
      ASSERT_TRUE(session->impl().Feed(prompt));
      if (expected.empty()) expected = Logits(*session);
      EXPECT_EQ(Logits(*session), expected) << rows << " rows";
    }
  }
}

TEST_P(KvTypes, RollingBackAndGoingOnGivesTheSameBits) {
  const std::unique_ptr<Engine> engine = Load(2);
  const std::vector<int32_t> ids = RandomIds(120);
  const std::unique_ptr<Session> straight = Open(*engine, 32, GetParam());
  ASSERT_TRUE(straight->Feed(ids));
  const std::vector<float> expected = Logits(*straight);
  const std::unique_ptr<Session> session = Open(*engine, 32, GetParam());
  ASSERT_TRUE(session->Feed(std::span(ids).first(100)));
  ASSERT_TRUE(session->Feed(RandomIds(30, 9)));  // a wrong continuation
  ASSERT_TRUE(session->Truncate(100));
  ASSERT_TRUE(session->Feed(std::span(ids).subspan(100)));
  EXPECT_EQ(Logits(*session), expected);
  ASSERT_TRUE(session->Truncate(0));
  ASSERT_TRUE(session->Feed(ids));
  EXPECT_EQ(Logits(*session), expected);
}

INSTANTIATE_TEST_SUITE_P(All, KvTypes, ::testing::Values(KvType::kF32, KvType::kBf16, KvType::kInt8));

// One call of the decoder with rows of several sequences, each of which has held random tokens before: a
// decode step, drafts, a prompt piece, a picture behind text, another piece.
class MixedCall {
 public:
  MixedCall(Engine& engine, KvType kv) : engine_(engine), kv_(kv), parts_(5), blocks_(5), ids_(5) {
    const ModelConfig& config = engine.impl().config;
    AddIds(parts_[0], RandomIds(1, 21));
    AddIds(parts_[1], RandomIds(5, 22));
    AddIds(parts_[2], RandomIds(150, 23));
    AddIds(parts_[3], RandomIds(3, 24));
    AddPicture(parts_[3], config, 5, 3, 9);
    AddIds(parts_[4], RandomIds(9, 25));
  }

  const std::vector<Prompt>& parts() const { return parts_; }
  static std::vector<int32_t> Held(size_t part) {
    return RandomIds(5 + 31 * part, static_cast<uint32_t>(part));
  }

  // The logits of every row of every sequence.
  const Step& Run() {
    Engine::Impl& e = engine_.impl();
    e.decoder->Reserve(200);
    step_.Reserve(e.config, 200, 200);
    for (size_t i = 0; i < parts_.size(); ++i) {
      sessions_.push_back(Open(engine_, 200, kv_));
      EXPECT_TRUE(sessions_[i]->Feed(Held(i)));
      AddRows(parts_[i], static_cast<int64_t>(Held(i).size()), i);
    }
    EXPECT_TRUE(e.decoder->Forward(step_));
    return step_;
  }

 private:
  void AddRows(const Prompt& prompt, int64_t held, size_t part) {
    Engine::Impl& e = engine_.impl();
    const auto first = std::ranges::find(prompt.types, TokenType::kImage) - prompt.types.begin();
    const auto cells = std::ranges::count(prompt.types, TokenType::kImage);
    std::vector<int32_t> ids = prompt.ids;
    for (size_t t = 0; t < prompt.ids.size(); ++t) {
      const bool picture = prompt.types[t] == TokenType::kImage;
      blocks_[part].push_back(picture ? KeyRange{held + first, held + first + cells - 1} : KeyRange{0, -1});
      if (picture) ids[t] = -1;
    }
    SequenceRows rows{.cache = &sessions_[part]->impl().cache, .ids = ids, .blocks = blocks_[part]};
    rows.wanted = static_cast<int64_t>(ids.size());
    for (const ImageInput& image : prompt.images) {
      std::vector<float> patches(image.pixels.size());
      PatchValues(image, patches);
      soft_.resize(static_cast<size_t>(image.rows * e.config.hidden_size));
      rows.soft = MakeRows(soft_.data(), image.rows, e.config.hidden_size);
      EmbedImage(e.context, {e.config.vision, e.weights.vision},
                 {MakeRows(patches.data(), image.rows, e.config.vision.patch_values()), image.positions},
                 rows.soft);
    }
    ids_[part] = std::move(ids);
    rows.ids = ids_[part];
    ASSERT_TRUE(step_.Add(rows));
  }

  Engine& engine_;
  KvType kv_;
  std::vector<Prompt> parts_;
  std::vector<std::vector<KeyRange>> blocks_;
  std::vector<std::vector<int32_t>> ids_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<float> soft_;
  Step step_;
};

// By itself each sequence is fed by another engine with one thread, token by token where no picture holds
// rows together.
TEST_P(KvTypes, SequencesOfOneCallGetTheBitsOfSingles) {
  const std::unique_ptr<Engine> engine = Load(2), other = Load(1);
  MixedCall call(*engine, GetParam());
  const Step& step = call.Run();
  for (size_t i = 0; i < call.parts().size(); ++i) {
    const Prompt& prompt = call.parts()[i];
    const Rows logits = step.logits(i);
    ASSERT_EQ(logits.rows, static_cast<int64_t>(prompt.ids.size()));
    const std::unique_ptr<Session> alone = Open(*other, 200, GetParam());
    ASSERT_TRUE(alone->Feed(MixedCall::Held(i)));
    const bool whole = !prompt.images.empty();
    for (size_t t = whole ? prompt.ids.size() - 1 : 0; t < prompt.ids.size(); ++t) {
      ASSERT_TRUE(whole ? alone->impl().Feed(prompt) : alone->Feed(std::span(prompt.ids).subspan(t, 1)));
      const std::vector<float> expected = Logits(*alone);
      const float* row = logits.row(static_cast<int64_t>(t));
      const std::vector<float> found(row, row + logits.width);
      ASSERT_TRUE(std::ranges::all_of(expected, [](float v) { return std::isfinite(v); }));
      ASSERT_EQ(found, expected) << "sequence " << i << ", row " << t;
    }
  }
}

TEST(Session, ResultsBelongToTheirSession) {
  const std::unique_ptr<Engine> engine = Load(2), lone = Load(2);
  const std::unique_ptr<Session> a = Open(*engine, 16), expected = Open(*lone, 16);
  EXPECT_TRUE(a->logits().empty());
  ASSERT_TRUE(a->Feed(RandomIds(40, 1)));
  ASSERT_TRUE(expected->Feed(RandomIds(40, 1)));
  const std::span<const float> before = a->logits();
  const std::unique_ptr<Session> b = Open(*engine, 300);  // makes the workspace grow
  ASSERT_TRUE(b->Feed(RandomIds(70, 2)));
  ASSERT_TRUE(b->impl().Feed(MixedPrompt(engine->impl().config)));
  EXPECT_EQ(a->logits().data(), before.data());
  EXPECT_EQ(Logits(*a), Logits(*expected));
  EXPECT_NE(Logits(*a), Logits(*b));
  for (uint32_t i = 0; i < 20; ++i) {  // in turns
    ASSERT_TRUE(a->Feed(RandomIds(1 + i % 3, i)));
    ASSERT_TRUE(b->Feed(RandomIds(2, 100 + i)));
    ASSERT_TRUE(expected->Feed(RandomIds(1 + i % 3, i)));
    EXPECT_EQ(Logits(*a), Logits(*expected)) << i;
  }
  ASSERT_TRUE(a->Truncate(a->length() - 1));
  EXPECT_TRUE(a->logits().empty());
}

TEST_P(KvTypes, ADecodeStepAllocatesNothing) {
  for (const int threads : {1, 2}) {
    const std::unique_ptr<Engine> engine = Load(threads);
    const std::unique_ptr<Session> session = Open(*engine, 64, GetParam());
    ASSERT_TRUE(session->Feed(RandomIds(80)));
    const int32_t id = 11;
    ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
    const int64_t before = AllocationCount();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
    EXPECT_EQ(AllocationCount(), before);
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which have an mmap of their own
// What the test before would miss if it counted less.
TEST(AllocationCounter, SeesMappingsAndWorkers) {
  const int64_t before = AllocationCount();
  {
    const AlignedBuffer<float> small(100);
  }
  EXPECT_EQ(AllocationCount(), before + 1);
  {
    const AlignedBuffer<float> large(1 << 20);
  }
  EXPECT_EQ(AllocationCount(), before + 2);
  ThreadPool pool(2);
  const int64_t started = AllocationCount();
  pool.Run([](int thread) {
    if (thread == 1) const AlignedBuffer<float> buffer(1);
  });
  EXPECT_EQ(AllocationCount(), started + 1);
}
#endif

TEST(Session, ErrorsLeaveItAsItWas) {
  const std::unique_ptr<Engine> engine = Load(1);
  const std::unique_ptr<Session> session = Open(*engine, 64);
  ASSERT_TRUE(session->Feed(RandomIds(20)));
  const std::vector<float> before = Logits(*session);
  EXPECT_FALSE(session->Feed(std::vector<int32_t>{}));
  EXPECT_FALSE(session->Feed(std::vector<int32_t>{5, 100000}));
  EXPECT_FALSE(session->Feed(std::vector<int32_t>{-1}));
  EXPECT_FALSE(session->Feed(RandomIds(381)));
  Prompt prompt = MixedPrompt(engine->impl().config);
  prompt.images.clear();
  EXPECT_FALSE(session->impl().Feed(prompt));
  prompt = MixedPrompt(engine->impl().config);
  prompt.images[0].positions = std::vector<int32_t>(prompt.images[0].positions.size(), 1000);
  EXPECT_FALSE(session->impl().Feed(prompt));
  EXPECT_EQ(session->length(), 20);
  EXPECT_EQ(Logits(*session), before);
  EXPECT_FALSE(session->Truncate(21));
  EXPECT_FALSE(engine->NewSession({.context = 1 << 20}));
}

TEST(Session, RollingBackTooFarIsRefused) {
  const std::unique_ptr<Engine> engine = Load(1);
  const std::unique_ptr<Session> session = Open(*engine, 16);
  ASSERT_TRUE(session->Feed(RandomIds(390)));
  const Status refused = session->Truncate(50);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("sliding"), std::string::npos);
  EXPECT_EQ(session->length(), 390);
  EXPECT_TRUE(session->Truncate(390 - 64));
}

}  // namespace
}  // namespace linnet
