// Drafting through Generate with the built-in model: calls, repetitions and plain questions give the same
// answers, and where the answer repeats the prompt the prompt lookup saves calls of the model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/continuation.h"
#include "runtime/conversation.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

Result<Generation> Ask(Engine& engine, const std::string& text, int32_t draft, float temperature) {
  LINNET_ASSIGN(Conversation chat, Conversation::Create(engine, {}, {}));
  chat.AddUser({text, {}, {}});
  GenerateOptions options;
  options.draft = draft;
  options.max_tokens = 60;
  options.sampling.temperature = temperature;
  options.sampling.seed = 5;
  return chat.Answer(options);
}

// Passes and tokens of a kind of task with fixed drafts.
struct Saved {
  int64_t passes = 0, tokens = 0, drafted = 0, accepted = 0;
};

Saved Compare(Engine& engine, const std::vector<std::string>& prompts) {
  Saved saved;
  for (const std::string& prompt : prompts) {
    for (const float temperature : {0.0f, 1.0f}) {
      const auto plain = Ask(engine, prompt, 0, temperature);
      EXPECT_TRUE(plain.has_value());
      for (const int32_t draft : {-1, 2, 8}) {
        const auto drafted = Ask(engine, prompt, draft, temperature);
        EXPECT_TRUE(drafted.has_value());
        EXPECT_EQ(drafted->ids, plain->ids) << prompt;
        EXPECT_EQ(drafted->text, plain->text) << prompt;
        EXPECT_EQ(drafted->tool_calls.size(), plain->tool_calls.size()) << prompt;
        EXPECT_EQ(drafted->finish, plain->finish) << prompt;
        EXPECT_EQ(drafted->stats.decode_steps, plain->stats.decode_steps) << prompt;
        if (draft != 8 || temperature != 0) continue;
        const DraftStats& stats = drafted->stats.draft;
        saved.passes += stats.passes;
        saved.tokens += stats.tokens;
        saved.drafted += stats.drafts();
        for (const int64_t n : stats.accepted) saved.accepted += n;
      }
    }
  }
  return saved;
}

void Print(const char* what, const Saved& saved) {
  std::printf("%s: %.2f tokens a pass, %lld of %lld drafts accepted\n", what,
              static_cast<double>(saved.tokens) / static_cast<double>(std::max<int64_t>(1, saved.passes)),
              static_cast<long long>(saved.accepted), static_cast<long long>(saved.drafted));
}

class ChickDrafts : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    LoadOptions options;
    options.threads = GetParam();
    auto engine = Engine::Load(options);
    ASSERT_TRUE(engine.has_value());
    engine_ = std::move(*engine);
  }
  std::unique_ptr<Engine> engine_;
};

TEST_P(ChickDrafts, CallsAndTranslationsAreTheSame) {
  const std::vector<std::string> calls = {"Use a tool. call tom", "Use a tool. what is the weather in rome",
                                          "Use a tool. call anna",
                                          "Use a tool. what is the weather in paris"};
  const std::vector<std::string> plain = {"Translate to French: the red house",
                                          "Translate to German: the dog is big", "how much is 3 plus 4",
                                          "hello"};
  Print("tool calls", Compare(*engine_, calls));
  Print("plain", Compare(*engine_, plain));
}

// A text that the model writes once is given as part of the prompt: what follows it is then drafted by
// lookup.
TEST_P(ChickDrafts, RepetitionsSavePasses) {
  Engine::Impl& e = engine_->impl();
  SessionOptions options;
  options.context = 512;
  const auto write = [&](int32_t draft, std::vector<int32_t>& ids) {
    auto session = engine_->NewSession(options);
    EXPECT_TRUE(session.has_value());
    std::vector<int32_t> prompt;
    for (int round = 0; round < 4; ++round) {
      for (int32_t id = 300; id < 330; ++id) prompt.push_back(id);
    }
    Sampler sampler({}, e.config.vocab_size);
    AllowedTokens allowed(e.config.tokens.suppressed, e.config.vocab_size, nullptr);
    Continuation continuation((*session)->impl(), {sampler, allowed}, draft);
    const Prompt text{prompt, std::vector<TokenType>(prompt.size(), TokenType::kText), {}, {}};
    EXPECT_TRUE(continuation.Begin(text, {}));
    EXPECT_TRUE(RunAlone(**session, continuation, [&](int32_t id, std::span<const float>) {
      ids.push_back(id);
      return ids.size() < 120;
    }));
    return continuation.speculator().stats();
  };
  std::vector<int32_t> plain, drafted;
  write(0, plain);
  const DraftStats stats = write(8, drafted);
  EXPECT_EQ(plain, drafted);
  Print("repetition",
        {stats.passes, stats.tokens, stats.drafts(), stats.accepted_by[1] + stats.accepted_by[2]});
  EXPECT_LT(stats.passes, 40);
}

INSTANTIATE_TEST_SUITE_P(Threads, ChickDrafts, ::testing::Values(1, 2));

}  // namespace
}  // namespace linnet
