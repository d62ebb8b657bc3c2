// The invariants of a session: the bits of the logits do not depend on chunks, threads, batches or
// roll-backs, and a decode step allocates nothing.
#include "linnet/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>
#include <vector>

#include "base/allocation_counter.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

const std::string kTarget = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/target";

std::unique_ptr<Engine> Load(int threads, const std::string& model = kTarget) {
  LoadOptions options;
  options.model = model;
  options.threads = threads;
  auto engine = LoadEngine(options, false);
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().Message());
  return std::move(*engine);
}

std::vector<int32_t> RandomIds(size_t n, uint32_t seed = 1) {
  std::mt19937 rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng() % 170);
  return ids;
}

// Text, a picture, a clip, text.
Prompt MixedPrompt(const ModelConfig& config, size_t text = 9, int32_t columns = 5, int32_t lines = 3) {
  std::mt19937 rng(4);
  Prompt prompt;
  const auto add = [&](int32_t id, TokenType type, size_t n) {
    prompt.ids.insert(prompt.ids.end(), n, id);
    prompt.types.insert(prompt.types.end(), n, type);
  };
  for (const int32_t id : RandomIds(text)) add(id, TokenType::kText, 1);
  const int32_t cells = columns * lines;
  ImageInput image{cells, std::vector<float>(static_cast<size_t>(cells * config.vision.patch_values())), {}};
  for (float& value : image.patches) value = static_cast<float>(rng() % 256) / 255.0f;
  for (int32_t i = 0; i < cells; ++i)
    image.positions.insert(image.positions.end(), {i % columns, i / columns});
  add(config.tokens.begin_image, TokenType::kText, 1);
  add(config.tokens.image, TokenType::kImage, static_cast<size_t>(cells));
  add(config.tokens.end_image, TokenType::kText, 1);
  prompt.images.push_back(std::move(image));
  AudioInput clip;
  for (int i = 0; i < 130; ++i) clip.samples.push_back(static_cast<float>(rng() % 1000) / 500.0f - 1.0f);
  add(config.tokens.begin_audio, TokenType::kText, 1);
  add(config.tokens.audio, TokenType::kAudio, 7);
  add(config.tokens.end_audio, TokenType::kText, 1);
  prompt.clips.push_back(std::move(clip));
  for (const int32_t id : RandomIds(40, 2)) add(id, TokenType::kText, 1);
  return prompt;
}

std::unique_ptr<Session> Open(Engine& engine, int64_t rows, KvType kv = KvType::kF32) {
  SessionOptions options;
  options.context = 400;
  options.rows_per_call = rows;
  options.kv = kv;
  auto session = engine.NewSession(options);
  EXPECT_TRUE(session.has_value());
  return std::move(*session);
}

std::vector<float> Logits(const Session& session) {
  return {session.logits().begin(), session.logits().end()};
}

class KvTypes : public testing::TestWithParam<KvType> {};

TEST_P(KvTypes, LogitsDoNotDependOnChunksOrThreads) {
  const std::vector<int32_t> ids = RandomIds(150);
  std::vector<float> text, mixed;
  for (const int threads : {1, 2, 4}) {
    const std::unique_ptr<Engine> engine = Load(threads);
    const Prompt prompt = MixedPrompt(engine->config());
    for (const int64_t rows : {400, 1, 7, 64}) {
      const std::unique_ptr<Session> session = Open(*engine, rows, GetParam());
      ASSERT_TRUE(session->Feed(ids));
      if (text.empty()) text = Logits(*session);
      EXPECT_EQ(Logits(*session), text) << rows << " rows, " << threads << " threads";
      ASSERT_TRUE(session->Feed(prompt));
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
       {MixedPrompt(engine->config(), before), MixedPrompt(engine->config(), 20, 14, 11)}) {
    std::vector<float> expected;
    for (const int64_t rows : {400, 64, 7}) {
      const std::unique_ptr<Session> session = Open(*engine, rows, GetParam());
      ASSERT_TRUE(session->Feed(prompt));
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

INSTANTIATE_TEST_SUITE_P(All, KvTypes, testing::Values(KvType::kF32, KvType::kBf16, KvType::kInt8));

TEST(Session, SequencesOfOneBatchGetTheBitsOfSingles) {
  const std::unique_ptr<Engine> engine = Load(2);
  Engine::Impl& e = engine->impl();
  std::vector<std::unique_ptr<Session>> together, alone;
  std::vector<int32_t> next;
  for (uint32_t i = 0; i < 5; ++i) {
    for (auto* sessions : {&together, &alone}) {
      sessions->push_back(Open(*engine, 64));
      ASSERT_TRUE(sessions->back()->Feed(RandomIds(5 + 11 * i, i)));
    }
    next.push_back(static_cast<int32_t>(10 + i));
  }
  std::vector<Sequence> sequences;
  std::vector<int64_t> rows;
  for (size_t i = 0; i < together.size(); ++i) {
    sequences.push_back({&together[i]->impl().cache, 1, {}});
    rows.push_back(static_cast<int64_t>(i));
  }
  e.decoder->Reserve(64, 5);
  const DecoderOutput output = e.decoder->Forward({next, {}, sequences, rows, MaskRule::kA});
  std::vector<float> batched(output.logits.data, output.logits.data + 5 * output.logits.width);
  for (size_t i = 0; i < alone.size(); ++i) {
    ASSERT_TRUE(alone[i]->Feed(std::span<const int32_t>(&next[i], 1)));
    const std::vector<float> single = Logits(*alone[i]);
    for (size_t v = 0; v < single.size(); ++v) {
      const float expected = std::isfinite(single[v]) ? single[v] : batched[i * single.size() + v];
      ASSERT_EQ(batched[i * single.size() + v], expected) << i << " " << v;
    }
  }
}

TEST(Session, ADecodeStepAllocatesNothing) {
  const std::unique_ptr<Engine> engine = Load(2);
  const std::unique_ptr<Session> session = Open(*engine, 64);
  ASSERT_TRUE(session->Feed(RandomIds(80)));
  const int32_t id = 11;
  ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
  const int64_t before = AllocationCount();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(session->Feed(std::span<const int32_t>(&id, 1)));
  EXPECT_EQ(AllocationCount(), before);
}

TEST(Session, ErrorsLeaveItAsItWas) {
  const std::unique_ptr<Engine> engine = Load(1);
  const std::unique_ptr<Session> session = Open(*engine, 64);
  ASSERT_TRUE(session->Feed(RandomIds(20)));
  const std::vector<float> before = Logits(*session);
  EXPECT_FALSE(session->Feed(std::vector<int32_t>{}));
  EXPECT_FALSE(session->Feed(std::vector<int32_t>{5, 100000}));
  EXPECT_FALSE(session->Feed(std::vector<int32_t>{-1}));
  EXPECT_FALSE(session->Feed(RandomIds(381)));
  Prompt prompt = MixedPrompt(engine->config());
  prompt.images.clear();
  EXPECT_FALSE(session->Feed(prompt));
  prompt = MixedPrompt(engine->config());
  prompt.images[0].positions[3] = 1000;
  EXPECT_FALSE(session->Feed(prompt));
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
