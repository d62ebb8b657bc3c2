// Damaged media: every decoder answers with an error or a result of consistent size, whatever the bytes.
// Small enough for every test run; under the address and undefined-behaviour sanitizers it is the
// memory-safety test.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "media/audio.h"
#include "media/av.h"
#include "media/golden_test_util.h"
#include "media/picture.h"
#include "media/wav.h"

namespace linnet {
namespace {

// Damaged copies of each file; LINNET_MUTATIONS asks for more in a long run.
int FlipsPerFile() {
  const char* asked = std::getenv("LINNET_MUTATIONS");
  return asked == nullptr ? 400 : std::atoi(asked);
}
// A flipped size field must not turn a test of thousands of cases into minutes of clearing memory.
constexpr PictureOptions kSmall = {.apply_orientation = true, .max_pixels = 1 << 18};

void CheckPicture(std::span<const uint8_t> bytes) {
  const auto picture = DecodePicture(bytes, "mutant", kSmall);
  if (!picture) {
    EXPECT_FALSE(picture.error().what.empty());
    return;
  }
  ASSERT_GT(picture->width * picture->height, 0);
  ASSERT_EQ(picture->rgb.size(), static_cast<size_t>(3 * picture->width * picture->height));
}

void CheckWav(std::span<const uint8_t> bytes) {
  auto reader = WavReader::Open(bytes);
  if (!reader) {
    EXPECT_FALSE(reader.error().what.empty());
    return;
  }
  ASSERT_LE(static_cast<size_t>(reader->frames()), bytes.size());
  std::vector<float> samples(static_cast<size_t>(reader->frames()));
  ASSERT_EQ(reader->Read(samples), samples.size());
  for (const float sample : samples) ASSERT_TRUE(std::isfinite(sample));
}

// Exactly as long as the contents, so that reading one byte further is seen by the sanitizer.
template <typename Check>
void Mutate(const std::vector<uint8_t>& original, uint32_t seed, const Check& check) {
  std::mt19937 random(seed);
  const int flips_per_file = FlipsPerFile();
  const size_t step = std::max<size_t>(1, original.size() / 400);
  for (size_t length = 0; length < original.size(); length += step) {
    check(std::vector<uint8_t>(original.begin(), original.begin() + static_cast<ptrdiff_t>(length)));
  }
  for (int i = 0; i < flips_per_file; ++i) {
    std::vector<uint8_t> bytes = original;
    const uint32_t flips = 1 + random() % 4;
    for (uint32_t flip = 0; flip < flips && !bytes.empty(); ++flip) {
      // Headers decide most: half of the flips go there.
      const size_t range = random() % 2 == 0 ? std::min<size_t>(bytes.size(), 64) : bytes.size();
      bytes[random() % range] ^= static_cast<uint8_t>(1u << random() % 8);
    }
    check(bytes);
  }
}

TEST(Mutation, Pictures) {
  uint32_t seed = 1;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenPath("formats"))) {
    Mutate(ReadFile(entry.path()), seed++, CheckPicture);
  }
  EXPECT_GT(seed, 40u);
}

void CheckAv(std::span<const uint8_t> bytes) {
  if (auto sound = OpenAvAudio(bytes)) {
    std::vector<float> piece(4096);
    for (size_t total = 0; total < 1'000'000;) {
      const auto count = (*sound)->Read(piece);
      if (!count || *count == 0) break;
      for (size_t s = 0; s < *count; ++s) ASSERT_TRUE(std::isfinite(piece[s]));
      total += *count;
    }
  }
  if (auto video = OpenAvVideo(bytes)) {
    for (const double second : {0.0, 0.5, 0.9}) {
      const auto frame = (*video)->At(second);
      if (!frame || !*frame) break;
      ASSERT_EQ((*frame)->picture.rgb.size(),
                static_cast<size_t>(3 * (*frame)->picture.width * (*frame)->picture.height));
    }
  }
}

TEST(Mutation, SoundAndVideoOfTheMediaLibrary) {
  if (!AvAvailable()) GTEST_SKIP() << "built without FFmpeg";
  uint32_t seed = 2000;
  for (const char* name : {"tiny.mp4", "tiny.webm"}) {
    Mutate(ReadFile(std::filesystem::path(LINNET_SOURCE_DIR "/tests/data/media") / name), seed++, CheckAv);
  }
}

TEST(Mutation, Wav) {
  uint32_t seed = 1000;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenPath("wav"))) {
    if (entry.path().extension() == ".wav") Mutate(ReadFile(entry.path()), seed++, CheckWav);
  }
  EXPECT_GT(seed, 1010u);
}

// Sizes at the edges of what fits, in every format's header.
TEST(Mutation, ExtremeSizes) {
  for (const auto& entry : std::filesystem::directory_iterator(GoldenPath("formats"))) {
    const std::vector<uint8_t> original = ReadFile(entry.path());
    for (size_t at = 0; at + 4 <= std::min<size_t>(original.size(), 64); ++at) {
      for (const uint32_t value : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu, 0x00ffff00u}) {
        std::vector<uint8_t> bytes = original;
        for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
        CheckPicture(bytes);
      }
    }
  }
}

// A frame without pixels on a screen that has some.
TEST(Mutation, GifFrameWithoutPixels) {
  const std::vector<uint8_t> gif = {'G',  'I', 'F', '8', '9', 'a', 2, 0, 2, 0, 0, 0, 0,  // screen of 2 x 2
                                    0x2c, 0,   0,   0,   0,   0,   0, 2, 0, 0, 2, 1, 0x2c,
                                    0,    0x3b};  // frame of 0 x 2
  EXPECT_FALSE(DecodePicture(gif, "empty.gif").has_value());
}

// A chunk of EXIF that claims 2 GB in a file of 500 bytes.
TEST(Mutation, PngChunkThatClaimsMemory) {
  std::vector<uint8_t> png = ReadFile(GoldenPath("formats/rgb.png"));
  const std::vector<uint8_t> chunk = {0x7f, 0xff, 0xff, 0xf0, 'e', 'X', 'I', 'f', 'M', 'M', 0, 42};
  png.insert(png.begin() + 33, chunk.begin(), chunk.end());
  EXPECT_FALSE(DecodePicture(png, "claims.png").has_value());
}

}  // namespace
}  // namespace linnet
