// The interface of C, with Chick.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "linnet/linnet.h"

namespace {

const std::string kExamples = std::string(LINNET_SOURCE_DIR) + "/examples/";

struct Told {
  std::string text, calls, end;
  int ends = 0;
  int64_t turns_gone = 0, tokens_gone = 0;
  size_t most = 1000000;  // pieces of text, then it is cancelled
  linnet_status status = LINNET_OK;
  linnet_finish finish = LINNET_FINISH_STOP;
};

int Tell(const linnet_event* event, void* user) {
  Told& told = *static_cast<Told*>(user);
  if (event->kind == LINNET_TEXT) told.text += event->text;
  if (event->kind == LINNET_TOOL_CALL) told.calls += std::string(event->name) + event->text;
  if (event->kind == LINNET_SHIFT) {
    told.turns_gone += event->turns;
    told.tokens_gone += event->tokens;
  }
  if (event->kind == LINNET_END) {
    ++told.ends;
    told.status = event->status;
    told.finish = event->finish;
  }
  return event->kind == LINNET_TEXT && told.most-- == 0 ? 1 : 0;
}

class Api : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = linnet_engine_load(nullptr, &error_);
    ASSERT_NE(engine_, nullptr) << error_.message;
  }
  void TearDown() override { linnet_engine_free(engine_); }

  linnet_conversation* Chat() {
    linnet_conversation_options options = LINNET_CONVERSATION_OPTIONS;
    options.context = 1024;
    linnet_conversation* chat = linnet_conversation_new(engine_, &options, &error_);
    EXPECT_NE(chat, nullptr) << error_.message;
    return chat;
  }
  static linnet_answer_options Greedy(Told& told) {
    linnet_answer_options options = LINNET_ANSWER_OPTIONS;
    options.temperature = 0;
    options.on_event = Tell;
    options.user = &told;
    return options;
  }
  std::string Ask(linnet_conversation* chat, const std::string& text) {
    Told told;
    const linnet_answer_options options = Greedy(told);
    EXPECT_EQ(linnet_add_user(chat, text.c_str(), &error_), LINNET_OK) << error_.message;
    EXPECT_EQ(linnet_answer(chat, &options, &error_), LINNET_OK) << error_.message;
    EXPECT_EQ(told.ends, 1);
    EXPECT_EQ(told.text, linnet_answer_text(chat));
    return told.text;
  }

  linnet_error error_;
  linnet_engine* engine_ = nullptr;
};

TEST_F(Api, ErrorsAreValues) {
  linnet_load_options load = LINNET_LOAD_OPTIONS;
  load.model = "/nowhere/model.gguf";
  EXPECT_EQ(linnet_engine_load(&load, &error_), nullptr);
  EXPECT_EQ(error_.code, LINNET_NOT_FOUND);
  EXPECT_NE(std::string(error_.message).find("/nowhere/model.gguf"), std::string::npos);
  load = LINNET_LOAD_OPTIONS;
  load.size = 4000;  // of a later version
  EXPECT_EQ(linnet_engine_load(&load, &error_), nullptr);
  EXPECT_EQ(error_.code, LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_engine_load(&load, nullptr), nullptr);

  EXPECT_EQ(linnet_conversation_new(nullptr, nullptr, &error_), nullptr);
  EXPECT_EQ(linnet_answer(nullptr, nullptr, &error_), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_add_user(nullptr, "x", &error_), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_scheduler_step(nullptr, &error_), -1);
  EXPECT_EQ(linnet_tokenise(engine_, nullptr, nullptr, 0, &error_), -1);
  linnet_engine_free(nullptr), linnet_conversation_free(nullptr), linnet_scheduler_free(nullptr);

  linnet_conversation* chat = Chat();
  EXPECT_EQ(linnet_add_tool_result(chat, "{}", &error_), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_attach_file(chat, ("/nowhere/" + std::string(3000, 'x')).c_str(), &error_), LINNET_OK);
  EXPECT_NE(linnet_add_user(chat, "x", &error_), LINNET_OK);
  EXPECT_LT(std::string(error_.message).size(), sizeof error_.message);
  EXPECT_NE(Ask(chat, "3 + 4").find("7"), std::string::npos);  // what was attached is let go
  linnet_conversation_free(chat);
}

TEST_F(Api, ReadsTokensAndFacts) {
  EXPECT_STREQ(linnet_version(),
               (std::to_string(LINNET_VERSION_MAJOR) + "." + std::to_string(LINNET_VERSION_MINOR) + "." +
                std::to_string(LINNET_VERSION_PATCH))
                   .c_str());
  linnet_facts facts = LINNET_FACTS;
  ASSERT_EQ(linnet_engine_facts(engine_, &facts, &error_), LINNET_OK);
  EXPECT_GT(facts.vocabulary, 0);
  EXPECT_TRUE(facts.sees && facts.hears);
  int32_t ids[64];
  const int64_t count = linnet_tokenise(engine_, "a red circle", ids, 64, &error_);
  ASSERT_GT(count, 0);
  EXPECT_EQ(linnet_tokenise(engine_, "a red circle", nullptr, 0, &error_), count);
  char text[64];
  EXPECT_EQ(linnet_detokenise(engine_, ids, count, {text, sizeof text}, &error_), 12);
  EXPECT_STREQ(text, "a red circle");
  EXPECT_EQ(linnet_detokenise(engine_, ids, count, {text, 6}, &error_), 12);
  EXPECT_STREQ(text, "a red");
}

TEST_F(Api, OutlivesItsEngine) {
  linnet_conversation* chat = Chat();
  linnet_engine_free(engine_);
  engine_ = nullptr;
  EXPECT_NE(Ask(chat, "3 + 4").find("7"), std::string::npos);
  linnet_conversation_free(chat);
}

TEST_F(Api, Cancels) {
  linnet_conversation* chat = Chat();
  EXPECT_EQ(linnet_add_user(chat, "3 + 4", &error_), LINNET_OK);
  linnet_cancel(chat);
  EXPECT_EQ(linnet_answer(chat, nullptr, &error_), LINNET_CANCELLED);
  Told told;
  told.most = 0;
  const linnet_answer_options options = Greedy(told);
  EXPECT_EQ(linnet_answer(chat, &options, &error_), LINNET_OK) << error_.message;
  EXPECT_EQ(told.finish, LINNET_FINISH_CANCELLED);
  linnet_conversation_free(chat);
}

TEST_F(Api, ACallbackThatThrowsEndsTheAnswer) {
  linnet_conversation* chat = Chat();
  EXPECT_EQ(linnet_add_user(chat, "3 + 4", &error_), LINNET_OK);
  linnet_answer_options options = LINNET_ANSWER_OPTIONS;
  options.on_event = [](const linnet_event*, void*) -> int { throw 1; };
  EXPECT_EQ(linnet_answer(chat, &options, &error_), LINNET_INTERNAL);
  EXPECT_FALSE(Ask(chat, "3 + 4").empty());
  linnet_conversation_free(chat);
}

TEST_F(Api, AFullContextLetsTheOldestTurnsGo) {
  linnet_conversation_options options = LINNET_CONVERSATION_OPTIONS;
  options.context = 200;
  options.when_full = 3;
  EXPECT_EQ(linnet_conversation_new(engine_, &options, &error_), nullptr);
  EXPECT_EQ(error_.code, LINNET_INVALID_ARGUMENT);
  options.when_full = LINNET_FULL_SHIFT;
  linnet_conversation* chat = linnet_conversation_new(engine_, &options, &error_);
  ASSERT_NE(chat, nullptr) << error_.message;
  Told told;
  const linnet_answer_options answer = Greedy(told);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(linnet_add_user(chat, "3 + 4", &error_), LINNET_OK) << error_.message;
    ASSERT_EQ(linnet_answer(chat, &answer, &error_), LINNET_OK) << error_.message;
  }
  EXPECT_GT(told.turns_gone, 5);
  EXPECT_GT(told.tokens_gone, 50);
  linnet_conversation_free(chat);
}

TEST_F(Api, ASizeThatCutsAPointerIsRefused) {
  linnet_conversation_options options = LINNET_CONVERSATION_OPTIONS;
  options.system = options.tools = "[]";
  for (options.size = 0; options.size <= sizeof options + 8; ++options.size) {
    linnet_conversation* chat = linnet_conversation_new(engine_, &options, &error_);
    const bool whole = options.size % sizeof(void*) == 0 && options.size > 0;
    EXPECT_EQ(chat != nullptr, whole && options.size <= sizeof options) << options.size;
    if (chat == nullptr) {
      EXPECT_EQ(error_.code, LINNET_INVALID_ARGUMENT);
    }
    linnet_conversation_free(chat);
  }
}

TEST_F(Api, AMessageIsOneLineOfUtf8) {
  linnet_conversation* chat = Chat();
  EXPECT_EQ(linnet_attach_file(chat, "", &error_), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_transcribe(engine_, "", nullptr, &error_), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_attach_bytes(chat, "x", SIZE_MAX, "x", &error_), LINNET_OUT_OF_MEMORY);
  EXPECT_EQ(linnet_attach_file(chat, "/nowhere/\xff\n\x1b[31m", &error_), LINNET_OK);
  EXPECT_EQ(linnet_add_user(chat, "x", &error_), LINNET_NOT_FOUND);
  const std::string message = error_.message;
  EXPECT_NE(message.find("/nowhere/\\xff\\n\\x1b[31m"), std::string::npos) << message;
  linnet_conversation_free(chat);
}

TEST_F(Api, WhatIsNoNumberIsRefused) {
  linnet_conversation* chat = Chat();
  EXPECT_EQ(linnet_add_user(chat, "what is 3 + 4", &error_), LINNET_OK);
  linnet_answer_options options = LINNET_ANSWER_OPTIONS;
  options.temperature = std::nanf("");
  EXPECT_EQ(linnet_answer(chat, &options, &error_), LINNET_INVALID_ARGUMENT);
  options.temperature = 1;
  options.top_p = std::nanf("");
  EXPECT_EQ(linnet_answer(chat, &options, &error_), LINNET_INVALID_ARGUMENT);
  linnet_conversation_free(chat);
}

// What callbacks try that they must not.
struct Meddler {
  linnet_scheduler* scheduler;
  linnet_conversation* chat;
  int ends = 0;
};

int Meddle(const linnet_event* event, void* user) {
  Meddler& meddler = *static_cast<Meddler*>(user);
  EXPECT_EQ(linnet_scheduler_step(meddler.scheduler, nullptr), -1);
  EXPECT_EQ(linnet_add_user(meddler.chat, "x", nullptr), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_scheduler_add(meddler.scheduler, meddler.chat, nullptr, nullptr), LINNET_INVALID_ARGUMENT);
  if (event->kind == LINNET_END) ++meddler.ends;
  return 0;
}

TEST_F(Api, CallbacksCannotUseWhatIsAtWork) {
  linnet_scheduler* scheduler = linnet_scheduler_new(engine_, 2, &error_);
  ASSERT_NE(scheduler, nullptr) << error_.message;
  Meddler meddlers[] = {{scheduler, Chat()}, {scheduler, Chat()}};
  for (Meddler& meddler : meddlers) {
    linnet_answer_options options = LINNET_ANSWER_OPTIONS;
    options.on_event = Meddle;
    options.user = &meddler;
    EXPECT_EQ(linnet_add_user(meddler.chat, "what is 3 + 4", &error_), LINNET_OK);
    EXPECT_EQ(linnet_scheduler_add(scheduler, meddler.chat, &options, &error_), LINNET_OK);
  }
  while (linnet_scheduler_step(scheduler, &error_) > 0) {
  }
  for (const Meddler& meddler : meddlers) {
    EXPECT_EQ(meddler.ends, 1);
    EXPECT_FALSE(Ask(meddler.chat, "what is 3 + 4").empty());
    linnet_conversation_free(meddler.chat);
  }
  linnet_scheduler_free(scheduler);
}

TEST_F(Api, ManyConversationsAnswerAsAlone) {
  const std::string questions[] = {"3 + 4", "12 + 9", "turn off the garden lamp"};
  std::vector<std::string> alone;
  std::vector<linnet_conversation*> chats;
  std::vector<Told> told(3);
  for (const std::string& question : questions) {
    linnet_conversation* chat = Chat();
    alone.push_back(Ask(chat, question));
    linnet_conversation_free(chat);
  }
  linnet_scheduler* scheduler = linnet_scheduler_new(engine_, 4, &error_);
  ASSERT_NE(scheduler, nullptr) << error_.message;
  for (size_t i = 0; i < 3; ++i) {
    chats.push_back(Chat());
    const linnet_answer_options options = Greedy(told[i]);
    EXPECT_EQ(linnet_add_user(chats[i], questions[i].c_str(), &error_), LINNET_OK);
    EXPECT_EQ(linnet_scheduler_add(scheduler, chats[i], &options, &error_), LINNET_OK) << error_.message;
    EXPECT_EQ(linnet_scheduler_add(scheduler, chats[i], &options, &error_), LINNET_INVALID_ARGUMENT);
  }
  EXPECT_EQ(linnet_add_user(chats[0], "x", &error_), LINNET_INVALID_ARGUMENT);
  while (linnet_scheduler_step(scheduler, &error_) > 0) {
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(told[i].ends, 1);
    EXPECT_EQ(told[i].text, alone[i]);
    EXPECT_EQ(linnet_answer_text(chats[i]), alone[i]);
    EXPECT_EQ(linnet_add_user(chats[i], questions[i].c_str(), &error_), LINNET_OK);
    const linnet_answer_options options = Greedy(told[i]);
    EXPECT_EQ(linnet_scheduler_add(scheduler, chats[i], &options, &error_), LINNET_OK);
  }
  EXPECT_GE(linnet_scheduler_step(scheduler, &error_), 0);
  linnet_conversation_free(chats[0]);  // in any order
  linnet_scheduler_free(scheduler);
  EXPECT_FALSE(Ask(chats[1], "3 + 4").empty());
  linnet_conversation_free(chats[1]), linnet_conversation_free(chats[2]);
}

#ifdef LINNET_MEDIA_HELPER
TEST_F(Api, SeesAndHears) {
  ASSERT_EQ(::setenv("LINNET_MEDIA_HELPER", LINNET_MEDIA_HELPER, 1), 0);
  linnet_conversation* chat = Chat();
  std::string lines;
  linnet_set_log([](const char* line, void* user) { *static_cast<std::string*>(user) += line; }, &lines);
  std::ifstream picture(kExamples + "shapes.png", std::ios::binary);
  std::string cut{std::istreambuf_iterator<char>(picture), {}};
  cut.resize(cut.size() * 9 / 10);
  ASSERT_EQ(linnet_attach_bytes(chat, cut.data(), cut.size(), "cut.png", &error_), LINNET_OK);
  if (linnet_add_user(chat, "what is in the picture", &error_) == LINNET_OK) {
    EXPECT_NE(lines.find("cut.png"), std::string::npos) << lines;
  } else {
    EXPECT_EQ(error_.code, LINNET_BAD_FILE) << error_.message;
  }
  linnet_set_log(nullptr, nullptr);
  ASSERT_EQ(linnet_conversation_reset(chat, &error_), LINNET_OK);
  ASSERT_EQ(linnet_attach_file(chat, (kExamples + "shapes.png").c_str(), &error_), LINNET_OK);
  EXPECT_NE(Ask(chat, "what is in the picture"), "");
  std::ifstream file(kExamples + "command.wav", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  ASSERT_EQ(linnet_attach_bytes(chat, bytes.data(), bytes.size(), nullptr, &error_), LINNET_OK);
  const std::string heard = Ask(chat, "Transcribe the audio.");
  EXPECT_NE(heard, "");
  linnet_conversation_free(chat);

  std::string texts;
  linnet_transcribe_options options = LINNET_TRANSCRIBE_OPTIONS;
  options.user = &texts;
  options.on_utterance = [](const linnet_utterance* utterance, void* user) {
    *static_cast<std::string*>(user) += utterance->text;
    return 0;
  };
  EXPECT_EQ(linnet_transcribe(engine_, (kExamples + "command.wav").c_str(), &options, &error_), LINNET_OK)
      << error_.message;
  EXPECT_EQ(texts, heard);
  // A line may be told while another is.
  int told = 0;
  linnet_set_log(
      [](const char*, void* user) {
        ++*static_cast<int*>(user);
        linnet_set_log(nullptr, nullptr);
      },
      &told);
  chat = Chat();
  ASSERT_EQ(linnet_attach_bytes(chat, bytes.data(), bytes.size() - 1000, nullptr, &error_), LINNET_OK);
  EXPECT_NE(Ask(chat, "Transcribe the audio."), "");
  EXPECT_EQ(told, 1);
  linnet_conversation_free(chat);
  options.language = "!";
  EXPECT_EQ(linnet_transcribe(engine_, (kExamples + "command.wav").c_str(), &options, &error_),
            LINNET_INVALID_ARGUMENT);
}
#endif

}  // namespace
