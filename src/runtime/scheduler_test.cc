// Whatever else the steps of a turn compute, its answer is the one it gives alone.
#include "runtime/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "model/config.h"
#include "runtime/conversation.h"
#include "runtime/media_input.h"

namespace linnet {
namespace {

constexpr size_t kKinds = 24;  // of conversations that the schedules draw from

Picture Pixels(int width, int height, uint32_t seed) {
  Picture picture{width, height, {}};
  std::mt19937 rng(seed);
  picture.rgb.resize(static_cast<size_t>(3 * width * height));
  for (uint8_t& value : picture.rgb) value = static_cast<uint8_t>(rng());
  return picture;
}

class SchedulerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    LoadOptions options;
    options.threads = 2;
    auto loaded = Engine::Load(options);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().Message();
    engine_ = loaded->release();
  }
  static void TearDownTestSuite() {
    alone_.clear();
    delete std::exchange(engine_, nullptr);
  }

  // A conversation of a kind: another prompt, picture, sound, type of cache, and number of rows a call.
  static Conversation Open(size_t kind) {
    SessionOptions session;
    session.context = 512;
    session.rows_per_call = std::array<int64_t, 3>{512, 40, 7}[kind % 3];
    session.kv = std::array{KvType::kBf16, KvType::kF32, KvType::kInt8}[kind / 3 % 3];
    auto chat =
        Conversation::Create(*engine_, session, {kind % 4 == 1 ? "Answer in French." : "", "", false});
    EXPECT_TRUE(chat.has_value());
    const char* const texts[] = {"hello", "Translate to German: the dog is big", "what is in the picture",
                                 "how much is 3 plus 4", "what was said"};
    UserMessage message;
    message.text = texts[kind % 5];
    const uint32_t seed = static_cast<uint32_t>(kind);
    if (kind % 5 == 2) {
      const Picture picture = Pixels(96 + 48 * static_cast<int>(kind % 4), 96, seed);
      message.pictures.push_back(MakeMedium(*MakeImageInput(picture, 70, engine_->impl().config)));
    }
    if (kind % 5 == 4) {
      std::vector<float> samples(640 * (3 + kind));
      std::mt19937 rng(seed);
      for (float& sample : samples) sample = static_cast<float>(rng() % 2001) / 5000.0f - 0.2f;
      message.sounds.push_back(MakeMedium(AudioInput{std::move(samples)}));
    }
    chat->AddUser(std::move(message));
    return std::move(*chat);
  }

  static GenerateOptions Options(size_t kind) {
    GenerateOptions options;
    options.sampling.temperature = kind % 2 == 0 ? 0.0f : 1.5f;
    options.sampling.top_k = kind % 3 == 0 ? 0 : 20;
    options.sampling.repetition_penalty = kind % 4 == 3 ? 1.3f : 1.0f;
    options.sampling.seed = kind;
    options.draft = std::array{0, -1, 3, 15}[kind % 4];
    options.max_tokens = static_cast<int64_t>(3 + kind % 13);
    return options;
  }

  // What a kind answers by itself.
  static const Generation& Alone(size_t kind) {
    auto found = alone_.find(kind);
    if (found == alone_.end()) {
      Conversation chat = Open(kind);
      auto answer = chat.Answer(Options(kind));
      EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().Message());
      found = alone_.emplace(kind, std::move(*answer)).first;
    }
    return found->second;
  }

  // Read now or before.
  static int64_t PromptTokens(const Generation& answer) {
    return answer.stats.prompt_tokens + answer.stats.reused_tokens;
  }

  static void ExpectAsAlone(size_t kind, const Generation& answer) {
    const Generation& alone = Alone(kind);
    EXPECT_EQ(answer.ids, alone.ids) << "kind " << kind;
    EXPECT_EQ(answer.text, alone.text) << "kind " << kind;
    EXPECT_EQ(answer.thought, alone.thought) << "kind " << kind;
    EXPECT_EQ(answer.finish, alone.finish) << "kind " << kind;
    EXPECT_EQ(PromptTokens(answer), PromptTokens(alone)) << "kind " << kind;
    EXPECT_EQ(answer.stats.decode_steps, alone.stats.decode_steps) << "kind " << kind;
  }

  // One that was stopped somewhere: its beginning is that of the whole answer.
  static void ExpectBeginning(size_t kind, const Result<Generation>& answer) {
    if (!answer) {
      EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
      return;
    }
    const std::vector<int32_t>& whole = Alone(kind).ids;
    ASSERT_LE(answer->ids.size(), whole.size());
    EXPECT_TRUE(std::equal(answer->ids.begin(), answer->ids.end(), whole.begin())) << "kind " << kind;
  }

  // A conversation whose turn was cut short answers as if it had been alone all the time.
  static void ExpectGoesOn(Conversation& chat) {
    chat.Reset();
    chat.AddUser({"hello", {}, {}});
    Conversation fresh = Open(0);
    fresh.Reset();
    fresh.AddUser({"hello", {}, {}});
    const auto again = chat.Answer(Options(0)), expected = fresh.Answer(Options(0));
    ASSERT_TRUE(again.has_value() && expected.has_value());
    EXPECT_EQ(again->ids, expected->ids);
  }

  static inline Engine* engine_ = nullptr;
  static inline std::map<size_t, Generation> alone_;
};

// Eight conversations that join at random moments; some are cancelled, by their flag or by taking them out.
class RandomSchedules : public SchedulerTest, public ::testing::WithParamInterface<uint32_t> {
 protected:
  struct Joined {
    size_t kind = 0;
    Conversation chat;
    Turn* turn = nullptr;
    std::atomic<bool> cancel = false;
    bool to_cancel = false;
  };

  void RunOne(uint32_t seed) {
    std::mt19937 rng(seed);
    SchedulerOptions options;
    options.turns = 1 + rng() % 8;
    options.prompt_rows = 1 + rng() % 100;
    options.prompt_rows_beside = 1 + rng() % 40;
    options.steady = rng() % 2 == 0;
    auto scheduler = Scheduler::Create(*engine_, options);
    ASSERT_TRUE(scheduler.has_value());
    std::vector<std::unique_ptr<Joined>> joined;
    size_t opened = 0, ended = 0;
    while (ended < 8) {
      if (opened < 8 && !scheduler->full() && (scheduler->empty() || rng() % 3 == 0)) {
        joined.push_back(Join(rng() % kKinds, *scheduler));
        joined.back()->to_cancel = rng() % 4 == 0;
        ++opened;
      }
      const auto some = joined.begin() + static_cast<std::ptrdiff_t>(rng() % joined.size());
      if ((*some)->to_cancel && rng() % 4 == 0) (*some)->cancel = true;
      for (Turn* turn : scheduler->RunStep()) {
        const auto left = std::ranges::find_if(joined, [&](const auto& j) { return j->turn == turn; });
        Leave(**left);
        joined.erase(left);
        ++ended;
      }
    }
    EXPECT_TRUE(scheduler->empty());
  }

  static std::unique_ptr<Joined> Join(size_t kind, Scheduler& scheduler) {
    auto joined = std::unique_ptr<Joined>(new Joined{.kind = kind, .chat = Open(kind)});
    auto turn = joined->chat.Begin(Options(kind), &joined->cancel);
    EXPECT_TRUE(turn.has_value()) << (turn ? "" : turn.error().Message());
    joined->turn = *turn;
    EXPECT_TRUE(scheduler.Add(**turn));
    return joined;
  }

  static void Leave(Joined& joined) {
    const auto answer = joined.chat.End();
    if (joined.cancel) return ExpectBeginning(joined.kind, answer);
    ASSERT_TRUE(answer.has_value()) << answer.error().Message();
    ExpectAsAlone(joined.kind, *answer);
  }
};

TEST_P(RandomSchedules, EveryAnswerIsTheOneItGivesAlone) {
  for (uint32_t i = 0; i < 20 && !HasFailure(); ++i) {
    SCOPED_TRACE("schedule " + std::to_string(20 * GetParam() + i));
    RunOne(20 * GetParam() + i);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RandomSchedules, ::testing::Range(0u, 50u));

// A turn that was cut short leaves a conversation that goes on as if it had been alone all the time.
TEST_F(SchedulerTest, ConversationsGoOnAfterACancelledTurn) {
  Conversation chat = Open(2), other = Open(4);
  auto scheduler = Scheduler::Create(*engine_, {});
  ASSERT_TRUE(scheduler.has_value());
  std::atomic<bool> cancel = false;
  auto turn = chat.Begin(Options(2), &cancel), beside = other.Begin(Options(4));
  ASSERT_TRUE(turn.has_value() && beside.has_value());
  ASSERT_TRUE(scheduler->Add(**turn));
  ASSERT_TRUE(scheduler->Add(**beside));
  scheduler->RunStep();
  cancel = true;
  while (!scheduler->empty()) scheduler->RunStep();
  ExpectBeginning(2, chat.End());
  const auto answer = other.End();
  ASSERT_TRUE(answer.has_value());
  ExpectAsAlone(4, *answer);
  ExpectGoesOn(chat);
}

TEST_F(SchedulerTest, TellsEachTurnsEventsApart) {
  Conversation a = Open(1), b = Open(3);
  auto scheduler = Scheduler::Create(*engine_, {});
  Turn* turns[] = {*a.Begin(Options(1)), *b.Begin(Options(3))};
  std::string texts[2];
  for (Turn* turn : turns) ASSERT_TRUE(scheduler->Add(*turn));
  const auto listen = [&] {
    for (size_t i = 0; i < 2; ++i) {
      for (const TurnEvent& event : turns[i]->TakeEvents()) texts[i] += event.text;
    }
  };
  while (!scheduler->empty()) {
    scheduler->RunStep();
    listen();
  }
  EXPECT_EQ(texts[0], Alone(1).thought + Alone(1).text);
  EXPECT_EQ(texts[1], Alone(3).thought + Alone(3).text);
}

// A picture that goes through half a layer at a time while others' steps are computed.
TEST_F(SchedulerTest, PicturesAreReadAside) {
  constexpr size_t kPicture = 2, kOther = 1;
  Conversation chat = Open(kPicture), other = Open(kOther);
  auto turn = chat.Begin(Options(kPicture)), beside = other.Begin(Options(kOther));
  ASSERT_TRUE(turn.has_value() && beside.has_value());
  Engine::Impl& engine = engine_->impl();
  Step step;
  step.Reserve(engine.config, 64, WantedRows(1));
  engine.decoder->Reserve(64);
  Turn* turns[] = {*beside};
  Turn* working[1];
  ReadingAside aside(engine);
  aside.Reserve((*turn)->impl().continuation.largest_block());
  int64_t parts = 0;
  while (!(*turn)->done()) {
    if (!(*beside)->done()) RunTurns(engine, step, {turns, working}, {.prompt_rows = 8});
    if (aside.turn() != nullptr) {
      aside.Run(0);
      ++parts;
      continue;
    }
    Turn::Impl& impl = (*turn)->impl();
    const RowLimits limits{.prompt_rows = 3};
    if (impl.continuation.reading() && impl.continuation.NextRows(limits) > 3) {
      ASSERT_TRUE(aside.Begin(**turn, impl.Want(limits)));
      continue;
    }
    step.Clear();
    ASSERT_TRUE(step.Add(impl.Want(limits)));
    ASSERT_TRUE(engine.RunStep(step, nullptr, nullptr));
    impl.Take({step.hidden(0), step.logits(0), 0});
  }
  EXPECT_EQ(parts, 2 * static_cast<int64_t>(engine.config.layers.size()));
  const auto answer = chat.End(), answer_beside = other.End();
  ASSERT_TRUE(answer.has_value() && answer_beside.has_value());
  ExpectAsAlone(kPicture, *answer);
  ExpectAsAlone(kOther, *answer_beside);
}

// Whoever leaves in the middle of a picture goes on later as if it had not begun.
TEST_F(SchedulerTest, APictureCanBeGivenUpInTheMiddle) {
  for (const bool by_flag : {false, true}) {
    Conversation chat = Open(2);
    auto scheduler = Scheduler::Create(*engine_, {.prompt_rows = 4, .prompt_rows_beside = 4, .steady = true});
    ASSERT_TRUE(scheduler.has_value());
    std::atomic<bool> cancel = false;
    auto turn = chat.Begin(Options(2), &cancel);
    ASSERT_TRUE(turn.has_value());
    ASSERT_TRUE(scheduler->Add(**turn));
    scheduler->RunStep();
    by_flag ? cancel.store(true) : scheduler->Remove(**turn);
    while (!scheduler->empty()) scheduler->RunStep();
    ExpectBeginning(2, chat.End());
    ExpectGoesOn(chat);
  }
}

TEST(SchedulerOptions, AreNumbersThatCanBe) {
  auto engine = Engine::Load({});
  ASSERT_TRUE(engine.has_value());
  for (const SchedulerOptions& options :
       {SchedulerOptions{.turns = 0}, SchedulerOptions{.prompt_rows = 0},
        SchedulerOptions{.prompt_rows_beside = -1}, SchedulerOptions{.prompt_rows = INT64_MAX}}) {
    const auto scheduler = Scheduler::Create(**engine, options);
    ASSERT_FALSE(scheduler.has_value());
    EXPECT_EQ(scheduler.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace linnet
