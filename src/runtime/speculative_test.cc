// What is written with drafts is what is written without, bit for bit: for good and bad drafts, for every
// sampler, on contexts longer than the window, on one thread and two.
#include "runtime/continuation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>

#include "base/allocation_counter.h"
#include "base/rng.h"
#include "model/model_files.h"
#include "runtime/engine_impl.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

const std::string kTinyModels = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/";

std::unique_ptr<Engine> Load(const std::string& drafter, int threads) {
  LoadOptions options;
  options.model = kTinyModels + "target";
  if (!drafter.empty()) options.drafter = kTinyModels + drafter;
  options.threads = threads;
  auto engine = LoadEngine(options, false);
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().Message());
  return std::move(*engine);
}

std::unique_ptr<Session> Open(Engine& engine, int64_t context = 256, int64_t rows = 64) {
  SessionOptions options;
  options.context = context;
  options.rows_per_call = rows;
  auto session = engine.NewSession(options);
  EXPECT_TRUE(session.has_value());
  return std::move(*session);
}

std::vector<int32_t> RandomPrompt(uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<int32_t> ids(1 + rng() % 60);
  // Few different tokens, so that the prompt lookup finds matches.
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng() % (seed % 3 == 0 ? 170 : 6));
  return ids;
}

struct Written {
  std::vector<int32_t> ids;
  std::vector<uint64_t> bits;  // a hash of the logits that each was chosen from
  DraftStats stats;
  int64_t length = 0;

  bool operator==(const Written& other) const {
    return ids == other.ids && bits == other.bits && length == other.length;
  }
};

uint64_t Hash(std::span<const float> row) {
  uint64_t h = 1;
  for (const float value : row) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    h = MixBits(h ^ bits);
  }
  return h;
}

struct Drafting {
  int32_t draft;
  Speculator::Edit edit = {};
};

Prompt TextPrompt(const std::vector<int32_t>& ids) {
  return {ids, std::vector<TokenType>(ids.size(), TokenType::kText), {}, {}};
}

// A continuation of a session by itself.
struct Alone {
  Alone(Engine& engine, Session& the_session, const SamplingPlan& plan, int32_t draft)
      : session(the_session),
        sampler(plan, engine.impl().config.vocab_size),
        allowed(engine.impl().config.tokens.suppressed, engine.impl().config.vocab_size, nullptr),
        continuation(session.impl(), {sampler, allowed}, draft) {}

  void Write(const std::vector<int32_t>& prompt, const Continuation::Choose& choose) {
    const Prompt text = TextPrompt(prompt);
    ASSERT_TRUE(continuation.Begin(text, {}));
    ASSERT_TRUE(RunAlone(session, continuation, choose));
  }

  Session& session;
  Sampler sampler;
  AllowedTokens allowed;
  Continuation continuation;
};

// `count` tokens, the last of which is fed as well.
Written Write(Engine& engine, const std::vector<int32_t>& prompt, const SamplingPlan& plan, int64_t count,
              Drafting drafting) {
  const std::unique_ptr<Session> session = Open(engine);
  Alone alone(engine, *session, plan, drafting.draft);
  alone.continuation.speculator().set_edit(std::move(drafting.edit));
  Written written;
  alone.Write(prompt, [&](int32_t id, std::span<const float> logits) {
    if (static_cast<int64_t>(written.ids.size()) == count) return false;
    written.ids.push_back(id);
    written.bits.push_back(Hash(logits));
    return true;
  });
  written.stats = alone.continuation.speculator().stats();
  written.length = session->length();
  return written;
}

// Drafts that are what will be written with the given probability, and something else otherwise.
Speculator::Edit Imposed(const std::vector<int32_t>& ids, int64_t prompt, double acceptance) {
  return [&ids, prompt, acceptance](std::span<int32_t> drafts, int64_t position) {
    for (size_t i = 0; i < drafts.size(); ++i) {
      const size_t at = static_cast<size_t>(position - prompt) + i;
      const int32_t right = at < ids.size() ? ids[at] : 3;
      drafts[i] =
          RandomUniform(7, static_cast<uint64_t>(position) + i) < acceptance ? right : (right + 1) % 180;
    }
  };
}

SamplingPlan Warm(uint64_t seed) {
  SamplingPlan plan;
  plan.temperature = 1.3f;
  plan.top_k = 40;
  plan.top_p = 0.9f;
  plan.repetition_penalty = 1.2f;
  plan.seed = seed;
  return plan;
}

class Heads : public ::testing::TestWithParam<std::string> {};

TEST_P(Heads, DraftsChangeNothing) {
  std::map<int64_t, int64_t> accepted;
  for (const int threads : {1, 2}) {
    const std::unique_ptr<Engine> engine = Load(GetParam(), threads);
    for (uint32_t seed = 0; seed < 24; ++seed) {
      const std::vector<int32_t> prompt = RandomPrompt(seed);
      const SamplingPlan plan = seed % 2 == 0 ? SamplingPlan{} : Warm(seed);
      const Written plain = Write(*engine, prompt, plan, 50, {0});
      EXPECT_EQ(plain.length, static_cast<int64_t>(prompt.size()) + 50);
      EXPECT_EQ(plain.stats.passes, 50);
      for (const int32_t draft : {-1, 1, 3, 15}) {
        EXPECT_TRUE(Write(*engine, prompt, plan, 50, {draft}) == plain)
            << "seed " << seed << " draft " << draft;
        for (const double acceptance : {0.5, 0.9, 1.0}) {
          const Written written =
              Write(*engine, prompt, plan, 50,
                    {draft, Imposed(plain.ids, static_cast<int64_t>(prompt.size()), acceptance)});
          EXPECT_TRUE(written == plain)
              << "seed " << seed << " draft " << draft << " acceptance " << acceptance;
          if (draft > 0 && acceptance == 1.0 && !GetParam().empty()) {
            EXPECT_LE(written.stats.passes, 3 + 60 / (draft + 1));  // a draft may end early
          }
          for (const int64_t n : written.stats.accepted) accepted[draft] += n;
        }
      }
    }
  }
  for (const int32_t draft : {1, 3, 15}) EXPECT_GT(accepted[draft], 600);
}

INSTANTIATE_TEST_SUITE_P(All, Heads, ::testing::Values("assistant", "assistant-centroid", ""));

// The golden weights in another number format.
class Encoded : public TensorSource {
 public:
  Encoded(const TensorSource& source, Dtype dtype) {
    for (const TensorInfo& info : source.tensors()) {
      std::vector<uint8_t> scratch;
      const auto bytes = source.Bytes(info, 0, info.bytes, scratch);
      TensorInfo out = info;
      std::vector<uint8_t> data(bytes.begin(), bytes.end());
      const bool text =
          info.name.find("layers.") != info.name.npos || info.name.ends_with("embed_tokens.weight");
      if (info.shape.size() == 2 && text && info.shape[1] % 32 == 0) {
        out.dtype = dtype;
        out.bytes = RowBytes(dtype, static_cast<uint64_t>(info.elements()));
        std::vector<float> values(static_cast<size_t>(info.elements()));
        DecodeRow(info.dtype, data.data(), values);
        data.assign(out.bytes, 0);
        EncodeRow(dtype, values, data.data());
      }
      infos_.push_back(out);
      data_[info.name] = std::move(data);
    }
  }
  std::span<const TensorInfo> tensors() const override { return infos_; }
  const TensorInfo* Find(std::string_view name) const override {
    for (const TensorInfo& info : infos_) {
      if (info.name == name) return &info;
    }
    return nullptr;
  }
  std::span<const uint8_t> Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                 std::vector<uint8_t>&) const override {
    return std::span(data_.at(tensor.name)).subspan(offset, length);
  }

 private:
  std::vector<TensorInfo> infos_;
  std::map<std::string, std::vector<uint8_t>> data_;
};

class Formats : public ::testing::TestWithParam<Dtype> {};

TEST_P(Formats, TwoHundredPromptsAreWrittenTheSame) {
  for (const int threads : {1, 2}) {
    auto files = OpenModel(kTinyModels + "target", "", kTinyModels + "assistant");
    ASSERT_TRUE(files.has_value());
    const Encoded source(*files->text, GetParam());
    const auto engine = EngineOf({.config = files->config, .text = source}, threads);
    ASSERT_TRUE(engine.has_value()) << engine.error().Message();
    ASSERT_TRUE(AddDrafter((*engine)->impl(), *files->drafter_config, *files->drafter, {}));
    int identical = 0;
    for (uint32_t seed = 0; seed < 200; ++seed) {
      const std::vector<int32_t> prompt = RandomPrompt(seed + 1000);
      const Written plain = Write(**engine, prompt, {}, 32, {0});
      const int32_t draft = seed % 2 == 0 ? 4 : -1;
      const auto edit = Imposed(plain.ids, static_cast<int64_t>(prompt.size()), 0.7);
      identical += Write(**engine, prompt, {}, 32, {draft, edit}) == plain &&
                   Write(**engine, prompt, {}, 32, {draft}) == plain;
    }
    EXPECT_EQ(identical, 200) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Formats, ::testing::Values(Dtype::kQ4_0, Dtype::kQ8_0, Dtype::kBf16));

// The choice after a draft follows the target's distribution, whatever the draft: chi-square over 100,000
// draws.
TEST(Speculator, ChoicesFollowTheTargetsDistribution) {
  const std::unique_ptr<Engine> engine = Load("assistant", 1);
  const std::unique_ptr<Session> session = Open(*engine);
  const std::vector<int32_t> prompt = RandomPrompt(3);
  const int32_t bonus = 9;
  SamplingPlan plan;
  plan.temperature = 2.0f;
  plan.top_k = 12;
  Sampler reference(plan, engine->impl().config.vocab_size);
  AllowedTokens suppressed(engine->impl().config.tokens.suppressed, engine->impl().config.vocab_size,
                           nullptr);
  std::vector<int32_t> fed = prompt;
  fed.push_back(bonus);
  session->impl().Reserve(2);
  ASSERT_TRUE(session->Feed(fed));
  const auto span = reference.Distribution(session->logits(), suppressed.Words());
  const std::vector<Candidate> expected(span.begin(), span.end());
  ASSERT_EQ(expected.size(), 12u);

  for (const size_t drafted : {size_t{0}, size_t{3}}) {  // a probable and a less probable draft
    constexpr int kDraws = 50000;
    std::map<int32_t, int> seen;
    int64_t accepted = 0;
    for (int i = 0; i < kDraws; ++i) {
      plan.seed = static_cast<uint64_t>(i) * 2 + drafted;
      ASSERT_TRUE(session->Truncate(static_cast<int64_t>(prompt.size())));
      Sampler sampler(plan, engine->impl().config.vocab_size);
      Speculator speculator(engine->impl(), session->impl().cache, {sampler, suppressed}, 1);
      speculator.set_edit([&](std::span<int32_t> drafts, int64_t) { drafts[0] = expected[drafted].id; });
      speculator.Add(fed);
      const std::span<const int32_t> round = speculator.Propose(bonus, {});
      ASSERT_EQ(round.size(), 2u);
      ASSERT_TRUE(session->impl().Forward({.cache = &session->impl().cache, .ids = round, .wanted = 2}));
      const Rows logits = session->impl().step.logits(0);
      const int32_t chosen =
          sampler.Sample({logits.row(0), static_cast<size_t>(logits.width)}, suppressed.Words());
      ++seen[chosen];
      accepted += chosen == round[1];
    }
    double chi_square = 0;
    for (const Candidate& c : expected) {
      const double mean = static_cast<double>(c.probability) * kDraws;
      chi_square += (seen[c.id] - mean) * (seen[c.id] - mean) / mean;
      seen.erase(c.id);
    }
    EXPECT_TRUE(seen.empty());
    EXPECT_LT(chi_square, 31.3) << "11 degrees of freedom, p = 0.001";
    const double p = expected[drafted].probability;
    EXPECT_NEAR(static_cast<double>(accepted) / kDraws, p, 4 * std::sqrt(p * (1 - p) / kDraws));
  }
}

TEST(Speculator, StopsAnywhereInsideADraft) {
  const std::unique_ptr<Engine> engine = Load("assistant", 2);
  const std::vector<int32_t> prompt = RandomPrompt(6);
  const Written plain = Write(*engine, prompt, {}, 40, {0});
  for (int64_t stop = 1; stop < 40; ++stop) {
    const auto edit = Imposed(plain.ids, static_cast<int64_t>(prompt.size()), 1.0);
    const Written written = Write(*engine, prompt, {}, stop, {15, edit});
    EXPECT_EQ(written.length, static_cast<int64_t>(prompt.size()) + stop);
    EXPECT_TRUE(std::equal(written.ids.begin(), written.ids.end(), plain.ids.begin()));
  }
}

TEST(Speculator, FillsTheContextToItsLastToken) {
  const std::unique_ptr<Engine> engine = Load("assistant", 1);
  const std::unique_ptr<Session> session = Open(*engine, 40, 8);
  Alone alone(*engine, *session, {}, 15);
  int chosen = 0;
  alone.Write(std::vector<int32_t>(30, 5), [&](int32_t, std::span<const float>) {
    ++chosen;
    return !alone.continuation.full();
  });
  EXPECT_EQ(chosen, 11);  // the last one finds no place any more
  EXPECT_EQ(session->length(), 40);
}

TEST(Speculator, AllocatesNothingWhileItDecodes) {
  for (const std::string drafter : {"assistant", "assistant-centroid"}) {
    const std::unique_ptr<Engine> engine = Load(drafter, 2);
    const std::unique_ptr<Session> session = Open(*engine);
    Alone alone(*engine, *session, Warm(1), 4);
    int chosen = 0;
    int64_t before = 0, after = 0;
    alone.Write(RandomPrompt(4), [&](int32_t, std::span<const float>) {
      if (chosen == 2) before = AllocationCount();
      after = AllocationCount();
      return ++chosen < 64;
    });
    EXPECT_EQ(after, before);
  }
}

// Allows every third token, the third of which it is depending on the number of tokens so far.
class EveryThird : public TokenMask {
 public:
  explicit EveryThird(int64_t vocab_size) : words_((static_cast<size_t>(vocab_size) + 31) / 32) {}
  AllowedWords Allowed() override {
    std::ranges::fill(words_, 0);
    for (size_t id = tokens_ % 3; id < 32 * words_.size(); id += 3)
      words_[id / 32] |= uint32_t{1} << (id % 32);
    return words_;
  }
  void Advance(int32_t) override { ++tokens_; }
  void RollBack(int64_t tokens) override { tokens_ -= static_cast<size_t>(tokens); }

 private:
  std::vector<uint32_t> words_;
  size_t tokens_ = 0;
};

TEST(Speculator, ObeysAMaskThatDependsOnTheTokens) {
  const std::unique_ptr<Engine> engine = Load("assistant", 2);
  const int64_t vocabulary = engine->impl().config.vocab_size;
  std::vector<std::vector<int32_t>> written;
  written.reserve(4);
  int64_t accepted = 0;
  for (const int32_t draft : {0, 1, 4, 15}) {
    const std::unique_ptr<Session> session = Open(*engine);
    Sampler sampler(Warm(2), vocabulary);
    EveryThird mask(vocabulary);
    AllowedTokens allowed(engine->impl().config.tokens.suppressed, vocabulary, &mask);
    Continuation continuation(session->impl(), {sampler, allowed}, draft);
    const Prompt prompt = TextPrompt(RandomPrompt(9));
    ASSERT_TRUE(continuation.Begin(prompt, {}));
    if (!written.empty()) {
      continuation.speculator().set_edit(Imposed(written[0], static_cast<int64_t>(prompt.ids.size()), 0.7));
    }
    std::vector<int32_t>& ids = written.emplace_back();
    ASSERT_TRUE(RunAlone(*session, continuation, [&](int32_t id, std::span<const float>) {
      EXPECT_EQ(static_cast<size_t>(id) % 3, ids.size() % 3);
      ids.push_back(id);
      return ids.size() < 60;
    }));
    EXPECT_EQ(ids, written[0]) << draft;
    for (const int64_t n : continuation.speculator().stats().accepted) accepted += n;
  }
  EXPECT_GT(accepted, 10);
}

TEST(PromptLookup, FindsTheLongestAndLatestMatch) {
  PromptLookup lookup(100);
  EXPECT_EQ(lookup.Find().length, 0);
  lookup.Add(std::vector<int32_t>{1, 2, 3, 40, 2, 3, 50, 9, 2, 3, 60, 7});
  EXPECT_EQ(lookup.Find().length, 0);
  lookup.Add(std::vector<int32_t>{2, 3});
  EXPECT_EQ(lookup.Find().length, 2);
  EXPECT_EQ(lookup.Find().follows[0], 60);  // the latest of equally long ones
  PromptLookup longer(100);
  longer.Add(std::vector<int32_t>{1, 2, 3, 40, 5, 2, 3, 50, 1, 2, 3});
  EXPECT_EQ(longer.Find().length, 3);
  EXPECT_EQ(longer.Find().follows[0], 40);
}

TEST(PromptLookup, RepetitionsOverlap) {
  PromptLookup lookup(10);
  lookup.Add(std::vector<int32_t>{4, 4, 4});
  EXPECT_EQ(lookup.Find().length, 2);
  EXPECT_EQ(lookup.Find().At(5), 4);
  PromptLookup period(10);
  period.Add(std::vector<int32_t>{1, 2, 3, 1, 2, 3, 1, 2});
  EXPECT_EQ(period.Find().length, 5);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(period.Find().At(i), (i + 2) % 3 + 1);
}

TEST(Pairing, SaysWhatDiffers) {
  const auto files = OpenModel(kTinyModels + "target", "", kTinyModels + "assistant");
  ASSERT_TRUE(files.has_value());
  EXPECT_TRUE(CheckPairing(files->config, *files->drafter_config));
  const auto message = [&](auto change) {
    ModelConfig target = files->config;
    DrafterConfig drafter = *files->drafter_config;
    change(target, drafter);
    const Status status = CheckPairing(target, drafter);
    return status ? std::string() : status.error().Message();
  };
  EXPECT_NE(message([](ModelConfig&, DrafterConfig& d) { d.backbone_hidden_size = 64; }).find("width 64"),
            std::string::npos);
  EXPECT_NE(message([](ModelConfig& t, DrafterConfig&) { t.vocab_size = 200; }).find("vocabulary"),
            std::string::npos);
  EXPECT_NE(message([](ModelConfig& t, DrafterConfig&) { t.layers.back().head_dim = 80; }).find("head size"),
            std::string::npos);
  EXPECT_NE(message([](ModelConfig& t, DrafterConfig&) {
              for (LayerPlan& plan : t.layers) plan.kv_heads = 3;
            }).find("heads"),
            std::string::npos);
}

TEST(Pairing, SaysWhenOnlyTheAssistantIsQat) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(::testing::TempDir()) / "linnet_qat_pairing";
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::create_directory_symlink(kTinyModels + "target", folder / "m");
  fs::create_directory_symlink(kTinyModels + "assistant", folder / "m-qat-assistant");
  LoadOptions options;
  options.model = (folder / "m").string();
  options.threads = 1;
  auto engine = LoadEngine(options, false);
  ASSERT_TRUE(engine) << engine.error().Message();
  ASSERT_EQ((*engine)->notes().size(), 1u);
  EXPECT_NE((*engine)->notes()[0].find("QAT"), std::string::npos);
  fs::rename(folder / "m-qat-assistant", folder / "m-assistant");
  engine = LoadEngine(options, false);
  ASSERT_TRUE(engine);
  EXPECT_NE((*engine)->impl().drafter, nullptr);
  EXPECT_TRUE((*engine)->notes().empty());
  fs::remove_all(folder);
}

}  // namespace
}  // namespace linnet
