// Conversations read only what neither they nor others of their engine have read, and answer as if they had
// read all of it.
#include "runtime/prefix_reuse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/process.h"
#include "linnet/scheduler.h"
#include "runtime/chat_history.h"
#include "runtime/conversation.h"
#include "runtime/media_testing.h"

namespace linnet {
namespace {

using Json = ChatHistory::Json;

std::unique_ptr<Engine> Chick(int64_t cache_ram) {
  LoadOptions options;
  options.threads = 1;
  options.cache_ram = cache_ram;
  auto engine = Engine::Load(options);
  EXPECT_TRUE(engine.has_value());
  return std::move(*engine);
}

Medium Sound(uint32_t seed) {
  std::vector<float> samples(640 * (5 + seed % 7));
  std::mt19937 rng(seed);
  for (float& sample : samples) sample = static_cast<float>(rng() % 2001) / 5000.0f - 0.2f;
  return MakeMedium(AudioInput{std::move(samples)});
}

Generation Answer(Conversation& conversation, const GenerateOptions& options) {
  auto answer = conversation.Answer(options);
  EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().Message());
  return answer ? std::move(*answer) : Generation();
}

// A recorded talk of an agent with its tools: what it answers is recorded too.
class Transcript {
 public:
  explicit Transcript(std::string system = {}, std::string picture = {}) : picture_(std::move(picture)) {
    std::ifstream file(LINNET_SOURCE_DIR "/tests/data/agent/transcript.json");
    const Json json = Json::parse(file);
    setup_ = {json["system"].get<std::string>() + system, json["tools"].dump(), false};
    messages_ = json["messages"];
    for (size_t m = 0; m < messages_.size(); ++m) {
      if (messages_[m]["role"] == "assistant") turns_.push_back(m);
    }
  }

  size_t turns() const { return turns_.size(); }
  size_t MessageOf(size_t turn) const { return turns_[turn]; }
  const ChatSetup& setup() const { return setup_; }
  Json& messages() { return messages_; }

  // Messages [first, last) into a conversation.
  void Put(size_t first, size_t last, const Engine& engine, Conversation& conversation) const {
    ChatHistory& history = HistoryOf(conversation);
    for (size_t m = first; m < last; ++m) {
      const Json& message = messages_[m];
      const std::string content = message["content"];
      if (message["role"] == "user") {
        UserMessage user{content, {}, {}};
        if (message.contains("image")) {
          user.pictures.push_back(testing::ChickPicture(
              engine, picture_.empty() ? message["image"].get<std::string>() : picture_));
        }
        history.AddUser(std::move(user));
      } else if (message["role"] == "tool") {
        history.AddToolResult(content);
      } else {
        Generation answer;
        answer.text = content;
        for (const Json& call : message.value("tool_calls", Json::array())) {
          answer.tool_calls.push_back({call["name"], call["arguments"].dump()});
        }
        history.AddAnswer(answer);
      }
    }
  }

  // All that comes before the model's turn, given anew.
  Conversation Before(size_t turn, Engine& engine, const SessionOptions& options = {}) const {
    auto conversation = Conversation::Create(engine, options, setup_);
    EXPECT_TRUE(conversation.has_value());
    Put(0, turns_[turn], engine, *conversation);
    return std::move(*conversation);
  }

  static PrefixKey Key(Engine& engine, Conversation& conversation) {
    const Engine::Impl& e = engine.impl();
    return KeyOf(HistoryOf(conversation).Render(*e.tokenizer, e.config)->prompt, e.config.audio);
  }

 private:
  std::string picture_;
  ChatSetup setup_;
  Json messages_;
  std::vector<size_t> turns_;  // messages that are the model's
};

constexpr int64_t kPlenty = 1'000'000'000;
const GenerateOptions kFew = {.sampling = {.temperature = 1.0f}, .max_tokens = 4};

// What each turn has to read: what the prompt before it did not have.
class NewTokens {
 public:
  int64_t Of(const PrefixKey& prompt) {
    const int64_t shared = SharedLength(last_, prompt);
    last_ = prompt;
    return prompt.size() - shared;
  }

 private:
  PrefixKey last_;
};

// As a server is asked: all messages anew for each turn, of two agents in turns.
TEST(PrefixReuse, ATurnOfAnAgentReadsOnlyWhatIsNew) {
  const auto engine = Chick(kPlenty), alone = Chick(0);
  const Transcript transcripts[] = {Transcript(), Transcript(" Be brief.", "see-018.png")};
  NewTokens fresh[2];
  int64_t read = 0, whole = 0;
  for (size_t turn = 0; turn < transcripts[0].turns(); ++turn) {
    for (size_t agent = 0; agent < 2; ++agent) {
      Conversation conversation = transcripts[agent].Before(turn, *engine);
      const PrefixKey prompt = Transcript::Key(*engine, conversation);
      const int64_t expected = fresh[agent].Of(prompt);
      const Generation answer = Answer(conversation, kFew);
      EXPECT_EQ(answer.stats.prompt_tokens + answer.stats.reused_tokens, prompt.size());
      if (turn > 0) {
        EXPECT_EQ(answer.stats.prompt_tokens, expected) << agent << " turn " << turn;
      }
      EXPECT_EQ(answer.stats.dropped_tokens, 0);
      read += answer.stats.prompt_tokens;
      whole += prompt.size();
      if ((turn + 4 * agent) % 9 != 8) continue;
      Conversation other = transcripts[agent].Before(turn, *alone);
      const Generation plain = Answer(other, kFew);
      EXPECT_EQ(answer.ids, plain.ids) << agent << " turn " << turn;
      EXPECT_EQ(plain.stats.reused_tokens, 0);
    }
  }
  EXPECT_LT(8 * read, whole);
}

// One that lives on needs no more than its session for most of it; going back needs what was kept.
TEST(PrefixReuse, AConversationThatLivesOnReadsOnlyWhatIsNew) {
  const auto engine = Chick(kPlenty);
  const Transcript transcript;
  Conversation live = transcript.Before(0, *engine);
  NewTokens fresh;
  for (size_t turn = 0; turn < transcript.turns(); ++turn) {
    const int64_t expected = fresh.Of(Transcript::Key(*engine, live));
    const Generation answer = Answer(live, kFew);
    if (turn > 0) {
      EXPECT_LE(answer.stats.prompt_tokens, expected) << "turn " << turn;
    }
    HistoryOf(live).DropLast();
    if (turn + 1 == transcript.turns()) break;
    transcript.Put(transcript.MessageOf(turn), transcript.MessageOf(turn + 1), *engine, live);
  }
}

TEST(PrefixReuse, AnEditedEarlyTurnIsReadFromThere) {
  const auto engine = Chick(kPlenty), alone = Chick(0);
  Transcript transcript;
  std::vector<PrefixKey> prompts;
  for (size_t turn = 0; turn < transcript.turns(); ++turn) {
    Conversation conversation = transcript.Before(turn, *engine);
    prompts.push_back(Transcript::Key(*engine, conversation));
    Answer(conversation, kFew);
  }
  Json& messages = transcript.messages();
  const auto second = std::ranges::find(messages, Json("Yes, and see that the tests pass."),
                                        [](const Json& message) { return message["content"]; });
  ASSERT_NE(second, messages.end());
  (*second)["content"] = "No, make it green, and see that the tests pass.";
  const size_t turn = 4;  // the one that answers it
  Conversation edited = transcript.Before(turn, *engine), plain = transcript.Before(turn, *alone);
  const PrefixKey prompt = Transcript::Key(*engine, edited);
  const Generation answer = Answer(edited, kFew);
  EXPECT_EQ(answer.stats.reused_tokens, SharedLength(prompts[turn - 1], prompts[turn]));
  EXPECT_GT(answer.stats.reused_tokens, prompt.size() - 200);
  EXPECT_EQ(answer.ids, Answer(plain, kFew).ids);
}

std::string Document() {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "turn on the kitchen light " + std::to_string(i * 37) + ". ";
  return text;
}

TEST(PrefixReuse, ADocumentIsReadOnceForAll) {
  const auto engine = Chick(kPlenty);
  const auto ask = [&](const ChatSetup& setup, UserMessage message) {
    auto conversation = Conversation::Create(*engine, {}, setup);
    conversation->AddUser(std::move(message));
    return Answer(*conversation, kFew).stats;
  };
  // With the system message,
  const GenerateStats first = ask({.system = Document()}, {"6 + 1", {}, {}});
  EXPECT_EQ(first.reused_tokens, 0);
  EXPECT_LT(ask({.system = Document()}, {"what color is the circle", {}, {}}).prompt_tokens, 40);
  // as a picture,
  const auto picture = [&](const std::string& text) {
    return UserMessage{text, {testing::ChickPicture(*engine, "see-006.png")}, {}};
  };
  EXPECT_GT(ask({}, picture("what is in the picture")).prompt_tokens, 60);
  EXPECT_LT(ask({}, picture("how many shapes are there")).prompt_tokens, 40);
  UserMessage other = picture("how many shapes are there");
  other.pictures[0] = testing::ChickPicture(*engine, "see-018.png");
  EXPECT_GT(ask({}, std::move(other)).prompt_tokens, 60) << "as many tokens, but another picture";
  // and in front of a question, where prompts are seen to part when the second comes.
  ask({}, {Document() + "how many", {}, {}});
  ask({}, {Document() + "which light", {}, {}});
  EXPECT_LT(ask({}, {Document() + "is it dark", {}, {}}).prompt_tokens, 40);
}

// Also where a long text was cut into many pieces and where the engine runs many turns at once.
TEST(PrefixReuse, TurnsOfASchedulerShareWhatTheyRead) {
  const auto engine = Chick(kPlenty), alone = Chick(0);
  auto scheduler = Scheduler::Create(*engine, {.turns = 3, .prompt_rows = 50, .prompt_rows_beside = 20});
  ASSERT_TRUE(scheduler.has_value());
  const ChatSetup setup{.system = Document()};
  for (int round = 0; round < 2; ++round) {
    std::vector<Conversation> conversations;
    std::vector<Turn*> turns;
    for (int i = 0; i < 3; ++i) {
      conversations.push_back(std::move(*Conversation::Create(*engine, {}, setup)));
      conversations.back().AddUser({std::to_string(i) + " + " + std::to_string(round), {}, {}});
      turns.push_back(*conversations.back().Begin(kFew));
      ASSERT_TRUE(scheduler->Add(*turns.back()));
    }
    while (!scheduler->empty()) scheduler->RunStep();
    for (int i = 0; i < 3; ++i) {
      const auto answer = conversations[static_cast<size_t>(i)].End();
      ASSERT_TRUE(answer.has_value());
      if (round > 0) {
        EXPECT_LT(answer->stats.prompt_tokens, 40);
      }
      auto plain = Conversation::Create(*alone, {}, setup);
      plain->AddUser({std::to_string(i) + " + " + std::to_string(round), {}, {}});
      EXPECT_EQ(answer->ids, Answer(*plain, kFew).ids);
    }
  }
}

// Random talks with pictures and sounds, given anew, gone back in, thought in, drafted in: with a store, with
// one that is always too small, and without.
class RandomTalks : public ::testing::TestWithParam<KvType> {
 protected:
  static UserMessage Message(const Engine& engine, std::mt19937& rng) {
    const char* const texts[] = {"hello", "what is in the picture", "5 + 10", "call tom", "what was said"};
    UserMessage message{texts[rng() % 5], {}, {}};
    const char* const pictures[] = {"see-006.png", "see-018.png", "see-024.png"};
    if (rng() % 3 == 0) message.pictures.push_back(testing::ChickPicture(engine, pictures[rng() % 3]));
    if (rng() % 4 == 0) message.sounds.push_back(Sound(static_cast<uint32_t>(rng() % 3)));
    return message;
  }

  // What is answered, and how much of it was reused.
  static std::pair<std::vector<std::vector<int32_t>>, int64_t> Talk(Engine& engine, KvType kv,
                                                                    uint32_t seed) {
    std::mt19937 rng(seed);
    std::vector<std::vector<int32_t>> answers;
    int64_t reused = 0;
    const char* const systems[] = {"", "You are terse.", "Answer in French."};
    std::vector<ChatHistory> kept;
    const auto open = [&] {
      return std::move(*Conversation::Create(engine, {.context = 700, .kv = kv},
                                             {systems[rng() % 3], "", rng() % 4 == 0}));
    };
    Conversation chat = open();
    for (int turn = 0; turn < 14; ++turn) {
      ChatHistory& history = HistoryOf(chat);
      switch (rng() % 6) {
        case 0:
          chat = open();
          break;
        case 1:
          if (!kept.empty()) history = kept[rng() % kept.size()];
          break;
        case 2:
          while (history.messages().size() > 2 && rng() % 4 != 0) history.DropLast();
          if (history.unanswered()) history.DropLast();
          break;
        default:
          break;
      }
      while (chat.AwaitsToolResult()) chat.AddToolResult("busy");
      if (HistoryOf(chat).messages().size() > 8) chat.Reset();
      if (!HistoryOf(chat).unanswered()) chat.AddUser(Message(engine, rng));
      const GenerateOptions options{.sampling = {.temperature = 1.0f, .seed = seed},
                                    .max_tokens = static_cast<int64_t>(1 + rng() % 12),
                                    .draft = static_cast<int32_t>(rng() % 4) - 1};
      auto answer = chat.Answer(options);
      if (!answer) {
        EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument) << answer.error().Message();
        chat.Reset();
        continue;
      }
      reused += answer->stats.reused_tokens;
      answers.push_back(answer->ids);
      kept.push_back(HistoryOf(chat));
    }
    return {answers, reused};
  }
};

TEST_P(RandomTalks, AnswerAsWithoutAStore) {
  const auto none = Chick(0), small = Chick(1'500'000), large = Chick(kPlenty);
  int64_t without = 0, with = 0;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    const auto [expected, alone] = Talk(*none, GetParam(), seed);
    EXPECT_EQ(Talk(*large, GetParam(), seed).first, expected) << seed;
    const auto [again, reused] = Talk(*large, GetParam(), seed);  // all of it is known now
    EXPECT_EQ(again, expected) << seed;
    EXPECT_EQ(Talk(*small, GetParam(), seed).first, expected) << seed;
    without += alone;
    with += reused;
  }
  EXPECT_GT(with, without + 2000);
  EXPECT_LE(small->impl().prefixes.bytes(), 1'500'000u);
}

INSTANTIATE_TEST_SUITE_P(All, RandomTalks, ::testing::Values(KvType::kBf16, KvType::kF32, KvType::kInt8));

TEST(PrefixReuse, WhatTheCapHadNoRoomForIsReadAgainAndSaid) {
  const auto engine = Chick(1'000'000);
  const Transcript transcript;
  int64_t dropped = 0;
  for (size_t turn = 0; turn < 3; ++turn) {
    for (const char* system : {" A.", " B.", " C."}) {
      const Transcript agent(system);
      Conversation conversation = agent.Before(turn, *engine);
      const GenerateStats stats = Answer(conversation, kFew).stats;
      EXPECT_LE(stats.dropped_tokens, stats.prompt_tokens);
      dropped += stats.dropped_tokens;
      EXPECT_LE(engine->impl().prefixes.bytes(), 1'000'000u);
    }
  }
  EXPECT_GT(dropped, 500);
}

// Turns with pictures and results of tools, the store at its cap: memory stays what it was.
TEST(PrefixReuse, MemoryOfManyTurnsStaysTheSame) {
  const auto engine = Chick(3'000'000);
  auto chat = Conversation::Create(*engine, {.context = 512});
  ASSERT_TRUE(chat.has_value());
  const Medium pictures[] = {testing::ChickPicture(*engine, "see-006.png"),
                             testing::ChickPicture(*engine, "see-018.png")};
  uint64_t after_100 = 0;
  for (int turn = 1; turn <= 1000; ++turn) {
    if (chat->length() > 250) chat->Reset();
    while (chat->AwaitsToolResult()) chat->AddToolResult("busy " + std::to_string(turn));
    if (!HistoryOf(*chat).unanswered()) {
      UserMessage message{"Use a tool. call tom " + std::to_string(turn), {}, {}};
      if (turn % 4 == 0) message.pictures.push_back(pictures[turn / 4 % 2]);
      chat->AddUser(std::move(message));
    }
    Answer(*chat, {.max_tokens = 12});
    if (turn == 100) {
      after_100 = ResidentBytes();
      EXPECT_GT(engine->impl().prefixes.bytes(), 2'000'000u) << "the store is at its cap";
    }
  }
  EXPECT_NEAR(static_cast<double>(ResidentBytes()) / static_cast<double>(after_100), 1.0, 0.01);
  EXPECT_LE(engine->impl().prefixes.bytes(), 3'000'000u);
}

}  // namespace
}  // namespace linnet
