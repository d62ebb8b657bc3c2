#include "media/audio.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "media/golden_test_util.h"
#include "media/resample.h"
#include "media/wav.h"

namespace linnet {
namespace {

// Tensors of a safetensors file, by hand: the reader of src/io stands beside this floor, not below it.
std::vector<float> GoldenTensor(const std::string& file, const std::string& name) {
  const std::vector<uint8_t> bytes = ReadFile(GoldenPath(file));
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const auto json =
      nlohmann::json::parse(bytes.begin() + 8, bytes.begin() + 8 + static_cast<ptrdiff_t>(header));
  const auto& offsets = json.at(name).at("data_offsets");
  std::vector<float> values((offsets[1].get<size_t>() - offsets[0].get<size_t>()) / 4);
  std::memcpy(values.data(), bytes.data() + 8 + header + offsets[0].get<size_t>(), 4 * values.size());
  return values;
}

TEST(Audio, WavFilesEqualTheReference) {
  for (const auto& row : ReadJsonLines("wav.jsonl")) {
    if (!row.contains("file") || row["file"].get<std::string>().ends_with(".flac")) continue;
    const std::string file = row["file"];
    const auto clip = LoadAudio(GoldenPath(file));
    if (row.contains("error")) {
      ASSERT_FALSE(clip.has_value()) << file;
      EXPECT_EQ(clip.error().code, ErrorCode::kBadFile);
      continue;
    }
    ASSERT_TRUE(clip.has_value()) << clip.error().Message();
    EXPECT_EQ(clip->info.rate, row["rate"]);
    EXPECT_EQ(clip->info.channels, row["channels"]);
    EXPECT_EQ(clip->info.frames, row["frames"]);
    ASSERT_EQ(clip->samples.size(), row["samples"].get<size_t>()) << file;
    if (clip->samples.empty()) continue;
    const std::vector<float> wanted = GoldenTensor("wav.safetensors", file.substr(4));
    ASSERT_EQ(clip->samples.size(), wanted.size());
    float largest = 0;
    for (size_t i = 0; i < wanted.size(); ++i)
      largest = std::max(largest, std::fabs(clip->samples[i] - wanted[i]));
    if (row["exact"].get<bool>()) {
      EXPECT_EQ(largest, 0.0f) << file;
    } else {
      EXPECT_LT(largest, 2e-6f) << largest << " " << file;
    }
  }
}

TEST(Audio, FramesArePaddedWithZeros) {
  for (const int64_t samples : {0, 1, 639, 640, 641, 1281}) {
    std::vector<float> in(static_cast<size_t>(samples));
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i) - 7.5f;
    const std::vector<float> frames = CutFrames(in);
    EXPECT_EQ(static_cast<int64_t>(frames.size()), FrameCount(samples) * 640);
    for (size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(frames[i], i < in.size() ? in[i] : 0.0f);
  }
}

TEST(Audio, FramesEqualTheGoldenOnes) {
  for (const std::string n : {"1", "639", "641", "1281"}) {
    EXPECT_EQ(CutFrames(GoldenTensor("audio.safetensors", "in-" + n)),
              GoldenTensor("audio.safetensors", "frames-" + n));
  }
}

TEST(Resampler, ThePiecesOfTheInputDoNotMatter) {
  std::vector<float> in(30'011);
  for (size_t i = 0; i < in.size(); ++i) in[i] = std::sin(static_cast<float>(i * i) * 1e-4f);
  for (const int64_t rate : {8000, 11025, 22050, 44100, 48000, 96000}) {
    std::vector<float> once, pieces;
    auto a = Resampler::Create(rate, 16000), b = Resampler::Create(rate, 16000);
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->Push(in, once) && a->Finish(once));
    for (size_t at = 0, step = 1; at < in.size(); at += step, step = step * 3 % 4099 + 1) {
      ASSERT_TRUE(b->Push(std::span(in).subspan(at, std::min(step, in.size() - at)), pieces));
    }
    ASSERT_TRUE(b->Finish(pieces));
    EXPECT_EQ(once.size(), (in.size() * 16000 + static_cast<size_t>(rate) - 1) / static_cast<size_t>(rate));
    EXPECT_EQ(once, pieces) << rate;
  }
  EXPECT_FALSE(Resampler::Create(0, 16000).has_value());
  EXPECT_FALSE(Resampler::Create(4'000'000'000, 16000).has_value());
}

struct WavParts {
  uint16_t tag = 1, channels = 1, bits = 16;
  uint32_t rate = 16000, data_size = 0, riff_size = 1000;
};

std::vector<uint8_t> MakeWav(const WavParts& parts, const std::vector<uint8_t>& data) {
  std::vector<uint8_t> wav;
  const auto text = [&](const char* t) { wav.insert(wav.end(), t, t + 4); };
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) wav.push_back(static_cast<uint8_t>(value >> (8 * i)));
  };
  const uint32_t frame = parts.channels * parts.bits / 8u;
  text("RIFF"), put(parts.riff_size, 4), text("WAVE"), text("LIST"), put(3, 4),
      put(0, 4);  // odd chunk, padded
  text("fmt "), put(16, 4), put(parts.tag, 2), put(parts.channels, 2), put(parts.rate, 4);
  put(parts.rate * frame, 4), put(frame, 2), put(parts.bits, 2), text("data"), put(parts.data_size, 4);
  wav.insert(wav.end(), data.begin(), data.end());
  return wav;
}

std::vector<float> ReadAll(const std::vector<uint8_t>& wav) {
  auto reader = WavReader::Open(wav);
  EXPECT_TRUE(reader.has_value()) << reader.error().Message();
  std::vector<float> samples(static_cast<size_t>(reader->frames()));
  EXPECT_EQ(reader->Read(samples), samples.size());
  return samples;
}

TEST(Wav, AnUnfinishedRecordingIsReadToItsEnd) {
  for (const uint32_t size : {0u, 0xffffffffu}) {
    const auto wav = MakeWav({.data_size = size, .riff_size = size}, {0, 0x40, 0, 0xc0});
    EXPECT_EQ(ReadAll(wav), (std::vector<float>{0.5f, -0.5f}));
  }
  EXPECT_TRUE(ReadAll(MakeWav({.data_size = 0}, {0, 0x40})).empty());
}

TEST(Wav, ValuesThatAreNoNumbersBecomeZeroAndAreCounted) {
  std::vector<uint8_t> data(12);
  const float values[3] = {std::numeric_limits<float>::quiet_NaN(), 0.25f,
                           std::numeric_limits<float>::infinity()};
  std::memcpy(data.data(), values, 12);
  auto reader = WavReader::Open(data = MakeWav({.tag = 3, .bits = 32, .data_size = 12}, data));
  ASSERT_TRUE(reader.has_value());
  std::vector<float> samples(3);
  EXPECT_EQ(reader->Read(samples), 3u);
  EXPECT_EQ(samples, (std::vector<float>{0.0f, 0.25f, 0.0f}));
  EXPECT_EQ(reader->replaced(), 2);
}

// Two channels whose sum would be infinite.
TEST(Wav, ValuesFarBeyondFullScaleBecomeZero) {
  std::vector<uint8_t> data(16);
  const float values[4] = {3e38f, 3e38f, 4.0f, 2.0f};
  std::memcpy(data.data(), values, 16);
  const auto wav = MakeWav({.tag = 3, .channels = 2, .bits = 32, .data_size = 16}, data);
  EXPECT_EQ(ReadAll(wav), (std::vector<float>{0.0f, 3.0f}));
}

TEST(Wav, TelephoneLawsFollowG711) {
  // Decoded values of the standard's tables at 16 bits: largest, smallest step, sign.
  EXPECT_EQ(ReadAll(MakeWav({.tag = 7, .bits = 8, .data_size = 4}, {0x80, 0x00, 0xff, 0xfe})),
            (std::vector<float>{32124 / 32768.0f, -32124 / 32768.0f, 0.0f, 8 / 32768.0f}));
  EXPECT_EQ(ReadAll(MakeWav({.tag = 6, .bits = 8, .data_size = 3}, {0xaa, 0x2a, 0xd5})),
            (std::vector<float>{32256 / 32768.0f, -32256 / 32768.0f, 8 / 32768.0f}));
}

TEST(Wav, OtherKindsAreRefusedByName) {
  const auto adpcm = WavReader::Open(MakeWav({.tag = 2, .bits = 4}, {}));
  ASSERT_FALSE(adpcm.has_value());
  EXPECT_EQ(adpcm.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(WavReader::Open(MakeWav({.channels = 0}, {})).has_value());
  EXPECT_FALSE(WavReader::Open({}).has_value());
}

TEST(Audio, TooLongIsRefusedByItsHeader) {
  const auto clip = LoadAudio(GoldenPath("wav/mono-16k-s16.wav"), 0.1);
  ASSERT_FALSE(clip.has_value());
  EXPECT_EQ(clip.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace linnet
