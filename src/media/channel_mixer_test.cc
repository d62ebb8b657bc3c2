#include "media/channel_mixer.h"

#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

namespace linnet {
namespace {

using media_internal::ChannelMixer;

constexpr int64_t kRate = 8000;

float Tone(int i, double hertz) {
  return static_cast<float>(0.5 * std::sin(2 * 3.14159265358979 * hertz * i / kRate));
}

struct Mixed {
  std::vector<float> samples;
  bool cancelled;
};

Mixed Mix(int64_t channels, int frames, const std::function<float(int frame, int channel)>& value) {
  ChannelMixer mixer(channels, kRate);
  Mixed mixed;
  std::vector<float> frame(static_cast<size_t>(channels));
  for (int i = 0; i < frames; ++i) {
    for (int c = 0; c < channels; ++c) frame[static_cast<size_t>(c)] = value(i, c);
    mixer.Add(frame, mixed.samples);
  }
  mixer.Finish(mixed.samples);
  mixed.cancelled = mixer.cancelled();
  return mixed;
}

TEST(ChannelMixer, ChannelsThatCancelEachOtherLeaveTheLouderOne) {
  const Mixed mixed = Mix(2, 5001, [](int i, int c) { return (c == 0 ? 1.0f : -0.9f) * Tone(i, 440); });
  EXPECT_TRUE(mixed.cancelled);
  ASSERT_EQ(mixed.samples.size(), 5001u);
  for (int i = 0; i < 5001; ++i) ASSERT_EQ(mixed.samples[static_cast<size_t>(i)], Tone(i, 440));
}

TEST(ChannelMixer, MoreChannelsCancelToo) {
  const Mixed mixed = Mix(4, 4000, [](int i, int c) {
    return (c % 2 == 0 ? 1.0f : -1.0f) * (c < 2 ? 1.0f : 0.5f) * Tone(i, 440);
  });
  EXPECT_TRUE(mixed.cancelled);
  EXPECT_EQ(mixed.samples[1005], Tone(1005, 440));
}

// None of these cancel: independent channels, one that is alone among six, one that is silent, and noise of
// the last bit.
TEST(ChannelMixer, AllElseIsTheMean) {
  const std::pair<int64_t, std::function<float(int, int)>> cases[] = {
      {2, [](int i, int c) { return Tone(i, c == 0 ? 440 : 617); }},
      {6, [](int i, int c) { return c == 2 ? Tone(i, 440) : 0.0f; }},
      {2, [](int i, int c) { return c == 0 ? Tone(i, 440) : 0.0f; }},
      {2, [](int i, int c) { return (c == 0 ? 1.0f : -1.0f) * (i % 2 == 0 ? 1.0f : -1.0f) / 32768.0f; }},
      {2, [](int, int) { return 0.0f; }}};
  for (const auto& [channels, value] : cases) {
    const Mixed mixed = Mix(channels, 4500, value);
    EXPECT_FALSE(mixed.cancelled);
    ASSERT_EQ(mixed.samples.size(), 4500u);
    for (int i = 0; i < 4500; i += 7) {
      float sum = 0;
      for (int c = 0; c < channels; ++c) sum += value(i, c);
      ASSERT_EQ(mixed.samples[static_cast<size_t>(i)], sum / static_cast<float>(channels));
    }
  }
}

TEST(ChannelMixer, OneChannelWaitsForNothing) {
  ChannelMixer mixer(1, kRate);
  std::vector<float> out;
  std::vector<float> frame = {std::numeric_limits<float>::quiet_NaN()};
  mixer.Add(frame, out);
  EXPECT_EQ(out, std::vector<float>{0.0f});
  EXPECT_EQ(mixer.replaced(), 1);
}

}  // namespace
}  // namespace linnet
