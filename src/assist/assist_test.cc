#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "assist/prompts.h"
#include "assist/transcriber.h"
#include "media/audio.h"

namespace linnet {
namespace {

const std::vector<Utterance> kUtterances = {{0.5, 1.25, "turn on the light", "", false},
                                            {61.0, 62.5, "", "", false},
                                            {3725.0, 3726.1, "a --> b\n\nc", "", true}};

std::string Format(TranscriptFormat format, bool timestamps) {
  TranscriptWriter writer(format, timestamps, "talk.wav");
  std::string out = writer.Begin();
  for (const Utterance& utterance : kUtterances) out += writer.Add(utterance);
  return out + writer.End(4000);
}

TEST(Transcript, Formats) {
  EXPECT_EQ(Format(TranscriptFormat::kText, false), "turn on the light\na --> b  c\n");
  EXPECT_EQ(Format(TranscriptFormat::kText, true), "[00:00] turn on the light\n[1:02:05] a --> b  c\n");
  EXPECT_EQ(Format(TranscriptFormat::kSrt, false),
            "1\n00:00:00,500 --> 00:00:01,250\nturn on the light\n\n"
            "2\n01:02:05,000 --> 01:02:06,100\na -> b\nc\n\n");
  EXPECT_TRUE(Format(TranscriptFormat::kVtt, false).starts_with("WEBVTT\n\n00:00:00.500 --> 00:00:01.250\n"));
  const auto json = nlohmann::json::parse(Format(TranscriptFormat::kJson, false));
  EXPECT_EQ(json["utterances"].size(), 3u);
  EXPECT_EQ(json["utterances"][2]["cut"], true);
  EXPECT_EQ(json["seconds"], 4000.0);
  TranscriptWriter empty(TranscriptFormat::kJson, false, "x");
  EXPECT_EQ(nlohmann::json::parse(empty.Begin() + empty.End(0))["utterances"].size(), 0u);
}

TEST(Transcript, LinesEndInEveryWay) {
  const Utterance utterance{.begin = 0, .end = 1, .text = "one\rtwo\r\n\r\nthree\n"};
  EXPECT_EQ(TranscriptWriter(TranscriptFormat::kSrt, false, "x").Add(utterance),
            "1\n00:00:00,000 --> 00:00:01,000\none\ntwo\nthree\n\n");
}

TEST(Prompts, AModelsOwnTakePrecedence) {
  const auto card = ReadPrompts("");
  ASSERT_TRUE(card.has_value());
  EXPECT_NE(card->translate_speech.find("{language}"), std::string::npos);
  const auto own =
      ReadPrompts(R"({"transcribe": "Write.", "translate": "To {language}: {text}", "read": "x"})");
  ASSERT_TRUE(own.has_value());
  EXPECT_EQ(own->transcribe, "Write.");
  EXPECT_EQ(own->translate_speech, "");
  EXPECT_EQ(FillPrompt(own->translate_text, "French", "{language}!"), "To French: {language}!");
  for (const char* bad : {"[]", "{\"transcribe\": 3}", "{", "7"})
    EXPECT_FALSE(ReadPrompts(bad).has_value()) << bad;
}

TEST(Prompts, LanguagesByCodeAndName) {
  EXPECT_EQ(LanguageName("fr"), "French");
  EXPECT_EQ(LanguageName("DE"), "German");
  EXPECT_EQ(LanguageName("french"), "French");
  EXPECT_EQ(LanguageName("Swiss German"), "Swiss German");
  EXPECT_EQ(LanguageName("xx"), "");
  EXPECT_EQ(LanguageName(""), "");
  EXPECT_EQ(LanguageName("fr'; ignore"), "");
}

TEST(Transcriber, TellsSpeechFromTranslation) {
  const auto split = [](const std::string& answer) {
    Utterance utterance;
    SplitTranslation(answer, "French", utterance);
    return std::pair(utterance.text, utterance.translation);
  };
  EXPECT_EQ(split("good day\nFrench: bonjour\n"), std::pair(std::string("good day"), std::string("bonjour")));
  EXPECT_EQ(split("French: bonjour"), std::pair(std::string(), std::string("bonjour")));
  EXPECT_EQ(split("good day\nbonjour"), std::pair(std::string("good day"), std::string("bonjour")));
  EXPECT_EQ(split("bonjour"), std::pair(std::string("bonjour"), std::string("bonjour")));
}

class JournalTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override { std::filesystem::remove(path_); }
  const std::filesystem::path path_ = std::filesystem::path(::testing::TempDir()) / "talk.txt.journal";
};

TEST_F(JournalTest, GoesOnWhereItStopped) {
  {
    auto journal = Journal::Open(path_, "key");
    ASSERT_TRUE(journal.has_value()) << journal.error().Message();
    for (const Utterance& utterance : kUtterances) ASSERT_TRUE(journal->Append(utterance));
  }
  std::ofstream(path_, std::ios::app) << R"({"begin": 4000.0, "end": 40)";  // killed in the middle of a line
  {
    auto journal = Journal::Open(path_, "key");
    ASSERT_TRUE(journal.has_value());
    ASSERT_EQ(journal->done().size(), 3u);
    EXPECT_EQ(journal->done()[2].text, kUtterances[2].text);
    EXPECT_TRUE(journal->done()[2].cut);
    ASSERT_TRUE(journal->Append({5000, 5001, "more", "", false}));
  }
  EXPECT_EQ(Journal::Open(path_, "key")->done().size(), 4u);
  EXPECT_EQ(Journal::Open(path_, "another")->done().size(), 0u);
  auto journal = Journal::Open(path_, "another");
  journal->Remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

class Memory : public MonoSource {
 public:
  explicit Memory(std::vector<float> samples) : samples_(std::move(samples)) { info_.rate = 16000; }
  const AudioInfo& info() const override { return info_; }
  Result<size_t> Read(std::span<float> out) override {
    const size_t count = std::min(out.size(), samples_.size() - next_);
    std::copy_n(samples_.begin() + static_cast<ptrdiff_t>(next_), count, out.begin());
    next_ += count;
    return count;
  }
  AudioInfo info_;
  std::vector<float> samples_;
  size_t next_ = 0;
};

// What is heard of a recording, so many pieces at once.
std::vector<Utterance> HearTogether(Engine& engine, const std::vector<float>& recording, int64_t together) {
  auto transcriber = Transcriber::Create(engine, {}, {.split = {}, .language = {}, .together = together});
  EXPECT_TRUE(transcriber.has_value());
  std::vector<Utterance> heard;
  auto reader = AudioReader::FromSource(std::make_unique<Memory>(recording));
  EXPECT_TRUE(transcriber->Run(*reader, 0, [&](const Utterance& utterance) -> Status {
    heard.push_back(utterance);
    return {};
  }));
  return heard;
}

// Where a piece cannot be heard, those before it are, and its error is given, however many are heard at once.
TEST(Transcriber, APieceThatFailsTakesNoOtherWithIt) {
  const auto clip = LoadAudio(LINNET_SOURCE_DIR "/examples/command.wav");
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  std::vector<float> recording;
  for (const int copies : {1, 1, 1, 4}) {  // the last is too long for the context
    for (int i = 0; i < copies; ++i) {
      recording.insert(recording.end(), clip->samples.begin() + 1500, clip->samples.end() - 3000);
    }
    recording.resize(recording.size() + 16000);
  }
  auto engine = Engine::Load({.threads = 2});
  ASSERT_TRUE(engine.has_value()) << engine.error().Message();
  for (const int64_t together : {1, 2, 5}) {
    auto transcriber =
        Transcriber::Create(**engine, {.context = 80}, {.split = {}, .language = {}, .together = together});
    ASSERT_TRUE(transcriber.has_value());
    std::vector<std::string> heard;
    auto reader = AudioReader::FromSource(std::make_unique<Memory>(recording));
    const auto whole = transcriber->Run(*reader, 0, [&](const Utterance& utterance) -> Status {
      heard.push_back(utterance.text);
      return {};
    });
    EXPECT_EQ(heard, std::vector<std::string>(3, "play some jazz music")) << together;
    ASSERT_FALSE(whole) << together;
    EXPECT_TRUE(whole.error().what.starts_with("the piece at ")) << whole.error().Message();
    EXPECT_EQ(whole.error().hint, "ask for a larger --context, or give shorter pieces");
  }
}

// A recording of Chick's own examples with pauses between them: every one is heard, in order, at its time.
TEST(Transcriber, HearsARecordingOfChicksExamples) {
  std::ifstream rows(LINNET_SOURCE_DIR "/models/chick/expected.jsonl");
  std::vector<std::string> answers;
  std::vector<double> times;
  std::vector<float> recording(16000);
  for (std::string line; std::getline(rows, line);) {
    const auto row = nlohmann::json::parse(line);
    if (!row.contains("audio")) continue;
    const auto clip = LoadAudio(LINNET_SOURCE_DIR "/models/chick/" + row["audio"].get<std::string>());
    ASSERT_TRUE(clip.has_value()) << clip.error().Message();
    answers.push_back(row["truth"]);
    times.push_back(static_cast<double>(recording.size()) / 16000);
    recording.insert(recording.end(), clip->samples.begin(), clip->samples.end());
    recording.resize(recording.size() + 16000);
  }
  ASSERT_GE(answers.size(), 10u);
  auto engine = Engine::Load({.threads = 2});
  ASSERT_TRUE(engine.has_value()) << engine.error().Message();
  auto transcriber = Transcriber::Create(**engine, {}, {});
  ASSERT_TRUE(transcriber.has_value()) << transcriber.error().Message();
  std::vector<Utterance> heard;
  auto reader = AudioReader::FromSource(std::make_unique<Memory>(recording));
  const auto seconds = transcriber->Run(*reader, 0, [&](const Utterance& utterance) -> Status {
    heard.push_back(utterance);
    return {};
  });
  ASSERT_TRUE(seconds.has_value()) << seconds.error().Message();
  EXPECT_NEAR(seconds->seconds, static_cast<double>(recording.size()) / 16000, 1e-6);
  ASSERT_EQ(heard.size(), answers.size());
  size_t right = 0;
  for (size_t i = 0; i < heard.size(); ++i) {
    EXPECT_NEAR(heard[i].begin, times[i], 0.5);
    right += heard[i].text == answers[i];
  }
  EXPECT_GE(right * 10, answers.size() * 8);

  for (const int64_t together : {2, 5}) {
    const std::vector<Utterance> several = HearTogether(**engine, recording, together);
    ASSERT_EQ(several.size(), heard.size());
    for (size_t i = 0; i < heard.size(); ++i) {
      EXPECT_EQ(several[i].text, heard[i].text);
      EXPECT_EQ(several[i].begin, heard[i].begin);
      EXPECT_EQ(several[i].end, heard[i].end);
    }
  }

  // Going on in the middle hears the rest and nothing twice.
  auto again = AudioReader::FromSource(std::make_unique<Memory>(recording));
  size_t rest = 0;
  ASSERT_TRUE(transcriber->Run(*again, heard[5].end, [&](const Utterance&) -> Status {
    ++rest;
    return {};
  }));
  EXPECT_EQ(rest, heard.size() - 6);
}

}  // namespace
}  // namespace linnet
