#include "media/voice.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace linnet {
namespace {

// Bursts of noise of 0..0.3 amplitude over a floor, at known times.
struct Recording {
  std::vector<float> samples;
  std::vector<std::pair<double, double>> bursts;  // seconds
};

Recording MakeRecording(double floor, const std::vector<std::pair<double, double>>& bursts, double seconds) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> noise(-1.0f, 1.0f);
  Recording recording{std::vector<float>(static_cast<size_t>(seconds * 16000)), bursts};
  for (float& sample : recording.samples) sample = static_cast<float>(floor) * noise(random);
  for (const auto& [from, to] : bursts) {
    for (auto i = static_cast<size_t>(from * 16000); i < static_cast<size_t>(to * 16000); ++i) {
      recording.samples[i] += 0.3f * noise(random);
    }
  }
  return recording;
}

std::vector<VoicePiece> Split(const std::vector<float>& samples, const SplitOptions& options = {},
                              size_t step = 5000) {
  auto splitter = VoiceSplitter::Create(options).value();
  std::vector<VoicePiece> pieces;
  const auto drain = [&] {
    while (auto piece = splitter.Next()) pieces.push_back(std::move(*piece));
  };
  for (size_t at = 0; at < samples.size(); at += step) {
    splitter.Push(std::span(samples).subspan(at, std::min(step, samples.size() - at)));
    drain();
  }
  splitter.Finish();
  drain();
  return pieces;
}

// Pieces are what they say they are: in order, apart, at most as long as asked, and the samples of their
// place.
void CheckPieces(const std::vector<VoicePiece>& pieces, const std::vector<float>& samples,
                 double max_seconds) {
  int64_t end = 0;
  for (const VoicePiece& piece : pieces) {
    ASSERT_GE(piece.begin, end);
    end = piece.begin + static_cast<int64_t>(piece.samples.size());
    ASSERT_LE(end, static_cast<int64_t>(samples.size()));
    ASSERT_LE(static_cast<double>(piece.samples.size()), max_seconds * 16000);
    ASSERT_TRUE(std::equal(piece.samples.begin(), piece.samples.end(), samples.begin() + piece.begin));
  }
}

TEST(VoiceSplitter, FindsEveryBurstAtItsTime) {
  std::vector<std::pair<double, double>> bursts;
  for (double t = 0.7; t < 110; t += 2.5) bursts.emplace_back(t, t + 0.4 + std::fmod(t, 1.0));
  for (const double floor : {0.0, 0.0005, 0.003, 0.01}) {
    const Recording recording = MakeRecording(floor, bursts, 115);
    const auto pieces = Split(recording.samples);
    CheckPieces(pieces, recording.samples, 15);
    ASSERT_EQ(pieces.size(), bursts.size()) << floor;
    for (size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_NEAR(pieces[i].begin_seconds(), bursts[i].first - 0.12, 0.05);
      EXPECT_NEAR(pieces[i].end_seconds(), bursts[i].second + 0.12, 0.05);
    }
  }
}

TEST(VoiceSplitter, LongSpeechIsCutWithoutLosingASample) {
  for (const double floor : {0.0, 0.002}) {
    const Recording recording = MakeRecording(floor, {{1.0, 50.0}}, 52);
    const auto pieces = Split(recording.samples, {.max_seconds = 10});
    CheckPieces(pieces, recording.samples, 10);
    ASSERT_GE(pieces.size(), 5u);
    EXPECT_LE(pieces.front().begin_seconds(), 1.0);
    EXPECT_GE(pieces.back().end_seconds(), 50.0);
    for (size_t i = 1; i < pieces.size(); ++i) {
      EXPECT_EQ(pieces[i].begin, pieces[i - 1].begin + static_cast<int64_t>(pieces[i - 1].samples.size()));
    }
  }
}

TEST(VoiceSplitter, CutsLongSpeechWhereItIsQuietest) {
  // Breaths of 0.2 s are no pauses; one lies at 8.5 s.
  const Recording recording = MakeRecording(0.0, {{0.5, 8.4}, {8.6, 16.0}}, 17);
  const auto pieces = Split(recording.samples, {.max_seconds = 10});
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_NEAR(pieces[0].end_seconds(), 8.5, 0.1);
}

TEST(VoiceSplitter, AConstantToneIsKeptWhole) {
  std::vector<float> tone(16000 * 40);
  for (size_t i = 0; i < tone.size(); ++i) tone[i] = 0.2f * std::sin(static_cast<float>(i) * 0.2f);
  size_t kept = 0;
  const auto pieces = Split(tone);
  CheckPieces(pieces, tone, 15);
  for (const VoicePiece& piece : pieces) kept += piece.samples.size();
  EXPECT_EQ(kept, tone.size());
}

TEST(VoiceSplitter, SilenceGivesNothing) {
  EXPECT_TRUE(Split(std::vector<float>(16000 * 20)).empty());
  EXPECT_TRUE(Split(MakeRecording(0.0004, {}, 20).samples).empty());
  EXPECT_TRUE(Split({}).empty());
}

TEST(VoiceSplitter, QuietSpeechAfterLoudSpeechIsHeard) {
  Recording recording = MakeRecording(0.0002, {{1, 3}, {6, 8}}, 12);
  for (size_t i = 5 * 16000; i < 9 * 16000; ++i) recording.samples[i] *= 0.05f;  // 26 dB softer
  EXPECT_EQ(Split(recording.samples).size(), 2u);
}

TEST(VoiceSplitter, TheStepsOfTheInputDoNotMatter) {
  const Recording recording = MakeRecording(0.001, {{0.2, 1}, {2, 30}, {33, 34}}, 36);
  const auto whole = Split(recording.samples, {}, recording.samples.size());
  for (const size_t step : {64u, 777u, 16000u}) {
    const auto pieces = Split(recording.samples, {}, step);
    ASSERT_EQ(pieces.size(), whole.size()) << step;
    for (size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_EQ(pieces[i].begin, whole[i].begin);
      EXPECT_EQ(pieces[i].samples, whole[i].samples);
    }
  }
}

// Parts are all of the sound, in order; the times where it is cut.
std::vector<double> CheckedCuts(const std::vector<float>& samples, int64_t max_samples) {
  const auto parts = CutAtPauses(samples, max_samples).value();
  std::vector<double> cuts;
  const float* at = samples.data();
  for (const auto& part : parts) {
    EXPECT_EQ(part.data(), at);
    EXPECT_FALSE(part.empty());
    EXPECT_LE(static_cast<int64_t>(part.size()), max_samples);
    at += part.size();
    cuts.push_back(static_cast<double>(at - samples.data()) / 16000);
  }
  EXPECT_EQ(at, samples.data() + samples.size());
  if (!cuts.empty()) cuts.pop_back();  // the end
  return cuts;
}

TEST(CutAtPauses, ShortSoundsStayWhole) {
  EXPECT_TRUE(CutAtPauses({}, 480000)->empty());
  EXPECT_TRUE(CheckedCuts(MakeRecording(0.001, {{1, 5}, {6, 29}}, 30).samples, 480000).empty());
}

TEST(CutAtPauses, LongSoundsAreCutInThePauses) {
  const auto recording = MakeRecording(0.001, {{0.5, 9}, {10, 22}, {23, 40}, {41, 60}, {61, 64}}, 65);
  const auto cuts = CheckedCuts(recording.samples, 480000);
  ASSERT_EQ(cuts.size(), 2u);
  EXPECT_NEAR(cuts[0], 22.5, 0.2);
  EXPECT_NEAR(cuts[1], 40.5, 0.2);
}

TEST(CutAtPauses, APauseIsBetterThanALaterQuietMoment) {
  // From 4 s on it is loud without a pause; the quietest moment lies at 28 s.
  const auto recording = MakeRecording(0.0, {{0.2, 3.5}, {4.5, 28.0}, {28.2, 50.0}}, 51);
  const auto cuts = CheckedCuts(recording.samples, 480000);
  ASSERT_EQ(cuts.size(), 2u);
  EXPECT_NEAR(cuts[0], 4.0, 0.2);
  EXPECT_NEAR(cuts[1], 28.1, 0.2);
}

TEST(CutAtPauses, SilenceAndTonesAreKeptWhole) {
  EXPECT_EQ(CheckedCuts(std::vector<float>(16000 * 70), 480000).size(), 2u);
  std::vector<float> tone(16000 * 70 + 3);
  for (size_t i = 0; i < tone.size(); ++i) tone[i] = 0.2f * std::sin(static_cast<float>(i) * 0.2f);
  EXPECT_GE(CheckedCuts(tone, 480000).size(), 2u);
  EXPECT_GE(CheckedCuts(tone, 16000).size(), 70u);
}

TEST(CutAtPauses, RefusesPartsBeyondTheModel) {
  EXPECT_FALSE(CutAtPauses(std::vector<float>(16000), 16000 * 31).has_value());
  EXPECT_FALSE(CutAtPauses(std::vector<float>(16000), 0).has_value());
}

TEST(VoiceSplitter, ALiveRecordingIsJudgedSooner) {
  const Recording recording = MakeRecording(0.001, {{0.3, 1}, {2, 5}, {6, 9}}, 12);
  auto splitter = VoiceSplitter::Create({.lookahead_seconds = 0.5}).value();
  std::vector<double> known;  // how much was pushed when each piece came
  for (size_t at = 0; at < recording.samples.size(); at += 1600) {
    splitter.Push(std::span(recording.samples).subspan(at, 1600));
    while (splitter.Next()) known.push_back(static_cast<double>(at + 1600) / 16000);
  }
  ASSERT_EQ(known.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(known[i], recording.bursts[i].second + 1.2);
}

TEST(VoiceSplitter, TellsWherePiecesBeginBeforeTheyAreComplete) {
  const Recording recording = MakeRecording(0.001, {{0.5, 1}, {2, 5}, {6, 9}}, 12);
  auto splitter = VoiceSplitter::Create({.max_seconds = 2, .lookahead_seconds = 0.5}).value();
  std::vector<int64_t> begun, given;
  for (size_t at = 0; at < recording.samples.size(); at += 320) {
    splitter.Push(std::span(recording.samples).subspan(at, 320));
    while (const auto piece = splitter.Next()) given.push_back(piece->begin);
    const auto begin = splitter.Begun();
    if (begin && (begun.empty() || begun.back() != *begin)) begun.push_back(*begin);
    EXPECT_LE(splitter.oldest(), begin.value_or(splitter.oldest()));
  }
  EXPECT_GE(given.size(), 5u);
  EXPECT_EQ(begun, given);
}

TEST(VoiceSplitter, AGreaterShareTakesLessForSound) {
  // Quiet speech between two that are loud.
  Recording recording = MakeRecording(0.0003, {{0.5, 2}, {3, 4}, {5, 7}}, 9);
  for (size_t i = 3 * 16000; i < 4 * 16000; ++i) recording.samples[i] *= 0.02f;
  EXPECT_EQ(Split(recording.samples, {.share = 0.3}).size(), 3u);
  EXPECT_EQ(Split(recording.samples, {.share = 0.6}).size(), 2u);
}

TEST(VoiceSplitter, RefusesOptionsThatMakeNoSense) {
  EXPECT_FALSE(VoiceSplitter::Create({.max_seconds = 0.1}).has_value());
  EXPECT_FALSE(VoiceSplitter::Create({.max_seconds = 60}).has_value());
  EXPECT_FALSE(VoiceSplitter::Create({.pause_seconds = -1}).has_value());
  EXPECT_FALSE(VoiceSplitter::Create({.pad_seconds = std::nan("")}).has_value());
  EXPECT_FALSE(VoiceSplitter::Create({.share = 1.1}).has_value());
  EXPECT_FALSE(VoiceSplitter::Create({.max_seconds = 10, .pad_seconds = 2.6}).has_value());
  EXPECT_TRUE(VoiceSplitter::Create({.max_seconds = 10, .pad_seconds = 2.5}).has_value());
}

}  // namespace
}  // namespace linnet
