#include "media/audio.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
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
  int frame_bytes = -1;     // -1: what the bits take
  uint16_t valid_bits = 0;  // not 0: the extensible form
  bool big_endian = false;
};

std::vector<uint8_t> MakeWav(const WavParts& parts, const std::vector<uint8_t>& data) {
  std::vector<uint8_t> wav;
  const auto text = [&](const char* t) { wav.insert(wav.end(), t, t + 4); };
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      wav.push_back(static_cast<uint8_t>(value >> (8 * (parts.big_endian ? bytes - 1 - i : i))));
    }
  };
  const uint32_t frame = parts.frame_bytes >= 0 ? static_cast<uint32_t>(parts.frame_bytes)
                                                : parts.channels * ((parts.bits + 7u) / 8u);
  const bool extensible = parts.valid_bits > 0;
  text(parts.big_endian ? "RIFX" : "RIFF"), put(parts.riff_size, 4), text("WAVE"), text("LIST"), put(3, 4),
      put(0, 4);  // odd chunk, padded
  text("fmt "), put(extensible ? 40 : 16, 4), put(extensible ? 0xfffe : parts.tag, 2), put(parts.channels, 2),
      put(parts.rate, 4);
  put(parts.rate * frame, 4), put(frame, 2), put(parts.bits, 2);
  if (extensible) {
    put(22, 2), put(parts.valid_bits, 2), put(0, 4), put(parts.tag, 2);
    wav.resize(wav.size() + 14);
  }
  text("data"), put(parts.data_size, 4);
  wav.insert(wav.end(), data.begin(), data.end());
  return wav;
}

std::vector<float> ReadAll(const std::vector<uint8_t>& wav) {
  auto reader = WavReader::Open(wav);
  EXPECT_TRUE(reader.has_value()) << reader.error().Message();
  if (!reader) return {};
  std::vector<float> samples(static_cast<size_t>(reader->frames()));
  EXPECT_EQ(reader->Read(samples), samples.size());
  return samples;
}

std::string ErrorOf(const WavParts& parts) {
  const auto reader = WavReader::Open(MakeWav(parts, std::vector<uint8_t>(48)));
  return reader ? "none" : reader.error().what;
}

// The sizes a recorder leaves when it was stopped: none, the largest, one it had planned, one it wrote
// earlier.
TEST(Wav, AnUnfinishedRecordingIsReadToItsEnd) {
  for (const uint32_t size : {0u, 0xffffffffu, 0x7fffff00u, 100u, 2u}) {
    for (const uint32_t riff_size : {0u, 36u, 4088u, 0xffffffffu}) {
      const auto wav = MakeWav({.data_size = size, .riff_size = riff_size}, {0, 0x40, 0, 0xc0});
      EXPECT_EQ(ReadAll(wav), (std::vector<float>{0.5f, -0.5f})) << size << " " << riff_size;
      EXPECT_TRUE(WavReader::Open(wav)->unfinished());
    }
  }
}

TEST(Wav, ChunksAndZerosBehindTheSamplesAreNoSound) {
  const std::vector<uint8_t> list = {'L', 'I', 'S', 'T', 4, 0, 0, 0, 'I', 'N', 'F', 'O'};
  std::vector<uint8_t> data = {0, 0x40};
  data.insert(data.end(), list.begin(), list.end());
  const auto finished = MakeWav({.data_size = 2}, data);
  EXPECT_EQ(ReadAll(finished), std::vector<float>{0.5f});
  EXPECT_FALSE(WavReader::Open(finished)->unfinished());
  EXPECT_TRUE(ReadAll(MakeWav({.data_size = 0}, list)).empty());
  EXPECT_TRUE(ReadAll(MakeWav({.data_size = 0}, {})).empty());
  const auto filled = MakeWav({.data_size = 2}, {0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(ReadAll(filled), std::vector<float>{0.5f});
  EXPECT_FALSE(WavReader::Open(filled)->unfinished());
}

// `cat a.wav b.wav`: of other rates, kinds and with chunks between them.
TEST(Wav, RecordingsBehindOneAreHeardToo) {
  const std::vector<uint8_t> first =
      MakeWav({.rate = 16000, .data_size = 6400}, std::vector<uint8_t>(6400, 0x10));
  const std::vector<uint8_t> second =
      MakeWav({.rate = 8000, .data_size = 3200}, std::vector<uint8_t>(3200, 0x20));
  const std::vector<uint8_t> list = {'L', 'I', 'S', 'T', 4, 0, 0, 0, 'I', 'N', 'F', 'O'};
  std::vector<uint8_t> joined = first;
  joined.insert(joined.end(), list.begin(), list.end());
  joined.insert(joined.end(), second.begin(), second.end());
  joined.insert(joined.end(), first.begin(), first.end());
  const std::string path = testing::TempDir() + "joined.wav";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(joined.data()), static_cast<std::streamsize>(joined.size()));
  const auto clip = LoadAudio(path);
  ASSERT_TRUE(clip.has_value()) << clip.error().Message();
  EXPECT_DOUBLE_EQ(clip->info.seconds, 0.6);
  EXPECT_NEAR(static_cast<double>(clip->samples.size()), 9600, 8);
  EXPECT_NEAR(clip->samples[6000], 0.25, 0.01);   // 0x2020 of 0x8000
  EXPECT_NEAR(clip->samples[9000], 0.125, 0.01);  // 0x1010

  // One that cannot be read is said and takes nothing from those before it.
  joined.insert(joined.end(), second.begin(), second.begin() + 44);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(joined.data()), static_cast<std::streamsize>(joined.size()));
  const auto with_rest = LoadAudio(path);
  ASSERT_TRUE(with_rest.has_value()) << with_rest.error().Message();
  EXPECT_EQ(with_rest->samples, clip->samples);
  EXPECT_NE(with_rest->info.note.find("a recording behind it cannot be read"), std::string::npos)
      << with_rest->info.note;
}

TEST(Wav, BytesOfASampleAreThoseOfItsFrame) {
  // 24 bits in 4 bytes, at the top as the format wants it …
  EXPECT_EQ(ReadAll(MakeWav({.bits = 24, .data_size = 8, .frame_bytes = 4}, {0, 0, 0, 0x40, 0, 1, 0, 0xc0})),
            (std::vector<float>{0.5f, -0.5f + 1.0f / (1 << 23)}));
  // … and at the bottom, with the sign above it or without.
  EXPECT_EQ(
      ReadAll(MakeWav({.bits = 24, .data_size = 8, .frame_bytes = 4}, {1, 0, 0x40, 0, 0, 0, 0xc0, 0xff})),
      (std::vector<float>{0.5f + 1.0f / (1 << 23), -0.5f}));
  EXPECT_EQ(ReadAll(MakeWav({.bits = 24, .data_size = 8, .frame_bytes = 4}, {1, 0, 0x40, 0, 0, 0, 0xc0, 0})),
            (std::vector<float>{0.5f + 1.0f / (1 << 23), -0.5f}));
  // The extensible form: 24 of 32 bits, 20 of 24, 12 of 16.
  EXPECT_EQ(ReadAll(MakeWav({.bits = 32, .data_size = 4, .valid_bits = 24}, {0, 0, 0, 0x40})),
            std::vector<float>{0.5f});
  EXPECT_EQ(ReadAll(MakeWav({.bits = 24, .data_size = 3, .valid_bits = 20}, {0, 0, 0x40})),
            std::vector<float>{0.5f});
  EXPECT_EQ(ReadAll(MakeWav({.bits = 12, .data_size = 2}, {0, 0x40})), std::vector<float>{0.5f});
  EXPECT_EQ(ReadAll(MakeWav({.bits = 12, .data_size = 4}, {0, 0x04, 0, 0xfc})),
            (std::vector<float>{0.5f, -0.5f}));
  // Where the size of a frame is not said, the bits decide.
  EXPECT_EQ(ReadAll(MakeWav({.data_size = 2, .frame_bytes = 0}, {0, 0x40})), std::vector<float>{0.5f});
}

TEST(Wav, WhatContradictsItselfIsRefused) {
  const WavParts wrong[] = {{.bits = 24, .frame_bytes = 2},
                            {.bits = 32, .frame_bytes = 3},
                            {.channels = 2, .bits = 16, .frame_bytes = 2},
                            {.channels = 2, .bits = 16, .frame_bytes = 5},
                            {.bits = 16, .valid_bits = 24},
                            {.rate = 0},
                            {.channels = 0}};
  for (const WavParts& parts : wrong) {
    EXPECT_NE(ErrorOf(parts).find("contradicts itself"), std::string::npos)
        << parts.channels << " " << parts.bits << " " << parts.frame_bytes << ": " << ErrorOf(parts);
  }
  EXPECT_NE(ErrorOf({.tag = 3, .bits = 32, .frame_bytes = 8}).find("32 bits in 8 bytes"), std::string::npos);
  EXPECT_NE(ErrorOf({.tag = 7, .bits = 8, .frame_bytes = 2}).find("8 bits in 2 bytes"), std::string::npos);
}

// The last format counts, whole.
TEST(Wav, ASecondFormatLeavesNothingOfTheFirst) {
  auto wav = MakeWav({.bits = 12, .data_size = 0, .frame_bytes = 4}, {});
  const auto second = MakeWav({.bits = 8, .data_size = 2}, {0xc0, 0x40});
  wav.resize(wav.size() - 8);                                // without its data
  wav.insert(wav.end(), second.begin() + 24, second.end());  // behind the LIST
  EXPECT_EQ(ReadAll(wav), (std::vector<float>{0.5f, -0.5f}));
}

TEST(Wav, BigEndianFilesAreRead) {
  EXPECT_EQ(ReadAll(MakeWav({.data_size = 4, .big_endian = true}, {0x40, 0, 0xc0, 0})),
            (std::vector<float>{0.5f, -0.5f}));
  EXPECT_EQ(ReadAll(MakeWav({.bits = 24, .data_size = 3, .big_endian = true}, {0x40, 0, 0})),
            std::vector<float>{0.5f});
  EXPECT_EQ(ReadAll(MakeWav({.tag = 3, .bits = 32, .data_size = 4, .big_endian = true}, {0x3f, 0, 0, 0})),
            std::vector<float>{0.5f});
  EXPECT_EQ(ReadAll(MakeWav({.data_size = 0, .big_endian = true}, {0x40, 0})), std::vector<float>{0.5f});
}

// A Wave64 file: names of sixteen bytes, sizes of eight that count the head, contents padded to eight.
TEST(Wav, Wave64IsReadFinishedOrNot) {
  const std::vector<uint8_t> format = {1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0};
  for (const uint64_t data_size : {uint64_t{28}, uint64_t{0}, uint64_t{24}, ~uint64_t{0}}) {
    std::vector<uint8_t> file = {'r', 'i', 'f', 'f', 0x2e, 0x91, 0xcf, 0x11};
    file.resize(24);
    const auto name = [&file](const char* text) {
      file.insert(file.end(), text, text + 4);
      file.resize(file.size() + 12);
    };
    const auto size = [&file](uint64_t value) {
      for (int i = 0; i < 8; ++i) file.push_back(static_cast<uint8_t>(value >> (8 * i)));
    };
    name("wave"), name("fmt "), size(24 + format.size());
    file.insert(file.end(), format.begin(), format.end());
    name("data"), size(data_size);
    file.insert(file.end(), {0, 0x40, 0, 0xc0});
    EXPECT_EQ(ReadAll(file), (std::vector<float>{0.5f, -0.5f})) << data_size;
    EXPECT_EQ(WavReader::Open(file)->unfinished(), data_size != 28);
  }
}

// AIFF of 16000 Hz; the compressed form (AIFC) names its kind of samples.
std::vector<uint8_t> MakeAiff(const std::string& kind, uint8_t bits, uint32_t size,
                              const std::vector<uint8_t>& data) {
  std::vector<uint8_t> file = {'F', 'O', 'R', 'M', 0,   0,
                               0,   0,   'A', 'I', 'F', kind.empty() ? uint8_t{'F'} : uint8_t{'C'}};
  const auto add = [&file](std::initializer_list<uint8_t> bytes) { file.insert(file.end(), bytes); };
  add({'C', 'O', 'M', 'M', 0, 0, 0, kind.empty() ? uint8_t{18} : uint8_t{24}});
  add({0, 1, 0, 0, 0, 0, 0, bits, 0x40, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0});
  if (!kind.empty()) {
    file.insert(file.end(), kind.begin(), kind.end());
    add({0, 0});
  }
  add({'S', 'S', 'N', 'D'});
  for (int shift = 24; shift >= 0; shift -= 8) file.push_back(static_cast<uint8_t>(size >> shift));
  add({0, 0, 0, 0, 0, 0, 0, 0});
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

TEST(Wav, AiffIsReadFinishedOrNot) {
  for (const uint32_t size : {12u, 0u, 8u, 0xffffffffu}) {
    const auto file = MakeAiff("", 16, size, {0x40, 0, 0xc0, 0});
    EXPECT_EQ(ReadAll(file), (std::vector<float>{0.5f, -0.5f})) << size;
    EXPECT_EQ(WavReader::Open(file)->unfinished(), size != 12);
    EXPECT_EQ(WavReader::Open(file)->rate(), 16000);
  }
  EXPECT_EQ(ReadAll(MakeAiff("", 8, 10, {0x40, 0xc0})), (std::vector<float>{0.5f, -0.5f}));
  EXPECT_EQ(ReadAll(MakeAiff("sowt", 16, 12, {0, 0x40, 0, 0xc0})), (std::vector<float>{0.5f, -0.5f}));
  EXPECT_EQ(ReadAll(MakeAiff("fl32", 32, 12, {0x3f, 0, 0, 0})), std::vector<float>{0.5f});
  const auto compressed = WavReader::Open(MakeAiff("ima4", 16, 12, {0, 0, 0, 0}));
  ASSERT_FALSE(compressed.has_value());
  EXPECT_EQ(compressed.error().code, ErrorCode::kUnsupported);
}

TEST(Wav, ChannelsThatCancelEachOtherAreHeard) {
  const std::vector<uint8_t> bytes =
      MakeWav({.channels = 2, .data_size = 8}, {0, 0x40, 0, 0xc0, 0, 0xe0, 0, 0x20});
  auto reader = WavReader::Open(bytes);
  ASSERT_TRUE(reader.has_value());
  std::vector<float> samples(2);
  EXPECT_EQ(reader->Read(samples), 2u);
  EXPECT_EQ(samples, (std::vector<float>{0.5f, -0.25f}));
  EXPECT_TRUE(reader->cancelled());
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
