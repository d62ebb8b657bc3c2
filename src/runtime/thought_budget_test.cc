#include "runtime/thought_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/engine_impl.h"
#include "runtime/generate.h"
#include "runtime/turn.h"

namespace linnet {
namespace {

class ThoughtBudgetTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Engine::Load({});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().Message();
    engine_ = loaded->release();
  }
  static void TearDownTestSuite() { delete std::exchange(engine_, nullptr); }

  static const Tokenizer& Words() { return *engine_->impl().tokenizer; }
  static int64_t Vocabulary() { return engine_->impl().config.vocab_size; }
  static int32_t Id(const char* token) { return *Words().TokenId(token); }

  // The tokens that are allowed where not all are.
  static std::vector<int32_t> Only(TokenMask& mask) {
    std::vector<int32_t> ids;
    const AllowedWords words = mask.Allowed();
    for (size_t id = 0; id < words.size() * 32; ++id) {
      if (IsAllowed(words, id)) ids.push_back(static_cast<int32_t>(id));
    }
    return ids;
  }

  static Engine* engine_;
};
Engine* ThoughtBudgetTest::engine_ = nullptr;

TEST_F(ThoughtBudgetTest, ClosesAThoughtWhenItIsUsedUp) {
  const auto mask = ThoughtBudget::Create(Words(), {.vocabulary = Vocabulary(), .thought = 2, .answer = 64});
  ASSERT_NE(mask, nullptr);
  EXPECT_TRUE(mask->Allowed().empty());
  mask->Advance(Id("<|channel>"));
  for (const int32_t id : Words().EncodeOrdinary("thought\n")) mask->Advance(id);
  mask->Advance(300);
  EXPECT_TRUE(mask->Allowed().empty());
  mask->Advance(301);
  EXPECT_EQ(Only(*mask), std::vector{Id("<channel|>")});
  mask->Advance(Id("<channel|>"));
  for (int i = 0; i < 20; ++i) mask->Advance(302);
  EXPECT_TRUE(mask->Allowed().empty()) << "text has no bound";
  mask->Advance(Id("<|channel>"));
  EXPECT_EQ(Only(*mask), std::vector{Id("<channel|>")}) << "another thought has nothing left";
}

TEST_F(ThoughtBudgetTest, TakesDraftsBack) {
  const auto mask = ThoughtBudget::Create(
      Words(), {.vocabulary = Vocabulary(), .thought = 2, .answer = 64, .inside_thought = true});
  mask->Advance(300);
  for (int round = 0; round < 3; ++round) {
    mask->Advance(301);
    EXPECT_EQ(Only(*mask).size(), 1u);
    mask->Advance(Id("<channel|>"));
    mask->Advance(302);
    EXPECT_TRUE(mask->Allowed().empty());
    mask->RollBack(2);
    EXPECT_EQ(Only(*mask), std::vector{Id("<channel|>")});
    mask->RollBack(1);
    EXPECT_TRUE(mask->Allowed().empty());
  }
}

// A model that was taught no thoughts goes on in one; the bound ends it, with drafts and without.
TEST_F(ThoughtBudgetTest, BoundsWhatAModelWrites) {
  const std::vector<int32_t> ids =
      *engine_->TokeniseMarked("<|turn>user\nhow much is 3 plus 4<turn|>\n<|turn>model\n<|channel>thought\n");
  std::vector<int32_t> first;
  for (const int32_t draft : {0, 4}) {
    auto session = engine_->NewSession({.context = 256});
    ASSERT_TRUE(session.has_value());
    const auto mask = ThoughtBudget::Create(
        Words(), {.vocabulary = Vocabulary(), .thought = 2, .answer = 256, .inside_thought = true});
    GenerateOptions options{.max_tokens = 12, .draft = draft, .mask = mask.get()};
    options.sampling.temperature = 0.0f;
    Prompt prompt{.ids = ids, .types = std::vector(ids.size(), TokenType::kText)};
    auto turn = BeginTurn(
        *engine_, **session,
        {.prompt = std::make_shared<const Prompt>(prompt), .earlier = {}, .inside_thought = true}, options);
    ASSERT_TRUE(turn.has_value());
    linnet::Run(**session, **turn, {});
    const auto answer = (*turn)->Finish();
    ASSERT_TRUE(answer.has_value()) << answer.error().Message();
    ASSERT_GT(answer->ids.size(), 2u);
    EXPECT_EQ(answer->ids[2], Id("<channel|>"));
    if (first.empty()) first = answer->ids;
    EXPECT_EQ(answer->ids, first);
  }
}

}  // namespace
}  // namespace linnet
