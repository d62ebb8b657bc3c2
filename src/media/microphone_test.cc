#include "media/microphone.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "media/audio.h"

namespace linnet {
namespace {

TEST(Microphone, ABuildWithoutOneSaysSo) {
  const auto none = OpenMicrophone({.program = "/nowhere/linnet-microphone"}, {});
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().what.find("/nowhere/linnet-microphone"), std::string::npos) << none.error().what;
}

TEST(Microphone, RefusesALengthThatMakesNoSense) {
  EXPECT_FALSE(OpenMicrophone({.max_seconds = -1}, {}).has_value());
  EXPECT_FALSE(OpenMicrophone({.max_seconds = std::nan("")}, {}).has_value());
}

#ifdef LINNET_MICROPHONE

MicrophoneOptions Options(std::string device, double seconds = 0) {
  return {std::move(device), seconds, LINNET_MICROPHONE};
}

std::vector<float> ReadAll(AudioReader& reader) {
  auto clip = reader.ReadClip();
  EXPECT_TRUE(clip.has_value()) << clip.error().Message();
  return clip ? clip->samples : std::vector<float>();
}

TEST(Microphone, RecordsAsLongAsAsked) {
  auto reader = OpenMicrophone(Options("lavfi:sine=frequency=440:sample_rate=48000", 2.5), {});
  ASSERT_TRUE(reader.has_value()) << reader.error().Message();
  EXPECT_EQ(reader->info().rate, 48000);
  const std::vector<float> samples = ReadAll(*reader);
  ASSERT_EQ(samples.size(), 40000u);
  // A sine of amplitude 1/8: a tone, not silence, not noise.
  double cosine = 0, sine = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const double phase = 2 * M_PI * 440 * static_cast<double>(i) / 16000;
    cosine += samples[i] * std::cos(phase);
    sine += samples[i] * std::sin(phase);
  }
  EXPECT_NEAR(std::hypot(cosine, sine) * 2 / 40000, 0.125, 0.002);
}

TEST(Microphone, EndsWithTheDevice) {
  auto reader = OpenMicrophone(Options("lavfi:aevalsrc=0.1|0.3:sample_rate=16000:duration=1.25"), {});
  ASSERT_TRUE(reader.has_value()) << reader.error().Message();
  const std::vector<float> samples = ReadAll(*reader);
  EXPECT_EQ(reader->info().channels, 2);
  EXPECT_EQ(reader->info().note, "the device has ended");
  ASSERT_EQ(samples.size(), 20000u);
  EXPECT_NEAR(samples[777], 0.2f, 1e-4);
}

TEST(Microphone, EndsWhenItIsStopped) {
  bool stop = false;
  auto reader = OpenMicrophone(Options("lavfi:sine=sample_rate=16000,arealtime"), [&] { return stop; });
  ASSERT_TRUE(reader.has_value()) << reader.error().Message();
  std::vector<float> second(16000);
  ASSERT_EQ(*reader->Read(second), second.size());
  stop = true;
  EXPECT_LT(ReadAll(*reader).size(), 5u * 16000);
}

TEST(Microphone, DevicesThatAreNotThereAreErrors) {
  const auto kind = OpenMicrophone(Options("tape:0"), {});
  ASSERT_FALSE(kind.has_value());
  EXPECT_EQ(kind.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(kind.error().hint.find("lavfi"), std::string::npos) << kind.error().hint;
  const auto graph = OpenMicrophone(Options("lavfi:nosuchfilter"), {});
  ASSERT_FALSE(graph.has_value());
  EXPECT_EQ(graph.error().code, ErrorCode::kNotFound);
}

#endif

}  // namespace
}  // namespace linnet
