#include "runtime/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "linnet/conversation.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

Engine& Chick() {
  static const std::unique_ptr<Engine> engine = std::move(*Engine::Load({}));
  return *engine;
}

TEST(Logprobs, AreThoseOfTheSoftmaxInOrder) {
  const Tokenizer& tokenizer = *Chick().impl().tokenizer;
  std::vector<float> logits(static_cast<size_t>(tokenizer.vocab_size()),
                            -std::numeric_limits<float>::infinity());
  logits[7] = 1.0F, logits[9] = 3.0F, logits[8] = 3.0F, logits[5] = std::nanf("");
  const double sum = std::exp(1.0) + 2 * std::exp(3.0);
  const TokenLogprob found = LogprobOf(tokenizer, logits, 7, 3);
  EXPECT_EQ(found.chosen.id, 7);
  EXPECT_NEAR(found.chosen.logprob, 1.0 - std::log(sum), 1e-6);
  ASSERT_EQ(found.top.size(), 3U);
  EXPECT_EQ(found.top[0].id, 8);  // of equal ones the lowest id
  EXPECT_EQ(found.top[1].id, 9);
  EXPECT_NEAR(found.top[1].logprob, 3.0 - std::log(sum), 1e-6);
  EXPECT_EQ(found.top[2].id, 7);
  EXPECT_TRUE(LogprobOf(tokenizer, logits, 7, 0).top.empty());
}

// What an answer tells of its tokens: of each of its text, and nothing else changes.
TEST(Logprobs, ComeWithTheTextOfAnAnswer) {
  const auto answer = [](int32_t logprobs, int32_t draft) {
    Conversation chat = std::move(*Conversation::Create(Chick()));
    chat.AddUser({.text = "What colour is the sky, and what is seven and eight?"});
    GenerateOptions options{.max_tokens = 24, .draft = draft};
    options.sampling.temperature = 0;
    options.logprobs = logprobs;
    return *chat.Answer(options);
  };
  const Generation plain = answer(-1, 0), told = answer(2, 0), drafted = answer(2, -1);
  EXPECT_TRUE(plain.logprobs.empty());
  EXPECT_EQ(told.ids, plain.ids);
  std::string text;
  for (const TokenLogprob& token : told.logprobs) {
    text += token.chosen.text;
    EXPECT_LE(token.chosen.logprob, 0);
    ASSERT_EQ(token.top.size(), 2U);
    EXPECT_GE(token.top[0].logprob, token.top[1].logprob);
    EXPECT_EQ(token.top[0].id, token.chosen.id);  // it is greedy
  }
  EXPECT_EQ(text, plain.text);
  ASSERT_EQ(drafted.logprobs.size(), told.logprobs.size());
  for (size_t i = 0; i < told.logprobs.size(); ++i) {
    EXPECT_EQ(drafted.logprobs[i].chosen.logprob, told.logprobs[i].chosen.logprob);
  }
}

}  // namespace
}  // namespace linnet
