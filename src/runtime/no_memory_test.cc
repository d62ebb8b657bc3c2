// Memory that cannot be had, at every place where it is asked for: an error each time, and what was asked
// before still works afterwards.
#include <filesystem>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "base/allocation_counter.h"
#include "linnet/memory_plan.h"
#include "linnet/scheduler.h"
#include "linnet/session.h"
#include "linnet/session_file.h"
#include "media/picture.h"
#include "runtime/conversation.h"
#include "runtime/engine_impl.h"
#include "runtime/media_input.h"
#include "runtime/media_testing.h"

namespace linnet {
namespace {

constexpr size_t kPage = 4096;

// Whether it failed, which must be for want of memory: sorting, for one, does with less.
template <typename T>
bool RanOut(const Result<T>& result, int64_t n) {
  if (result) return false;
  EXPECT_EQ(result.error().code, ErrorCode::kOutOfMemory) << n << ": " << result.error().Message();
  return true;
}

Result<std::unique_ptr<Engine>> LoadChick(int64_t cache_ram = 0) {
  LoadOptions options;
  options.threads = 2;
  options.cache_ram = cache_ram;
  return Engine::Load(options);
}

// A talk with a picture, a long text and a sound, which goes on where it stopped.
class Talk {
 public:
  explicit Talk(Engine& engine) : engine_(engine) {}

  Result<bool> Go() {
    if (!conversation_) {
      LINNET_ASSIGN(conversation_, Conversation::Create(engine_, {.context = 1024}, {}));
    }
    if (answers_.empty() && !asked_ && first_.pictures.empty()) {
      LINNET_ASSIGN(const Picture picture,
                    LoadPicture(LINNET_SOURCE_DIR "/models/chick/examples/see-006.png"));
      LINNET_ASSIGN(ImageInput image, MakeImageInput(picture, 70, engine_.impl().config));
      first_.pictures.push_back(MakeMedium(std::move(image)));
    }
    if (answers_.empty()) LINNET_TRY(Answer(first_));
    if (answers_.size() == 1) LINNET_TRY(Answer(second_));
    if (answers_.size() == 2) LINNET_TRY(Answer(third_));
    return true;
  }

  const std::vector<std::string>& answers() const { return answers_; }

 private:
  Status Answer(UserMessage& message) {
    if (!asked_) conversation_->AddUser(std::move(message));
    asked_ = true;
    LINNET_ASSIGN(const Generation answer, conversation_->Answer({}));
    asked_ = false;
    answers_.push_back(answer.text);
    return {};
  }

  Engine& engine_;
  std::optional<Conversation> conversation_;
  UserMessage first_{"what is in the picture", {}, {}}, second_{"5 + 10 " + std::string(5000, ' '), {}, {}},
      third_{"Transcribe the audio.", {}, {MakeMedium(AudioInput{std::vector<float>(16000, 0.1f)})}};
  bool asked_ = false;
  std::vector<std::string> answers_;
};

// Lets each allocation of `ask`, which returns a Result, fail in turn.
template <typename Ask>
void ExpectErrors(const Ask& ask) {
  FailAllocation(0, kPage);
  ASSERT_TRUE(ask());
  const int64_t count = CountedSince();
  ASSERT_GT(count, 0);
  int64_t failed = 0;
  for (int64_t n = 1; n <= count; ++n) {
    FailAllocation(n, kPage);
    failed += RanOut(ask(), n);
  }
  FailAllocation(0, kPage);
  EXPECT_GE(10 * failed, 9 * count) << count;
}

TEST(NoMemory, WhileAModelIsLoaded) {
  ExpectErrors([] { return LoadChick(); });
}

TEST(NoMemory, WhereATurnBegins) {
  const auto engine = LoadChick();
  ASSERT_TRUE(engine);
  const auto session = (*engine)->NewSession({.context = 4096});
  ASSERT_TRUE(session);
  const std::vector<int32_t> ids(4000, 5);
  ExpectErrors([&] { return Turn::Begin(**engine, **session, ids, {}); });
}

TEST(NoMemory, WhereATextBecomesTokens) {
  const auto engine = LoadChick();
  ASSERT_TRUE(engine);
  const std::string text(20000, 'x');
  ExpectErrors([&] { return (*engine)->TokeniseMarked(text); });
}

TEST(NoMemory, WhereMemoryIsPlanned) {
  ExpectErrors([] { return PlanMemory(LoadOptions()); });
}

// Where a turn cannot join, because its picture needs larger steps, the others go on.
TEST(NoMemory, WhileATurnJoinsOthers) {
  std::string alone;
  int64_t count = 0;
  const auto join = [&](int64_t n) {
    const auto engine = LoadChick();  // fresh, so that its workspaces grow again
    ASSERT_TRUE(engine);
    auto first = Conversation::Create(**engine, {.context = 512}),
         second = Conversation::Create(**engine, {.context = 512});
    auto scheduler = Scheduler::Create(**engine);
    ASSERT_TRUE(first && second && scheduler);
    first->AddUser({"hello", {}, {}});
    second->AddUser({"what is in the picture", {testing::ChickPicture(**engine, "see-006.png")}, {}});
    const auto begun = first->Begin({}), joining = second->Begin({});
    ASSERT_TRUE(begun && joining && scheduler->Add(**begun));
    scheduler->RunStep();
    FailAllocation(n, kPage);
    EXPECT_EQ(scheduler->Add(**joining).has_value(), n == 0) << n;
    count = CountedSince();
    FailAllocation(0, kPage);
    while (!scheduler->empty()) scheduler->RunStep();
    const auto answer = first->End();
    ASSERT_TRUE(answer) << n << ": " << answer.error().Message();
    if (n == 0) alone = answer->text;
    EXPECT_EQ(answer->text, alone) << n;
  };
  join(0);
  ASSERT_GT(count, 0);
  const int64_t last = count;
  for (int64_t n = 1; n <= last && !HasFatalFailure(); ++n) join(n);
}

TEST(NoMemory, WhileASessionIsSavedAndGoesOn) {
  const auto engine = LoadChick();
  ASSERT_TRUE(engine);
  auto conversation = Conversation::Create(**engine, {.context = 512});
  ASSERT_TRUE(conversation);
  conversation->AddUser({"what is in the picture", {testing::ChickPicture(**engine, "see-006.png")}, {}});
  ASSERT_TRUE(conversation->Answer());
  const std::string path = ::testing::TempDir() + "linnet_no_memory_session";
  ExpectErrors([&]() -> Result<bool> {
    std::filesystem::remove(path);
    LINNET_ASSIGN(SessionFile file, SessionFile::Open(path));
    if (const Status saved = file.Save(*conversation); !saved) {
      EXPECT_TRUE(file.Save(*conversation) && file.Check());
      return std::unexpected(saved.error());
    }
    LINNET_ASSIGN(const Conversation restored, file.Load(**engine, {.context = 512}));
    return restored.length() > 0;
  });
  std::filesystem::remove(path);
}

// A talk that each allocation of a page or more fails in once; how many of them were told as errors.
struct Failures {
  int64_t count = 0, told = 0;
};
Failures TalkWithoutMemory(int64_t cache_ram) {
  std::vector<std::string> expected;
  Failures failures;
  const auto talk_to = [&](int64_t n) {
    const auto engine = LoadChick(cache_ram);  // fresh, so that its workspaces grow again
    ASSERT_TRUE(engine);
    Talk talk(**engine);
    FailAllocation(n, kPage);
    const auto first = talk.Go();
    failures.count = CountedSince();
    FailAllocation(0, kPage);
    if (n == 0) {
      ASSERT_TRUE(first) << first.error().Message();
      expected = talk.answers();
      return;
    }
    failures.told += RanOut(first, n);
    const auto again = talk.Go();  // nothing is lost
    ASSERT_TRUE(again) << n << ": " << again.error().Message();
    EXPECT_EQ(talk.answers(), expected) << n;
  };
  talk_to(0);
  EXPECT_EQ(expected.at(0), "a purple star and a yellow triangle");
  const int64_t last = failures.count;
  for (int64_t n = 1; n <= last && !::testing::Test::HasFatalFailure(); ++n) talk_to(n);
  failures.count = last;
  return failures;
}

TEST(NoMemory, WhileATalkGoesOn) {
  const Failures failures = TalkWithoutMemory(0);
  ASSERT_GT(failures.count, 50);
  EXPECT_GE(10 * failures.told, 9 * failures.count) << failures.count;
}

// A snapshot that there is no memory for is not taken, and the talk goes on.
TEST(NoMemory, WhileWhatWasReadIsKept) {
  const Failures failures = TalkWithoutMemory(1'000'000'000);
  EXPECT_GT(failures.count, 50);
  EXPECT_GT(failures.told, 50);
}

}  // namespace
}  // namespace linnet
