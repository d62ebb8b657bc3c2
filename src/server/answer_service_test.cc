#include "server/answer_service.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server/openai_chat.h"
#include "server/server_testing.h"

namespace linnet::testing {
namespace {

constexpr int64_t kContext = 1024;

class AnswerServiceTest : public ::testing::Test {
 protected:
  void Start(int64_t tokens) {
    auto service = AnswerService::Create(
        Chick(), {.session = {.context = kContext}, .parallel = 3, .tokens = tokens, .waiting = 16},
        [](const std::function<void()>& task) { task(); });
    ASSERT_TRUE(service) << service.error().what;
    service_ = std::move(*service);
  }

  // Asks for answers of at most so many tokens (0: as many as there is room for) at the same moment.
  std::vector<std::string> Ask(const std::vector<int64_t>& most) {
    std::vector<AnswerJobPtr> jobs;
    texts_.assign(most.size(), {});
    told_.clear();
    ended_ = 0;
    for (size_t i = 0; i < most.size(); ++i) {
      jobs.push_back(std::make_shared<AnswerJob>(RequestOf(most[i]), ListenerOf(static_cast<int>(i))));
    }
    EXPECT_TRUE(service_->Submit(jobs));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ == most.size(); });
    return texts_;
  }

  // Whether an answer told something after another one had, and before that one's end.
  bool Interleaved() const {
    std::vector<int> order = told_;
    order.erase(std::ranges::unique(order).begin(), order.end());
    return order.size() > texts_.size();
  }

  std::unique_ptr<AnswerService> service_;

 private:
  static AnswerRequest RequestOf(int64_t most) {
    auto asked = Translated(
        TranslateOpenAiChat,
        {{"temperature", 0},
         {"messages", {{{"role", "user"}, {"content", "Translate to French: turn off the garden lamp"}}}}});
    EXPECT_TRUE(asked) << asked.error().what;
    AnswerRequest request = std::move(asked->answers.front());
    request.options.max_tokens = most;
    return request;
  }

  AnswerJob::Listener ListenerOf(int which) {
    return {.on_events =
                [this, which](const std::vector<TurnEvent>&) {
                  const std::lock_guard lock(mutex_);
                  told_.push_back(which);
                },
            .on_end =
                [this, which](Result<Generation> answer) {
                  const std::lock_guard lock(mutex_);
                  texts_[static_cast<size_t>(which)] = answer ? answer->text : answer.error().what;
                  told_.push_back(which);
                  ++ended_;
                  changed_.notify_all();
                }};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
  std::vector<int> told_;  // which answer told something, in order
  size_t ended_ = 0;
};

TEST_F(AnswerServiceTest, AnswersThatMayTakeTheWholeCacheWaitForEachOther) {
  Start(kContext);
  const std::vector<std::string> alone = Ask({0});
  EXPECT_GT(alone.front().size(), 10u);
  EXPECT_EQ(Ask({0, 0, 0, 0}), std::vector(4, alone.front()));
  EXPECT_FALSE(Interleaved());
}

TEST_F(AnswerServiceTest, AnswersThatFitAreWrittenTogether) {
  Start(kContext);
  const std::vector<std::string> alone = Ask({0});
  // A page of 256 each; beside them one that might fill the context has to wait.
  EXPECT_EQ(Ask({100, 100, 100}), std::vector(3, alone.front()));
  EXPECT_TRUE(Interleaved());
  EXPECT_EQ(Ask({100, 0, 100}), std::vector(3, alone.front()));
  EXPECT_FALSE(Interleaved());
}

TEST_F(AnswerServiceTest, EachHasTheWholeContextUnlessTold) {
  Start(0);
  EXPECT_EQ(service_->context(), kContext);
  Ask({0, 0, 0});
  EXPECT_TRUE(Interleaved());
}

TEST_F(AnswerServiceTest, ACacheHoldsAContextAtLeast) {
  const auto service = AnswerService::Create(
      Chick(), {.session = {.context = kContext}, .parallel = 3, .tokens = kContext - 1},
      [](const std::function<void()>& task) { task(); });
  ASSERT_FALSE(service);
  EXPECT_NE(service.error().hint.find("--cache-tokens 1024"), std::string::npos) << service.error().hint;
}

// What is idle lets go of what it holds, and the pool never runs dry.
TEST_F(AnswerServiceTest, AnswersOfAllLengthsInASmallCacheAreTheSame) {
  Start(kContext + 256);
  const std::string alone = Ask({0}).front();
  uint64_t random = 1;
  for (int round = 0; round < 60; ++round) {
    std::vector<int64_t> most;
    for (int i = 0; i < 5; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      most.push_back(50 + static_cast<int64_t>(random >> 33) % 900);
    }
    EXPECT_EQ(Ask(most), std::vector(5, alone));
  }
}

}  // namespace
}  // namespace linnet::testing
