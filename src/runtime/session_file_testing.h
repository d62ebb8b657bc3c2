// For tests of session files: Chick, conversations with it, and their files.
#pragma once

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/directory_testing.h"
#include "linnet/session_file.h"
#include "media/picture.h"
#include "runtime/conversation.h"
#include "runtime/engine_impl.h"
#include "runtime/media_testing.h"
#include "runtime/session_index.h"

namespace linnet::testing {

class SessionFiles : public DirectoryTest {
 protected:
  static void SetUpTestSuite() {
    LoadOptions options;
    options.cache_ram = 0;  // nothing but the file knows what was read before
    auto loaded = Engine::Load(options);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().Message();
    engine_ = loaded->release();
  }
  static void TearDownTestSuite() {
    delete engine_;
    engine_ = nullptr;
  }

  static SessionOptions Options(KvType kv = KvType::kBf16) {
    SessionOptions options;
    options.context = 2048;
    options.kv = kv;
    return options;
  }

  static Conversation Begin(const SessionOptions& options = Options(), const ChatSetup& setup = {}) {
    auto conversation = Conversation::Create(*engine_, options, setup);
    EXPECT_TRUE(conversation.has_value()) << conversation.error().Message();
    return std::move(*conversation);
  }

  static UserMessage Picture(const std::string& text, const std::string& file = "see-006.png") {
    UserMessage message;
    message.text = text;
    message.pictures.push_back(ChickPicture(*engine_, file));
    return message;
  }

  static UserMessage Sound(const std::string& text) {
    UserMessage message;
    message.text = text;
    std::vector<float> samples(8000);
    for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(i % 100) / 100.0f - 0.5f;
    message.sounds.push_back(MakeMedium(AudioInput{std::move(samples)}));
    return message;
  }

  static Generation Ask(Conversation& conversation, UserMessage message,
                        const GenerateOptions& options = {}) {
    conversation.AddUser(std::move(message));
    auto answer = conversation.Answer(options);
    EXPECT_TRUE(answer.has_value()) << answer.error().Message();
    return answer ? *answer : Generation{};
  }

  static SessionFile OpenFile(const std::string& path) {
    auto file = SessionFile::Open(path);
    EXPECT_TRUE(file.has_value()) << file.error().Message();
    return std::move(*file);
  }

  static void SaveTo(const std::string& path, Conversation& conversation) {
    const Status saved = OpenFile(path).Save(conversation);
    EXPECT_TRUE(saved.has_value()) << saved.error().Message();
  }

  static Conversation LoadFrom(const std::string& path, const SessionOptions& options = Options()) {
    auto conversation = OpenFile(path).Load(*engine_, options);
    EXPECT_TRUE(conversation.has_value()) << conversation.error().Message();
    return std::move(*conversation);
  }

  // Why it is refused; empty where it is not.
  static std::string Refusal(const std::string& path, const SessionOptions& options = Options()) {
    auto file = SessionFile::Open(path);
    if (!file) return file.error().Message();
    const auto conversation = file->Load(*engine_, options);
    return conversation ? "" : conversation.error().Message();
  }

  static SessionIndex IndexOfFile(const std::string& path) {
    auto container = SessionContainer::Open(path, LockedFile::Use::kRead);
    EXPECT_TRUE(container.has_value());
    auto index = DecodeIndex(container->index());
    EXPECT_TRUE(index.has_value());
    return std::move(*index);
  }

  // Both hold the same keys and values as far as both go, and a file goes as far as the next prompt will
  // begin with: the token there has the same logits, bit for bit.
  static void ExpectSameBits(Conversation& a, Conversation& b) {
    const std::vector<int32_t> ids = {5, 17, 80};
    std::vector<std::vector<float>> logits;
    const int64_t length = std::min(a.length(), b.length());
    ASSERT_GT(length, 0);
    for (Conversation* c : {&a, &b}) {
      Session& session = SessionOf(*c);
      ASSERT_TRUE(session.Truncate(length) && session.Feed(ids));
      logits.emplace_back(session.logits().begin(), session.logits().end());
      ASSERT_TRUE(session.Truncate(length));
    }
    EXPECT_EQ(logits[0], logits[1]);
  }

  static Engine* engine_;
};

inline Engine* SessionFiles::engine_ = nullptr;

}  // namespace linnet::testing
