// Conversations that fill their context, that go back, and what they say of it.
#include "runtime/full_context.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "base/process.h"
#include "linnet/session.h"
#include "runtime/chat_history.h"
#include "runtime/context_use.h"
#include "runtime/conversation.h"
#include "runtime/engine_impl.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

constexpr const char* kTools =
    R"([{"type": "function", "function": {"name": "phone", "description": "call somebody",
     "parameters": {"type": "object", "properties": {"name": {"type": "string"}}}}}])";

class FullContextTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    engine_ = LoadChick(kCacheRamLeft);
    forgetful_ = LoadChick(0);
  }
  static void TearDownTestSuite() {
    delete engine_;
    delete forgetful_;
  }
  static Engine* LoadChick(int64_t cache_ram) {
    auto loaded = Engine::Load({.cache_ram = cache_ram});
    EXPECT_TRUE(loaded.has_value()) << loaded.error().Message();
    return loaded->release();
  }

  static Conversation Begin(int64_t context, WhenFull when_full, ChatSetup setup = {},
                            KvType kv = KvType::kBf16) {
    setup.when_full = when_full;
    auto conversation = Conversation::Create(*engine_, {.context = context, .kv = kv}, setup);
    EXPECT_TRUE(conversation.has_value()) << conversation.error().Message();
    return std::move(*conversation);
  }
  // One in which this was said, and nothing has been read: its engine keeps nothing of others.
  static Conversation Fresh(const ChatPoint& said, int64_t context, KvType kv = KvType::kBf16) {
    auto conversation = Conversation::Create(*forgetful_, {.context = context, .kv = kv});
    EXPECT_TRUE(conversation.has_value()) << conversation.error().Message();
    conversation->GoTo(said);
    return std::move(*conversation);
  }

  static UserMessage With(Conversation& conversation, const std::string& text, const std::string& file) {
    static const MediaLoader loader({.sandbox = false});
    UserMessage message{text, {}, {}};
    std::vector<MediaPart> parts;
    parts.push_back(
        {.content = MediaSource(std::filesystem::path(LINNET_SOURCE_DIR "/models/chick/examples/" + file)),
         .options = {.image_tokens = 70}});
    const auto uses = conversation.Attach(loader, std::move(parts), message);
    EXPECT_TRUE(uses.has_value()) << uses.error().Message();
    return message;
  }

  // Greedy, and short where Chick finds no end.
  static Result<Generation> Answer(Conversation& conversation, const GenerateHooks& hooks = {}) {
    return conversation.Answer({.sampling = {.temperature = 0.0f}, .max_tokens = 16}, hooks);
  }

  static Generation Ask(Conversation& conversation, UserMessage message) {
    conversation.AddUser(std::move(message));
    auto answer = Answer(conversation);
    EXPECT_TRUE(answer.has_value()) << answer.error().Message();
    return answer ? *answer : Generation();
  }

  // Asks, and answers with a call: late in a talk Chick makes none.
  static void Call(Conversation& conversation, int64_t i) {
    ChatHistory& history = HistoryOf(conversation);
    history.AddUser({"Use a tool. call tom " + std::to_string(i), {}, {}});
    history.AddAnswer({.tool_calls = {{.name = "phone", .arguments = R"({"name": "tom"})"}}});
    EXPECT_TRUE(conversation.AwaitsToolResult());
  }

  // The i-th turn of a talk with pictures, sums, calls and sounds.
  static std::vector<Generation> Turn(Conversation& conversation, int64_t i) {
    static const char* const kPictures[] = {"see-006.png", "see-018.png", "see-030.png", "see-054.png"};
    static const char* const kSounds[] = {"hear-002.wav", "hear-014.wav", "hear-020.wav"};
    std::vector<Generation> answers;
    switch (i % 4) {
      case 0:
        answers.push_back(
            Ask(conversation, With(conversation, "what is in the picture", kPictures[i / 4 % 4])));
        break;
      case 1:
        answers.push_back(Ask(conversation, {std::to_string(i % 17) + " + 4", {}, {}}));
        break;
      case 2:
        Call(conversation, i);
        conversation.AddToolResult("tom answered " + std::to_string(i));
        if (const auto answer = Answer(conversation); answer) {
          answers.push_back(*answer);
        } else {
          ADD_FAILURE() << answer.error().Message();
        }
        break;
      default:
        answers.push_back(Ask(conversation, With(conversation, "Transcribe the audio.", kSounds[i / 4 % 3])));
        break;
    }
    return answers;
  }

  // What the conversation answers to a further question, and the bits of the logits behind it; as before
  // then.
  static std::pair<std::vector<int32_t>, std::vector<float>> Probe(Conversation& conversation) {
    const WhenFull when_full = conversation.when_full();
    conversation.SetWhenFull(WhenFull::kRefuse);
    const ChatPoint before = conversation.Point();
    conversation.AddUser({"6 + 1", {}, {}});
    const auto answer = conversation.Answer({.sampling = {.temperature = 0.0f}, .max_tokens = 4});
    EXPECT_TRUE(answer.has_value()) << answer.error().Message();
    Session& session = SessionOf(conversation);
    const int64_t length = session.length();
    const int32_t token = engine_->Tokenise("x")[0];
    EXPECT_TRUE(session.Feed({&token, 1}).has_value());
    std::vector<float> logits(session.logits().begin(), session.logits().end());
    EXPECT_TRUE(session.Truncate(length).has_value());
    conversation.GoTo(before);
    conversation.SetWhenFull(when_full);
    return {answer ? answer->ids : std::vector<int32_t>(), std::move(logits)};
  }

  static int64_t Taken(Conversation& conversation) {
    const auto use = conversation.Use();
    EXPECT_TRUE(use.has_value()) << use.error().Message();
    return use ? use->taken() : 0;
  }

  static Engine* engine_;
  static Engine* forgetful_;
};

Engine* FullContextTest::engine_ = nullptr;
Engine* FullContextTest::forgetful_ = nullptr;

// Pictures, sounds, calls and results; what is held after a shift is what a conversation reads in which
// nothing else was ever said.
TEST_F(FullContextTest, WhatStaysAnswersAsAFreshConversation) {
  for (const KvType kv : {KvType::kBf16, KvType::kF32, KvType::kInt8}) {
    const ChatSetup setup{.system = "You are terse.", .tools = kTools};
    Conversation live = Begin(600, WhenFull::kShift, setup, kv);
    int64_t shifts = 0, media = 0;
    for (int64_t i = 0; i < 20; ++i) {
      for (const Generation& answer : Turn(live, i)) {
        if (!answer.shift) continue;
        ++shifts;
        media += answer.shift->media.pictures + answer.shift->media.sounds;
        EXPECT_EQ(answer.shift->kept, live.turns());
        Conversation fresh = Fresh(live.Point(), 600, kv);
        EXPECT_EQ(Probe(live), Probe(fresh)) << i;
      }
    }
    EXPECT_GT(shifts, 2);
    EXPECT_GT(media, 2);
  }
}

TEST_F(FullContextTest, TheAnswerItselfIsThatOfAFreshConversation) {
  Conversation live = Begin(500, WhenFull::kShift);
  int compared = 0;
  for (int64_t i = 0; compared < 2 && i < 30; ++i) {
    const Generation answer =
        Ask(live, With(live, "what color is the circle", i % 2 == 0 ? "see-018.png" : "see-024.png"));
    if (!answer.shift) continue;
    ++compared;
    Conversation fresh = Fresh(live.Point(), 500);
    UserMessage question = *fresh.Asked(fresh.turns());
    ASSERT_TRUE(fresh.DropTurns(fresh.turns()).has_value());
    EXPECT_EQ(Ask(fresh, std::move(question)).ids, answer.ids);
  }
  EXPECT_EQ(compared, 2);
}

TEST_F(FullContextTest, WholeTurnsGoTheOldestAndNoMoreThanLeavesAQuarter) {
  Conversation chat = Begin(600, WhenFull::kShift, {.system = "You are terse.", .tools = kTools});
  int shifts = 0;
  for (int64_t i = 0; i < 80; ++i) {
    const auto before = *chat.Use();
    const int64_t turns = chat.turns();
    chat.AddUser({"turn on the kitchen light " + std::to_string(i), {}, {}});
    std::optional<ContextShift> told;
    GenerateHooks hooks;
    hooks.on_shift = [&](const ContextShift& shift) { told = shift; };
    const auto answer = Answer(chat, hooks);
    ASSERT_TRUE(answer.has_value()) << answer.error().Message();
    ASSERT_EQ(told.has_value(), answer->shift.has_value());
    if (!told) {
      EXPECT_EQ(chat.turns(), turns + 1);
      continue;
    }
    ++shifts;
    EXPECT_EQ(chat.turns(), turns + 1 - told->turns);
    int64_t gone = 0;
    for (int64_t t = 0; t < told->turns; ++t) gone += before.turns[static_cast<size_t>(t)].tokens.total();
    EXPECT_EQ(told->tokens, gone);
    EXPECT_GE(told->free, 150);
    EXPECT_LT(told->free, 150 + before.turns[static_cast<size_t>(told->turns - 1)].tokens.total());
    const auto after = *chat.Use();
    EXPECT_EQ(after.system.total(), before.system.total());
    EXPECT_EQ(after.tools.total(), before.tools.total());
    EXPECT_EQ(after.turns[0].asked, before.turns[static_cast<size_t>(told->turns)].asked);
  }
  EXPECT_GT(shifts, 1);
  EXPECT_LT(shifts, 20) << "each turn shifts";
}

TEST_F(FullContextTest, AnAnswerThatIsNotGivenLeavesWhatWentForIt) {
  Conversation chat = Begin(500, WhenFull::kShift);
  std::optional<ContextShift> told;
  for (int64_t i = 0; !told && i < 40; ++i) {
    const ChatPoint before = chat.Point();
    const int64_t taken = Taken(chat), turns = chat.turns();
    const std::atomic<bool> cancel{true};
    GenerateHooks hooks;
    hooks.cancel = &cancel;
    hooks.on_shift = [&](const ContextShift& shift) { told = shift; };
    UserMessage message = With(chat, "what is in the picture", i % 2 == 0 ? "see-006.png" : "see-018.png");
    chat.AddUser(message);
    const auto stopped = Answer(chat, hooks);
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
    chat.DropUnanswered();
    EXPECT_EQ(chat.turns(), turns);
    EXPECT_EQ(Taken(chat), taken);
    if (!told) {
      Ask(chat, std::move(message));
      continue;
    }
    Conversation fresh = Fresh(before, 500);
    EXPECT_EQ(Probe(chat), Probe(fresh));
  }
  EXPECT_TRUE(told.has_value());
}

TEST_F(FullContextTest, WhatDoesNotFitByItselfIsRefusedInEveryMode) {
  std::string longest;
  for (int i = 0; i < 100; ++i) longest += "turn on the kitchen light ";
  for (const WhenFull when_full : {WhenFull::kRefuse, WhenFull::kShift, WhenFull::kSummarise}) {
    Conversation chat = Begin(200, when_full), straight = Begin(200, when_full);
    Ask(chat, {"5 + 10", {}, {}});
    Ask(straight, {"5 + 10", {}, {}});
    const int64_t taken = Taken(chat);
    chat.AddUser({longest, {}, {}});
    const auto refused = Answer(chat);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().what.find("the last turn alone needs"), std::string::npos)
        << refused.error().Message();
    EXPECT_NE(refused.error().hint.find("--context"), std::string::npos) << refused.error().hint;
    chat.DropUnanswered();
    EXPECT_EQ(Taken(chat), taken);
    EXPECT_EQ(Ask(chat, {"6 + 1", {}, {}}).ids, Ask(straight, {"6 + 1", {}, {}}).ids);
  }
}

TEST_F(FullContextTest, AFullOneIsRefusedWithWhatToDo) {
  Conversation chat = Begin(150, WhenFull::kRefuse);
  for (int i = 0; i < 100; ++i) {
    const int64_t turns = chat.turns();
    chat.AddUser({"turn on the kitchen light", {}, {}});
    const auto answer = Answer(chat);
    if (answer) continue;
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(answer.error().what.find("the context is full"), std::string::npos) << answer.error().Message();
    EXPECT_NE(answer.error().hint.find("--when-full shift"), std::string::npos) << answer.error().hint;
    chat.DropUnanswered();
    EXPECT_EQ(chat.turns(), turns);
    ASSERT_TRUE(chat.DropTurns(turns - 2).has_value());
    Ask(chat, {"6 + 1", {}, {}});
    EXPECT_EQ(chat.turns(), turns - 2);
    return;
  }
  FAIL() << "it is never full";
}

// Media of a message count on what may go, and are not shrunk to what happens to be left.
TEST_F(FullContextTest, MediaHaveTheRoomThatCanBeMade) {
  for (const WhenFull when_full : {WhenFull::kRefuse, WhenFull::kShift}) {
    Conversation chat = Begin(400, when_full);
    while (Taken(chat) < 330) Ask(chat, {"turn on the kitchen light", {}, {}});
    const auto room = chat.Room({});
    ASSERT_TRUE(room.has_value());
    EXPECT_EQ(room->can_go > 300, when_full == WhenFull::kShift) << room->can_go;
    UserMessage message{"what is in the picture", {}, {}};
    const MediaLoader loader({.sandbox = false});
    std::vector<MediaPart> parts;
    for (const char* file : {"see-006.png", "see-018.png"}) {
      parts.push_back({.content = MediaSource(std::filesystem::path(
                           std::string(LINNET_SOURCE_DIR "/models/chick/examples/") + file)),
                       .options = {.image_tokens = 70}});
    }
    const auto uses = chat.Attach(loader, std::move(parts), message);
    EXPECT_EQ(uses.has_value(), when_full == WhenFull::kShift);
    if (!uses) continue;
    const Generation answer = Ask(chat, message);
    ASSERT_TRUE(answer.shift.has_value());
  }
}

TEST_F(FullContextTest, ASummaryStaysForWhatGoes) {
  Conversation chat = Begin(600, WhenFull::kSummarise, {.system = "You are terse."});
  int summaries = 0;
  for (int64_t i = 0; i < 120 && summaries < 2; ++i) {
    chat.AddUser({"turn on the kitchen light", {}, {}});
    const auto answer = Answer(chat);
    ASSERT_TRUE(answer.has_value()) << answer.error().Message();
    if (!answer->shift) continue;
    ASSERT_NE(answer->shift->summary.empty(), answer->shift->no_summary.empty());
    const auto use = *chat.Use();
    EXPECT_EQ(use.summary.total() > 0, !answer->shift->summary.empty());
    EXPECT_EQ(chat.turns(), answer->shift->kept);
    if (answer->shift->summary.empty()) continue;
    ++summaries;
    EXPECT_LT(use.summary.total(), 75 + 40);
    Conversation fresh = Fresh(chat.Point(), 600);
    EXPECT_EQ(Probe(chat), Probe(fresh));
  }
  EXPECT_EQ(summaries, 2);
  // It is no turn: it cannot be taken back, and stays when all turns are.
  ASSERT_TRUE(chat.DropTurns(1).has_value());
  EXPECT_EQ(chat.turns(), 0);
  chat.DropUnanswered();
  EXPECT_GT(chat.Use()->summary.total(), 0);
  chat.Reset();
  EXPECT_EQ(chat.Use()->summary.total(), 0);
}

// The history alone, so that the summary is known.
TEST_F(FullContextTest, TheModelIsAskedForASummaryOfWhatGoes) {
  const ModelConfig& config = engine_->impl().config;
  const Tokenizer& tokenizer = *engine_->impl().tokenizer;
  ChatHistory history("You are terse.", nullptr, true);
  for (int i = 0; i < 40; ++i) {
    history.AddUser({"question " + std::to_string(i), {}, {}});
    history.AddAnswer({.text = "answer " + std::to_string(i)});
  }
  history.AddUser({"the last", {}, {}});
  const auto rendered = history.Render(tokenizer, config);
  ASSERT_TRUE(rendered.has_value());
  const auto tokens = static_cast<int64_t>(rendered->prompt.ids.size());
  const FullContext full(tokenizer, config, {.context = tokens + 1, .when_full = WhenFull::kSummarise});
  std::vector<std::string> asked;
  const auto shifted =
      full.MakeRoom(history, tokens, [&](const ChatHistory& request, int64_t most) -> Result<std::string> {
        EXPECT_FALSE(request.thinking());
        EXPECT_GT(most, 0);
        for (const auto& message : request.messages()) asked.push_back(message.json["content"]);
        return " <turn|>they counted\n";
      });
  ASSERT_TRUE(shifted.has_value() && shifted->has_value());
  const auto gone = static_cast<size_t>((*shifted)->shift.turns);
  ASSERT_GT(gone, 1u);
  ASSERT_EQ(asked.size(), 2 + 2 * gone);
  EXPECT_EQ(asked[1], "question 0");
  EXPECT_EQ(asked[2 * gone], "answer " + std::to_string(gone - 1));
  EXPECT_TRUE(asked.back().starts_with("Summarise"));
  EXPECT_EQ((*shifted)->shift.summary, "<turn|>they counted");
  const int64_t summary = CountUse((*shifted)->history, tokenizer, config)->summary.total();
  EXPECT_GT(summary, 0);
  EXPECT_EQ((*shifted)->shift.free, tokens + 1 - (tokens - (*shifted)->shift.tokens + summary));
  const auto& messages = (*shifted)->history.messages();
  EXPECT_EQ(messages[0].json["role"], "system");
  EXPECT_EQ(messages[1].json["role"], "user");
  EXPECT_TRUE(messages[1].json["content"].get<std::string>().ends_with("<turn|>they counted"));
  EXPECT_EQ(messages[2].json["content"], "question " + std::to_string(gone));
  EXPECT_EQ(messages.back().json["content"], "the last");
  EXPECT_TRUE((*shifted)->history.thinking());
  // Without one the turns go all the same, and it is said.
  const auto without = full.MakeRoom(
      history, tokens, [](const ChatHistory&, int64_t) -> Result<std::string> { return " \n"; });
  ASSERT_TRUE(without.has_value() && without->has_value());
  EXPECT_EQ((*without)->shift.turns, static_cast<int64_t>(gone));
  EXPECT_EQ((*without)->shift.no_summary, "the model wrote none");
  // What stops the model stops the shift.
  const auto failed = full.MakeRoom(history, tokens, [](const ChatHistory&, int64_t) -> Result<std::string> {
    return Fail(ErrorCode::kCancelled, "stopped");
  });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kCancelled);
}

// Where users and models must take turns, a summary is part of the message behind it.
TEST_F(FullContextTest, ASummaryIsRenderedByEveryFormat) {
  ChatHistory history("Be kind.", nullptr, false);
  for (const char* text : {"one", "two"}) {
    history.AddUser({text, {}, {}});
    history.AddAnswer({.text = "yes"});
  }
  history.DropFirstTurns(1);
  history.SetSummary("They counted.");
  history.SetSummary("They counted to one.");
  EXPECT_EQ(history.TurnBegins().size(), 1u);
  ModelConfig config = engine_->impl().config;
  const std::string summary =
      "A summary of what we said before, which is no longer here:\n\nThey counted to one.";
  EXPECT_EQ(history.RenderText(config, false)->text.Spelled(),
            "<bos><|turn>system\nBe kind.<turn|>\n<|turn>user\n" + summary +
                "<turn|>\n<|turn>user\ntwo<turn|>\n<|turn>model\nyes<turn|>\n");
  config.model_type = "gemma3_text";
  EXPECT_EQ(history.RenderText(config, false)->text.Spelled(),
            "<bos><start_of_turn>user\nBe kind.\n\n" + summary +
                "\n\ntwo<end_of_turn>\n<start_of_turn>model\nyes<end_of_turn>\n");
}

TEST_F(FullContextTest, TheUseOfTheContextAddsUp) {
  Conversation chat = Begin(4096, WhenFull::kRefuse, {.system = "You are terse.", .tools = kTools});
  // The beginning of an answer, which no message takes.
  const auto opening = [&](const UserMessage& next) {
    return chat.Room(next)->taken - chat.Use(next)->taken();
  };
  const int64_t tokens = opening({"hello", {}, {}});
  EXPECT_GT(tokens, 2);
  EXPECT_LT(tokens, 10);
  for (int64_t i = 0; i < 4; ++i) Turn(chat, i);
  EXPECT_EQ(opening({"hello", {}, {}}), tokens);
  EXPECT_EQ(opening(*chat.Asked(1)), tokens);
  EXPECT_EQ(opening(*chat.Asked(4)), tokens);
  const auto use = *chat.Use();
  ASSERT_EQ(use.turns.size(), 4u);
  EXPECT_EQ(use.context, 4096);
  EXPECT_EQ(use.answer_room, 512);
  EXPECT_GT(use.tools.text, 20);
  EXPECT_EQ(use.turns[0].media.pictures, 1);
  EXPECT_EQ(use.turns[0].tokens.pictures, std::get<ImageInput>(chat.Asked(1)->pictures[0].impl().input).rows);
  EXPECT_EQ(use.turns[1].tokens.total(), use.turns[1].tokens.text);
  EXPECT_EQ(use.turns[2].calls, 1);
  EXPECT_EQ(use.turns[3].media.sounds, 1);
  EXPECT_GT(use.turns[3].tokens.sounds, 10);
  EXPECT_EQ(use.turns[2].asked, "Use a tool. call tom 2");
}

TEST_F(FullContextTest, TurnsAreTakenBackAndChanged) {
  Conversation chat = Begin(2048, WhenFull::kRefuse), straight = Begin(2048, WhenFull::kRefuse);
  EXPECT_FALSE(chat.DropTurns(1).has_value());
  EXPECT_FALSE(chat.Asked(1).has_value());
  Ask(chat, With(chat, "what is in the picture", "see-006.png"));
  Ask(straight, With(straight, "what is in the picture", "see-006.png"));
  // Another picture of the same size takes the place of the one that was taken back.
  Ask(chat, With(chat, "what color is the circle", "see-024.png"));
  Ask(chat, {"5 + 10", {}, {}});
  const auto wrong = chat.DropTurns(4);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().Message(), "there is no turn 4; the turns are 1 to 3");
  EXPECT_FALSE(chat.DropTurns(0).has_value());
  ASSERT_TRUE(chat.DropTurns(2).has_value());
  EXPECT_EQ(chat.turns(), 1);
  const Generation a = Ask(chat, With(chat, "what color is the circle", "see-018.png"));
  const Generation b = Ask(straight, With(straight, "what color is the circle", "see-018.png"));
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(Probe(chat), Probe(straight));
  UserMessage asked = *chat.Asked(2);
  EXPECT_EQ(asked.text, "what color is the circle");
  EXPECT_EQ(asked.pictures.size(), 1u);
  // A turn in which a call waits goes with its call.
  Call(chat, 1);
  ASSERT_TRUE(chat.DropTurns(3).has_value());
  EXPECT_FALSE(chat.AwaitsToolResult());
  EXPECT_EQ(Probe(chat), Probe(straight));
}

TEST_F(FullContextTest, OneGoesBackToAPoint) {
  Conversation chat = Begin(2048, WhenFull::kRefuse, {.system = "You are terse."});
  Ask(chat, With(chat, "what is in the picture", "see-006.png"));
  const ChatPoint fork = chat.Point();
  Ask(chat, With(chat, "what color is the circle", "see-018.png"));
  const ChatPoint first = chat.Point();
  const auto expected = Probe(chat);
  chat.GoTo(fork);
  Ask(chat, With(chat, "what color is the circle", "see-024.png"));
  const ChatPoint second = chat.Point();
  EXPECT_EQ(chat.turns(), 2);
  chat.SetSystem("Answer in French.");
  EXPECT_EQ(chat.turns(), 0);
  chat.GoTo(first);
  EXPECT_EQ(Probe(chat), expected);
  Conversation fresh = Fresh(second, 2048);
  chat.GoTo(second);
  EXPECT_EQ(Probe(chat), Probe(fresh));
}

// Memory that conversations keep does not grow with the turns that went.
class ThousandTurns : public FullContextTest {
 protected:
  // The store of what was read is full long before the first look.
  static constexpr uint64_t kStore = 4'000'000;
  static void SetUpTestSuite() {
    GiveBackWhatIsFreed();
    engine_ = LoadChick(static_cast<int64_t>(kStore));
    forgetful_ = nullptr;
  }
  static void Run(int64_t early, int64_t turns) {
    Conversation chat = Begin(800, WhenFull::kShift, {.system = "You are terse.", .tools = kTools});
    uint64_t before = 0;
    for (int64_t i = 1; i <= turns; ++i) {
      Turn(chat, i);
      if (i == early) before = ResidentBytes();
      if (i == early / 2) {
        EXPECT_GT(2 * engine_->impl().prefixes.bytes(), kStore) << "the store is not full yet";
      }
    }
    const auto after = static_cast<double>(ResidentBytes());
    RecordProperty("resident_early", std::to_string(before));
    RecordProperty("resident_late", std::to_string(after));
    EXPECT_LT(after, 1.01 * static_cast<double>(before));
    EXPECT_GT(after, 0.99 * static_cast<double>(before));
  }
};

TEST_F(ThousandTurns, KeepTheirMemoryForAWhile) { Run(100, 200); }

// The test "thousand_turns".
TEST_F(ThousandTurns, DISABLED_KeepTheirMemory) { Run(100, 1000); }

}  // namespace
}  // namespace linnet
