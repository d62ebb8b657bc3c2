#include "media/loudness.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace linnet {
namespace {

// Half a second of a tone between two of noise of `noise`.
std::vector<float> Word(float loudness, float noise) {
  std::vector<float> samples(24'000);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = noise * (i % 2 == 0 ? 1.0f : -1.0f);
    if (i >= 8000 && i < 16'000)
      samples[i] += loudness * static_cast<float>(std::sin(0.2 * static_cast<double>(i)));
  }
  return samples;
}

LoudnessMeter Measured(const std::vector<float>& samples) {
  LoudnessMeter meter;
  meter.Push(samples);
  return meter;
}

TEST(Loudness, WhatIsLoudEnoughStaysAsItIs) {
  const LoudnessMeter meter = Measured(Word(0.1f, 0.001f));
  EXPECT_TRUE(meter.IsLoud());
  EXPECT_EQ(meter.Gain(), 1.0f);
  EXPECT_EQ(meter.Note(1.0f), "");
}

TEST(Loudness, AQuietWordIsMadeLouder) {
  const LoudnessMeter meter = Measured(Word(0.001f, 0.00001f));
  EXPECT_NEAR(meter.Gain() * 0.001f / std::sqrt(2.0f), 0.1f, 0.005f);  // -20 dB
  EXPECT_EQ(meter.Note(meter.Gain()), "it is very quiet (-63 dB at its loudest): it was made louder");
}

TEST(Loudness, EvenNoiseAndSilenceAreNot) {
  const LoudnessMeter noise = Measured(Word(0.0f, 0.001f));
  EXPECT_EQ(noise.Gain(), 1.0f);
  EXPECT_NE(noise.Note(1.0f).find("nothing stands out"), std::string::npos);
  const LoudnessMeter silence = Measured(Word(0.0f, 0.0f));
  EXPECT_EQ(silence.Gain(), 1.0f);
  EXPECT_EQ(silence.Note(1.0f), "it is silent from beginning to end");
  EXPECT_EQ(LoudnessMeter().Note(1.0f), "it holds no sound");
}

}  // namespace
}  // namespace linnet
