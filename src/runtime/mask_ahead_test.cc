// Masks that are computed while the engine computes: they are those of the rule, and the engine's thread
// computes none of them itself.
#include "runtime/mask_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "base/rng.h"
#include "runtime/continuation.h"
#include "runtime/token_mask.h"

namespace linnet {
namespace {

constexpr int64_t kTokens = 192;

struct ComputedMasks {
  std::atomic<int> here = 0, beside = 0;  // on the thread that made this, on others
  std::thread::id owner = std::this_thread::get_id();
};

// Allows about half of the tokens; which ones depends on all tokens so far.
class HistoryRule : public TokenMask {
 public:
  explicit HistoryRule(ComputedMasks* computed = nullptr)
      : words_(MaskWords(kTokens)), computed_(computed), history_{1} {}
  void Begin(const AnswerStart&) override { history_ = {1}; }
  AllowedWords Allowed() override {
    for (size_t i = 0; i < words_.size(); ++i) {
      words_[i] = static_cast<uint32_t>(MixBits(history_.back() + i));
    }
    if (computed_ != nullptr) {
      ++(std::this_thread::get_id() == computed_->owner ? computed_->here : computed_->beside);
    }
    return words_;
  }
  void Advance(int32_t id) override {
    history_.push_back(MixBits(history_.back() ^ (static_cast<uint64_t>(id) << 20)));
  }
  void RollBack(int64_t tokens) override { history_.resize(history_.size() - static_cast<size_t>(tokens)); }
  bool Endless() const override { return history_.back() % 64 == 0; }

 private:
  std::vector<uint32_t> words_;
  ComputedMasks* computed_;
  std::vector<uint64_t> history_;
};

std::vector<uint32_t> WordsOf(TokenMask& mask) {
  const AllowedWords words = mask.Allowed();
  return {words.begin(), words.end()};
}

int32_t First(TokenMask& mask, bool allowed) {
  const AllowedWords words = mask.Allowed();
  int32_t id = 0;
  while (IsAllowed(words, static_cast<size_t>(id)) != allowed) ++id;
  return id;
}

void WaitUntil(const std::atomic<int>& count, int wanted) {
  while (count < wanted) std::this_thread::yield();
}

TEST(MaskAhead, ComputesBesideWhatItIsAskedForThen) {
  ComputedMasks computed;
  const auto mask = NewMaskAhead(std::make_unique<HistoryRule>(&computed), std::make_shared<SideThread>());
  HistoryRule plain;
  mask->Prepare({});
  WaitUntil(computed.beside, 1);
  EXPECT_EQ(WordsOf(*mask), WordsOf(plain));
  std::vector<int32_t> drafts;
  for (int i = 0; i < 3; ++i) {
    drafts.push_back(First(plain, true));
    plain.Advance(drafts.back());
  }
  plain.RollBack(3);
  mask->Prepare(drafts);
  WaitUntil(computed.beside, 4);
  for (const int32_t draft : drafts) {
    EXPECT_EQ(WordsOf(*mask), WordsOf(plain));
    mask->Advance(draft);
    plain.Advance(draft);
  }
  EXPECT_EQ(WordsOf(*mask), WordsOf(plain));
  EXPECT_EQ(computed.here, 0);
  // What is known stays known when drafts are taken back, as far as the answer goes their way.
  mask->RollBack(2);
  plain.RollBack(2);
  EXPECT_EQ(WordsOf(*mask), WordsOf(plain));
  EXPECT_EQ(computed.here, 0);
  mask->Advance(drafts[1] + 1);
  plain.Advance(drafts[1] + 1);
  EXPECT_EQ(WordsOf(*mask), WordsOf(plain));
  EXPECT_EQ(computed.here, 1);
}

TEST(MaskAhead, LooksBehindNoDraftThatIsNotAllowed) {
  ComputedMasks computed;
  HistoryRule plain;
  const std::vector<int32_t> drafts = {First(plain, false), 3, 4};
  {
    const auto mask = NewMaskAhead(std::make_unique<HistoryRule>(&computed), std::make_shared<SideThread>());
    mask->Prepare(drafts);
    WaitUntil(computed.beside, 1);
    EXPECT_EQ(WordsOf(*mask), WordsOf(plain));
  }
  EXPECT_EQ(computed.beside, 1);
}

TEST(MaskAhead, SaysWhatItsRuleSays) {
  const auto side = std::make_shared<SideThread>();
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 rng(seed);
    const auto mask = NewMaskAhead(std::make_unique<HistoryRule>(), side);
    HistoryRule plain;
    int64_t tokens = 0;
    std::vector<int32_t> path(100);  // followed more often than not
    for (int32_t& id : path) id = static_cast<int32_t>(rng() % kTokens);
    for (int step = 0; step < 100; ++step) {
      const size_t at = static_cast<size_t>(std::min<int64_t>(tokens, 80));
      if (rng() % 2 == 0) mask->Prepare(std::span(path).subspan(at, rng() % 17));
      if (rng() % 4 != 0) {
        ASSERT_EQ(WordsOf(*mask), WordsOf(plain)) << seed << " " << step;
      }
      if (rng() % 6 == 0) {
        const int64_t back = std::min<int64_t>(tokens, rng() % 24);
        mask->RollBack(back);
        plain.RollBack(back);
        tokens -= back;
      } else {
        const int32_t id = rng() % 3 == 0 ? static_cast<int32_t>(rng() % kTokens) : path[at];
        mask->Advance(id);
        plain.Advance(id);
        ++tokens;
      }
      if (rng() % 50 == 0) {
        mask->Begin({});
        plain.Begin({});
        tokens = 0;
      }
      ASSERT_EQ(mask->Endless(), plain.Endless());
    }
  }
}

// Counts the masks that the engine has asked for before it computes.
class Announced : public TokenMask {
 public:
  explicit Announced(TokenMask& mask) : mask_(mask) {}
  AllowedWords Allowed() override { return mask_.Allowed(); }
  void Advance(int32_t id) override { mask_.Advance(id); }
  void RollBack(int64_t tokens) override { mask_.RollBack(tokens); }
  void Prepare(std::span<const int32_t> drafts) override {
    ++announced;
    mask_.Prepare(drafts);
  }
  int announced = 0;

 private:
  TokenMask& mask_;
};

// Lets no layer be computed before the mask of the step is there.
class WaitsForMasks : public Probe {
 public:
  WaitsForMasks(const Announced& announced, const ComputedMasks& computed)
      : announced_(announced), computed_(computed) {}
  void See(std::string_view, int64_t layer, Rows) override {
    if (layer == 0) WaitUntil(computed_.beside, announced_.announced);
  }

 private:
  const Announced& announced_;
  const ComputedMasks& computed_;
};

TEST(MaskAhead, IsThereBeforeTheLogitsAre) {
  LoadOptions options{.model = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/target"};
  const auto engine = LoadEngine(options, false);
  ASSERT_TRUE(engine.has_value()) << engine.error().Message();
  const auto session = (*engine)->NewSession({.context = 128});
  ASSERT_TRUE(session.has_value()) << session.error().Message();
  Session::Impl& impl = (*session)->impl();
  ComputedMasks computed;
  const auto mask = NewMaskAhead(std::make_unique<HistoryRule>(&computed), std::make_shared<SideThread>());
  Announced announced(*mask);
  WaitsForMasks probe(announced, computed);
  impl.probe = &probe;
  const int64_t vocabulary = (*engine)->impl().config.vocab_size;
  ASSERT_EQ(vocabulary, kTokens);
  Sampler sampler({}, vocabulary);
  AllowedTokens allowed({}, vocabulary, &announced);
  Continuation continuation(impl, {sampler, allowed}, 0);
  const Prompt prompt{{5, 6, 7}, std::vector<TokenType>(3, TokenType::kText), {}, {}};
  ASSERT_TRUE(continuation.Begin(prompt, {}));
  HistoryRule plain;
  int written = 0;
  ASSERT_TRUE(RunAlone(**session, continuation, [&](int32_t id, std::span<const float>) {
    EXPECT_TRUE(IsAllowed(plain.Allowed(), static_cast<size_t>(id)));
    plain.Advance(id);
    return ++written < 40;
  }));
  EXPECT_EQ(computed.here, 0);
  EXPECT_EQ(computed.beside, 40);
}

}  // namespace
}  // namespace linnet
