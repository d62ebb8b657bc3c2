#include "server/realtime_session.h"

#include <cmath>
#include <initializer_list>
#include <numbers>

#include "server/server_testing.h"

namespace linnet {
namespace {

using testing::Base64;

// Silence and a tone, by turns: so many milliseconds each.
std::string Tones(std::initializer_list<int> ms) {
  std::string pcm;
  bool loud = false;
  for (const int part : ms) {
    for (int i = 0; i < part * 24; ++i) {
      const double value = loud ? 8000 * std::sin(2 * std::numbers::pi * 440 * i / 24000) : 0;
      const auto sample = static_cast<int16_t>(value);
      pcm += static_cast<char>(sample & 0xFF);
      pcm += static_cast<char>(sample >> 8 & 0xFF);
    }
    loud = !loud;
  }
  return pcm;
}

std::vector<std::string> TypesOf(const RealtimeTold& told) {
  std::vector<std::string> types;
  for (const Json& event : told.events) types.push_back(event["type"]);
  return types;
}

class RealtimeSessionTest : public ::testing::Test {
 protected:
  RealtimeTold Take(const Json& message, size_t waiting = 0) { return session_.Take(Dump(message), waiting); }
  RealtimeTold Append(const std::string& pcm) {
    return Take({{"type", "input_audio_buffer.append"}, {"audio", Base64(pcm)}});
  }
  RealtimeTold Update(const Json& input) {
    return Take({{"type", "session.update"},
                 {"session", {{"type", "transcription"}, {"audio", {{"input", input}}}}}});
  }
  // What is wrong with a message; empty if nothing is.
  std::string Wrong(const Json& message) {
    const RealtimeTold told = Take(message);
    if (told.events.empty() || told.events.front()["type"] != "error") return {};
    return told.events.front()["error"]["message"];
  }
  std::string WrongInput(const Json& input) {
    const RealtimeTold told = Update(input);
    return told.events.front()["type"] == "error" ? told.events.front()["error"]["message"].get<std::string>()
                                                  : std::string();
  }

  RealtimeSession session_{"chick", false};
};

TEST_F(RealtimeSessionTest, CommitsByHand) {
  const Json created = session_.Created();
  EXPECT_EQ(created["type"], "session.created");
  EXPECT_EQ(created["session"]["type"], "transcription");
  EXPECT_EQ(created["session"]["audio"]["input"]["turn_detection"]["type"], "server_vad");
  const RealtimeTold updated =
      Update({{"turn_detection", nullptr}, {"transcription", {{"prompt", "Linnet"}, {"language", "en"}}}});
  ASSERT_EQ(TypesOf(updated), (std::vector<std::string>{"session.updated"}));
  EXPECT_EQ(updated.events[0]["session"]["audio"]["input"]["turn_detection"], nullptr);
  EXPECT_EQ(updated.events[0]["session"]["audio"]["input"]["transcription"]["language"], "en");

  const std::string pcm = Tones({100, 200});
  EXPECT_TRUE(Append(pcm.substr(0, 1000)).events.empty());
  EXPECT_EQ(Append(pcm.substr(1000)).held, pcm.size());
  const RealtimeTold told = Take({{"type", "input_audio_buffer.commit"}});
  ASSERT_EQ(TypesOf(told), (std::vector<std::string>{"input_audio_buffer.committed",
                                                     "conversation.item.added", "conversation.item.done"}));
  ASSERT_EQ(told.items.size(), 1U);
  EXPECT_EQ(told.items[0].pcm, pcm);
  EXPECT_EQ(told.items[0].hint, "Names and words that may occur: Linnet");
  EXPECT_EQ(told.events[0]["item_id"], told.items[0].id);
  EXPECT_EQ(told.events[0]["previous_item_id"], nullptr);
  EXPECT_EQ(told.events[1]["item"]["id"], told.items[0].id);
  EXPECT_EQ(told.held, 0U);

  Append(pcm);
  EXPECT_EQ(TypesOf(Take({{"type", "input_audio_buffer.clear"}})),
            (std::vector<std::string>{"input_audio_buffer.cleared"}));
  const RealtimeTold empty = Take({{"type", "input_audio_buffer.commit"}, {"event_id", "mine"}});
  EXPECT_EQ(empty.events[0]["error"]["code"], "input_audio_buffer_commit_empty");
  EXPECT_EQ(empty.events[0]["error"]["event_id"], "mine");
  Append(pcm);
  EXPECT_EQ(Take({{"type", "input_audio_buffer.commit"}}).events[0]["previous_item_id"], told.items[0].id);
}

TEST_F(RealtimeSessionTest, FindsSpeech) {
  const std::string pcm = Tones({1000, 800, 1500, 600, 2000});
  std::vector<Json> events;
  std::vector<RealtimeItem> items;
  for (size_t at = 0; at < pcm.size(); at += 4800) {
    RealtimeTold told = Append(pcm.substr(at, 4800));
    events.insert(events.end(), told.events.begin(), told.events.end());
    items.insert(items.end(), told.items.begin(), told.items.end());
    EXPECT_LT(told.held, 5000 * kRealtimeBytesOfMs);
  }
  ASSERT_EQ(items.size(), 2U);
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"]);
  const std::vector<std::string> once = {"input_audio_buffer.speech_started",
                                         "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
                                         "conversation.item.added", "conversation.item.done"};
  std::vector<std::string> twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(types, twice);
  for (size_t i = 0; i < 2; ++i) {
    const Json &started = events[5 * i], &stopped = events[5 * i + 1];
    EXPECT_EQ(started["item_id"], items[i].id);
    EXPECT_EQ(stopped["item_id"], items[i].id);
    const int begin = started["audio_start_ms"], end = stopped["audio_end_ms"];
    // The tone with what stands before and behind it, in steps of 20 ms.
    EXPECT_NEAR(begin, i == 0 ? 700 : 3000, 40);
    EXPECT_NEAR(end, i == 0 ? 2100 : 4200, 40);
    EXPECT_EQ(items[i].pcm,
              pcm.substr(static_cast<size_t>(begin) * 48, static_cast<size_t>(end - begin) * 48));
  }
}

TEST_F(RealtimeSessionTest, WhatIsSpokenCanBeCommitted) {
  Append(Tones({500, 200}));
  const RealtimeTold started = Append(Tones({0, 1000}));
  ASSERT_EQ(TypesOf(started), (std::vector<std::string>{"input_audio_buffer.speech_started"}));
  const RealtimeTold told = Take({{"type", "input_audio_buffer.commit"}});
  ASSERT_EQ(told.items.size(), 1U);
  EXPECT_EQ(told.items[0].id, started.events[0]["item_id"]);
}

TEST_F(RealtimeSessionTest, RefusesByName) {
  EXPECT_EQ(Wrong(Json::array()).find("type"), std::string::npos);
  EXPECT_TRUE(Wrong({{"type", "response.create"}}).starts_with("type is 'response.create'"));
  EXPECT_TRUE(Wrong({{"x", 1}}).starts_with("the event has no type"));
  EXPECT_TRUE(Wrong({{"type", "input_audio_buffer.append"}}).starts_with("audio is missing"));
  EXPECT_TRUE(
      Wrong({{"type", "input_audio_buffer.append"}, {"audio", "!"}}).starts_with("audio is no base64"));
  EXPECT_TRUE(Wrong({{"type", "input_audio_buffer.append"}, {"audio", Base64("abc")}})
                  .starts_with("audio has 3 bytes"));
  EXPECT_TRUE(Wrong({{"type", "session.update"}, {"session", {{"type", "realtime"}}}})
                  .starts_with("session.type is 'realtime'"));
  EXPECT_TRUE(Wrong({{"type", "session.update"}, {"session", {{"include", {"logprobs"}}}}})
                  .starts_with("session.include"));
  EXPECT_TRUE(WrongInput({{"format", {{"type", "audio/pcmu"}}}})
                  .starts_with("session.audio.input.format.type is 'audio/pcmu'"));
  EXPECT_TRUE(WrongInput({{"format", {{"type", "audio/pcm"}, {"rate", 16000}}}})
                  .starts_with("session.audio.input.format.rate is 16000"));
  EXPECT_TRUE(WrongInput({{"noise_reduction", {{"type", "near_field"}}}})
                  .starts_with("session.audio.input.noise_reduction"));
  EXPECT_TRUE(WrongInput({{"turn_detection", {{"type", "semantic_vad"}}}})
                  .starts_with("session.audio.input.turn_detection.type is 'semantic_vad'"));
  EXPECT_TRUE(WrongInput({{"turn_detection", {{"threshold", 2}}}})
                  .starts_with("session.audio.input.turn_detection.threshold"));
  // What was refused changed nothing.
  EXPECT_EQ(session_.Created()["session"]["audio"]["input"]["turn_detection"]["threshold"], 0.5);
  EXPECT_EQ(WrongInput({{"format", {{"type", "audio/pcm"}, {"rate", 24000}}}}), "");
}

TEST_F(RealtimeSessionTest, KeepsSoMuchAndNoMore) {
  const size_t most = 600 * 1000 * kRealtimeBytesOfMs;
  const Json append = {{"type", "input_audio_buffer.append"}, {"audio", Base64(std::string(100, '\0'))}};
  EXPECT_TRUE(Take(append, most - 100).events.empty());
  const RealtimeTold full = Take(append, most - 100);
  ASSERT_EQ(full.events.size(), 1U);
  EXPECT_EQ(full.events[0]["error"]["code"], "input_audio_buffer_full");
  EXPECT_EQ(full.held, 100U);
}

TEST_F(RealtimeSessionTest, SpeaksTheOlderWords) {
  RealtimeSession session("chick", true);
  EXPECT_EQ(session.Created()["type"], "transcription_session.created");
  const Json update = {{"type", "transcription_session.update"},
                       {"session",
                        {{"input_audio_format", "pcm16"},
                         {"turn_detection", nullptr},
                         {"input_audio_transcription", {{"model", "whisper-1"}, {"language", "de"}}}}}};
  const RealtimeTold updated = session.Take(Dump(update), 0);
  ASSERT_EQ(TypesOf(updated), (std::vector<std::string>{"transcription_session.updated"}));
  EXPECT_EQ(updated.events[0]["session"]["turn_detection"], nullptr);
  EXPECT_EQ(updated.events[0]["session"]["input_audio_transcription"]["language"], "de");
  const Json append = {{"type", "input_audio_buffer.append"}, {"audio", Base64(Tones({200}))}};
  session.Take(Dump(append), 0);
  const RealtimeTold told = session.Take(R"({"type":"input_audio_buffer.commit"})", 0);
  EXPECT_EQ(TypesOf(told),
            (std::vector<std::string>{"input_audio_buffer.committed", "conversation.item.created"}));
  Json wrong = update;
  wrong["session"]["input_audio_format"] = "g711_ulaw";
  EXPECT_EQ(TypesOf(session.Take(Dump(wrong), 0)), (std::vector<std::string>{"error"}));
}

}  // namespace
}  // namespace linnet
