#include "runtime/prefix_key.h"

#include <gtest/gtest.h>

#include "runtime/session_testing.h"

namespace linnet {
namespace {

using testing::AddIds;
using testing::AddPicture;
using testing::RandomIds;

// 5 tokens, a picture of 6 cells between markers, 4 tokens.
Prompt WithPicture(uint32_t seed) {
  ModelConfig config;
  config.tokens = {.image = 19, .begin_image = 17, .end_image = 21};
  Prompt prompt;
  AddIds(prompt, RandomIds(5, 1));
  AddPicture(prompt, config, 3, 2, seed);
  AddIds(prompt, RandomIds(4, 2));
  return prompt;
}

PrefixKey Key(const Prompt& prompt) { return KeyOf(prompt, {}); }

TEST(PrefixKeys, WithEqualTokensDifferWhereTheirMediaDo) {
  const PrefixKey a = Key(WithPicture(1)), same = Key(WithPicture(1)), other = Key(WithPicture(2));
  EXPECT_EQ(a.ids, other.ids);
  EXPECT_EQ(SharedLength(a, same), 17);
  EXPECT_EQ(SharedLength(a, other), 6) << "behind the marker";
  EXPECT_EQ(RunningHashes(a, 17), RunningHashes(same, 17));
  EXPECT_EQ(RunningHashes(a, 17)[6], RunningHashes(other, 17)[6]);
  EXPECT_NE(RunningHashes(a, 17)[7], RunningHashes(other, 17)[7]);
}

TEST(PrefixKeys, ShareAMediumWholeOrNotAtAll) {
  const PrefixKey whole = Key(WithPicture(1));
  for (int64_t length = 0; length <= 17; ++length) {
    PrefixKey part = whole;
    part.ids.resize(static_cast<size_t>(length));
    const int64_t expected = length > 6 && length < 12 ? 6 : length;
    EXPECT_EQ(SharedLength(whole, part), expected);
    EXPECT_EQ(SharedLength(part, whole), expected);
    EXPECT_EQ(PlaceAt(whole, length), expected);
    part = whole;
    part.Truncate(expected);
    EXPECT_EQ(part.media.size(), expected > 6 ? 1u : 0u);
  }
  EXPECT_EQ(PlaceAt(whole, 100), 17);
}

// Whatever the rows of a medium depend on is part of its hash, and it is the same wherever it was computed.
TEST(PrefixKeys, NameMediaByAllThatTheirRowsDependOn) {
  const ImageInput image = WithPicture(1).images[0];
  ImageInput scaled = image, moved = image;
  scaled.scale = PixelScale::kProduct;
  std::vector<int32_t> positions(image.positions.begin(), image.positions.end());
  std::swap(positions[0], positions[1]), std::swap(positions[2], positions[3]);
  moved.positions = positions;
  EXPECT_NE(ContentHash(scaled), ContentHash(image));
  EXPECT_NE(ContentHash(moved), ContentHash(image));
  const Medium medium = MakeMedium(image);
  EXPECT_EQ(std::get<ImageInput>(medium.impl().input).sha256, ContentHash(image));
  AudioInput low{std::vector<float>(700, 0.25f)}, high{std::vector<float>(700, 0.5f)};
  EXPECT_EQ(ContentHash(low).size(), 64u);
  EXPECT_NE(ContentHash(low), ContentHash(high));
}

}  // namespace
}  // namespace linnet
