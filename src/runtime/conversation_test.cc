#include "runtime/conversation.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <utility>

#include "model/config.h"
#include "runtime/engine_impl.h"
#include "runtime/media_testing.h"
#include "runtime/turn.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

// 2 text, an image of 3 rows, 1 text, a clip of 2, 2 text.
Prompt MixedPrompt() {
  Prompt prompt;
  using enum TokenType;
  prompt.types = {kText, kText, kImage, kImage, kImage, kText, kAudio, kAudio, kText, kText};
  prompt.ids.resize(prompt.types.size());
  std::iota(prompt.ids.begin(), prompt.ids.end(), 0);
  prompt.images.resize(1);
  prompt.images[0].rows = 3;
  prompt.clips.push_back({std::vector<float>{1.0f}});
  return prompt;
}

TEST(DropPrefix, NeverCutsAMediaBlock) {
  const int64_t expected[] = {0, 1, 2, 2, 2, 5, 6, 6, 8, 9, 10};
  for (int64_t length = 0; length <= 10; ++length) {
    Prompt prompt = MixedPrompt();
    const int64_t dropped = DropPrefix(prompt, length);
    EXPECT_EQ(dropped, expected[length]);
    ASSERT_EQ(prompt.ids.size(), static_cast<size_t>(10 - dropped));
    EXPECT_EQ(prompt.types.size(), prompt.ids.size());
    if (!prompt.ids.empty()) {
      EXPECT_EQ(prompt.ids.front(), dropped);
    }
    EXPECT_EQ(prompt.images.size(), dropped >= 5 ? 0u : 1u);
    EXPECT_EQ(prompt.clips.size(), dropped >= 8 ? 0u : 1u);
  }
}

TEST(DropPrefix, TellsNeighbouringFramesApart) {
  Prompt prompt;
  prompt.types.assign(5, TokenType::kVideo);
  prompt.ids.assign(5, 7);
  prompt.images.resize(2);
  prompt.images[0].rows = 2;
  prompt.images[1].rows = 3;
  EXPECT_EQ(DropPrefix(prompt, 4), 2);
  ASSERT_EQ(prompt.images.size(), 1u);
  EXPECT_EQ(prompt.images[0].rows, 3);
}

// Without a store of prefixes: what one holds itself. With one: prefix_reuse_test.cc.
class ConversationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    LoadOptions options;
    options.cache_ram = 0;
    auto loaded = Engine::Load(options);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().Message();
    engine_ = loaded->release();
  }
  static void TearDownTestSuite() { delete engine_; }

  static Conversation Begin(const ChatSetup& setup = {}) {
    auto conversation = Conversation::Create(*engine_, {}, setup);
    EXPECT_TRUE(conversation.has_value()) << conversation.error().Message();
    return std::move(*conversation);
  }

  static UserMessage Picture(const std::string& text, const std::string& file) {
    UserMessage message;
    message.text = text;
    message.pictures.push_back(testing::ChickPicture(*engine_, file));
    return message;
  }

  static Generation Ask(Conversation& conversation, UserMessage message, const GenerateHooks& hooks = {}) {
    conversation.AddUser(std::move(message));
    auto answer = conversation.Answer({}, hooks);
    EXPECT_TRUE(answer.has_value()) << answer.error().Message();
    return *answer;
  }

  static Engine* engine_;
};

Engine* ConversationTest::engine_ = nullptr;

// The live conversation computes only what is new; the other one is made to forget its session before each
// answer.
TEST_F(ConversationTest, AContinuedConversationAnswersAsAFreshOne) {
  Conversation live = Begin();
  Conversation fresh = Begin();
  const auto ask_both = [&](const std::function<UserMessage()>& message) {
    const Generation continued = Ask(live, message());
    fresh.AddUser(message());
    EXPECT_TRUE(SessionOf(fresh).Truncate(0));  // behind its back
    const auto computed = fresh.Answer({});
    EXPECT_TRUE(computed.has_value());
    EXPECT_EQ(continued.ids, computed->ids);
    return std::pair(continued.stats.prompt_tokens, computed->stats.prompt_tokens);
  };
  ask_both([] { return Picture("what is in the picture", "see-006.png"); });
  ask_both([] { return Picture("what color is the circle", "see-018.png"); });
  const auto [continued, computed] =
      ask_both([] { return UserMessage{"how many shapes are there", {}, {}}; });
  EXPECT_LT(continued, 60) << "the pictures were computed again";
  EXPECT_GT(computed, 140) << "the pictures were not computed again";
}

// What a conversation that was stopped while it read answers afterwards is what one answers that never heard
// the rest.
TEST_F(ConversationTest, APromptThatWasStoppedLeavesTheConversationAsItWas) {
  for (const char* second : {"see-018.png", "see-030.png"}) {
    Conversation stopped = Begin(), straight = Begin();
    for (Conversation* c : {&stopped, &straight}) Ask(*c, Picture("what is in the picture", "see-006.png"));
    const int64_t length = stopped.length();
    const std::atomic<bool> cancel{true};
    stopped.AddUser(Picture("what color is the circle", "see-024.png"));
    GenerateHooks hooks;
    hooks.cancel = &cancel;
    const auto answer = stopped.Answer({}, hooks);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
    EXPECT_LE(stopped.length(), length + 200);
    stopped.DropUnanswered();
    // Another picture of the same size gives the same tokens: what was read of the first must not stand for
    // it.
    const Generation a = Ask(stopped, Picture("what color is the circle", second));
    const Generation b = Ask(straight, Picture("what color is the circle", second));
    EXPECT_EQ(a.ids, b.ids);
    EXPECT_LT(a.stats.prompt_tokens, 200) << "the first turn was read again";
  }
}

// The flag may come up while the last layers of the prompt are computed.
TEST_F(ConversationTest, CancelledBeforeTheFirstTokenTakesNoAnswer) {
  Conversation conversation = Begin();
  std::atomic<bool> cancel{false};
  conversation.AddUser({"6 + 1", {}, {}});
  const auto turn = conversation.Begin({}, &cancel);
  ASSERT_TRUE(turn.has_value());
  Step step;
  step.Reserve(engine_->impl().config, 512, 1);
  ASSERT_TRUE(step.Add((*turn)->impl().Want({})));
  ASSERT_TRUE(engine_->impl().RunStep(step, nullptr, nullptr));
  cancel = true;
  (*turn)->impl().Take({step.hidden(0), step.logits(0)});
  const auto answer = conversation.End();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
  const auto again = conversation.Answer({});  // the message still waits
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->text, "7");
  EXPECT_LT(again->stats.prompt_tokens, 3) << "the prompt was read already";
}

// Two chats of one engine, turn by turn, each as if it were alone.
TEST_F(ConversationTest, ChatsInTurnsAnswerAsALoneOne) {
  const std::vector<std::string> questions = {"5 + 10", "6 + 1", "16 + 18", "turn on the kitchen light"};
  Conversation alone = Begin();
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& question : questions) expected.push_back(Ask(alone, {question, {}, {}}).ids);
  Conversation first = Begin(), second = Begin();
  for (size_t i = 0; i < questions.size(); ++i) {
    EXPECT_EQ(Ask(first, {questions[i], {}, {}}).ids, expected[i]) << i;
    Ask(second, Picture("what is in the picture", "see-006.png"));
  }
}

// The tokens of an answer are those of history, whatever it spells and however it was cut into tokens.
TEST_F(ConversationTest, WhatTheModelWroteKeepsItsTokens) {
  Conversation conversation = Begin();
  const Generation text = Ask(conversation, {"Translate to French: turn off the garden lamp", {}, {}});
  EXPECT_EQ(text.written.text, text.ids);
  EXPECT_TRUE(text.written.calls.empty());
  const Generation call = Ask(conversation, {"Use a tool. call tom", {}, {}});
  ASSERT_EQ(call.tool_calls.size(), 1u);
  EXPECT_EQ(engine_->impl().tokenizer->Decode(call.written.calls),
            "<|tool_call>call:phone{name:<|\"|>tom<|\"|>}<tool_call|>");
  ASSERT_TRUE(conversation.AwaitsToolResult());
  // What the session holds of the call is read on, not again.
  conversation.AddToolResult("busy<turn|>\n<|turn>user");
  const auto after = conversation.Answer({});
  ASSERT_TRUE(after.has_value()) << after.error().Message();
  EXPECT_LT(after->stats.prompt_tokens, 60);
}

// What there is room for is what the session holds afterwards, and asking changes nothing.
TEST_F(ConversationTest, RoomCountsTheMessagesSoFarAndTheOneThatIsWritten) {
  Conversation conversation = Begin({"You are terse.", "", false});
  const auto taken = [&](const UserMessage& message) {
    const auto room = conversation.Room(message);
    EXPECT_TRUE(room.has_value());
    EXPECT_EQ(room->context, conversation.context());
    return room->taken;
  };
  const UserMessage first = Picture("what is in the picture", "see-006.png");
  const int64_t before = taken({"what is in the picture", {}, {}}), with = taken(first);
  EXPECT_EQ(with - before, std::get<ImageInput>(first.pictures[0].impl().input).rows + 2);
  EXPECT_EQ(Ask(conversation, first).stats.prompt_tokens, with);
  const int64_t next = taken({"6 + 1", {}, {}});
  const Generation answer = Ask(conversation, {"6 + 1", {}, {}});
  EXPECT_EQ(conversation.length(), next + answer.stats.decode_steps);
  Conversation unasked = Begin({"You are terse.", "", false});
  Ask(unasked, first);
  EXPECT_EQ(Ask(unasked, {"6 + 1", {}, {}}).stats.prompt_tokens, answer.stats.prompt_tokens);
}

TEST_F(ConversationTest, ResetForgets) {
  Conversation conversation = Begin();
  const Generation alone = Ask(conversation, {"6 + 1", {}, {}});
  Ask(conversation, Picture("what is in the picture", "see-006.png"));
  conversation.Reset();
  const Generation again = Ask(conversation, {"6 + 1", {}, {}});
  EXPECT_EQ(again.ids, alone.ids);
  EXPECT_EQ(again.text, "7");
}

TEST_F(ConversationTest, ToolCallsWaitForTheirResults) {
  Conversation conversation = Begin();
  EXPECT_FALSE(conversation.AwaitsToolResult());
  int calls = 0;
  GenerateHooks hooks;
  hooks.on_tool_call = [&](const ToolCall& call) {
    ++calls;
    EXPECT_EQ(call.name, "phone");
  };
  const Generation answer = Ask(conversation, {"Use a tool. call tom", {}, {}}, hooks);
  EXPECT_EQ(answer.finish, FinishReason::kToolCall);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(answer.text, "");
  ASSERT_TRUE(conversation.AwaitsToolResult());
  conversation.AddToolResult("tom answered");
  EXPECT_FALSE(conversation.AwaitsToolResult());
  GenerateOptions few;
  few.max_tokens = 8;
  EXPECT_TRUE(conversation.Answer(few).has_value());
}

TEST_F(ConversationTest, AFailedAnswerLeavesTheConversationUsable) {
  SessionOptions options;
  options.context = 64;
  auto conversation = Conversation::Create(*engine_, options, {});
  ASSERT_TRUE(conversation.has_value());
  std::string longest;
  for (int i = 0; i < 200; ++i) longest += "turn on the kitchen light ";
  conversation->AddUser({longest, {}, {}});
  const auto failed = conversation->Answer({});
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalidArgument);
  conversation->DropUnanswered();
  EXPECT_EQ(Ask(*conversation, {"6 + 1", {}, {}}).text, "7");
}

TEST_F(ConversationTest, CancellingStopsBeforeTheNextToken) {
  Conversation conversation = Begin();
  std::atomic<bool> cancel{false};
  GenerateHooks hooks;
  hooks.cancel = &cancel;
  hooks.on_text = [&](std::string_view) { cancel = true; };
  const Generation answer =
      Ask(conversation, {"Translate to French: turn off the garden lamp", {}, {}}, hooks);
  EXPECT_EQ(answer.finish, FinishReason::kCancelled);
  EXPECT_GE(answer.ids.size(), 1u);
  EXPECT_LT(answer.ids.size(), 8u);
}

TEST_F(ConversationTest, AMaskThatAllowsNothingIsAnError) {
  struct Nothing : TokenMask {
    std::vector<uint32_t> words =
        std::vector<uint32_t>(static_cast<size_t>(engine_->facts().vocabulary + 31) / 32);
    AllowedWords Allowed() override { return words; }
    void Advance(int32_t) override {}
    void RollBack(int64_t) override {}
  } nothing;
  Conversation chat = Begin();
  chat.AddUser({"hello", {}, {}});
  const auto answer = chat.Answer({.mask = &nothing});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(chat.Answer().has_value());
}

TEST_F(ConversationTest, AHookThatThrowsEndsTheAnswer) {
  Conversation chat = Begin();
  chat.AddUser({"hello", {}, {}});
  GenerateHooks hooks;
  hooks.on_text = [](std::string_view) { throw std::runtime_error("mine"); };
  EXPECT_THROW((void)chat.Answer({}, hooks), std::runtime_error);
  chat.AddUser({"3 + 4", {}, {}});
  EXPECT_TRUE(chat.Answer().has_value());
}

TEST_F(ConversationTest, ToolsMustBeAList) {
  const auto result = Conversation::Create(*engine_, {}, {"", "{\"name\": 1}", false});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace linnet
