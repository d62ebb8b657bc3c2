// Pictures of rarer kinds: what is read of them, how they are turned, and what is said of those that are not
// read.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "media/golden_test_util.h"
#include "media/media_loader.h"
#include "media/picture.h"
#include "media/picture_formats.h"

namespace linnet {
namespace {

std::vector<int> At(const Picture& picture, int64_t x, int64_t y) {
  const uint8_t* rgb = &picture.rgb[static_cast<size_t>(3 * (y * picture.width + x))];
  return {rgb[0], rgb[1], rgb[2]};
}

std::string ErrorOf(std::span<const uint8_t> bytes) {
  const auto picture = DecodePicture(bytes, "x");
  return picture ? "none" : picture.error().Message();
}

// Both hold the same drawing, coded with loss.
TEST(PictureKinds, HeicAndAvifAreReadInTheHelperToo) {
  const MediaLoader loader({.helper = LINNET_MEDIA_HELPER});
  std::vector<Picture> pictures;
  for (const std::string name : {"x.heic", "x.avif"}) {
    const auto inside = LoadPicture(FieldPath(name)), outside = loader.LoadPicture(FieldPath(name));
    ASSERT_TRUE(inside.has_value()) << inside.error().Message();
    ASSERT_TRUE(outside.has_value()) << outside.error().Message();
    EXPECT_EQ(inside->rgb, outside->rgb);
    EXPECT_EQ(inside->format, name == "x.heic" ? "HEIC" : "AVIF");
    EXPECT_EQ(inside->width, 240);
    EXPECT_EQ(inside->height, 160);
    EXPECT_EQ(inside->note, "");
    pictures.push_back(*inside);
  }
  EXPECT_LT(Difference(pictures[0], pictures[1]), 8);
}

TEST(PictureKinds, HeicAndAvifHaveLimitsAndEnds) {
  for (const std::string name : {"x.heic", "x.avif"}) {
    auto bytes = ReadFile(FieldPath(name));
    const auto small = DecodePicture(bytes, "x", {.max_pixels = 240 * 160 - 1});
    ASSERT_FALSE(small.has_value());
    EXPECT_EQ(small.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(small.error().what.find("240 x 160"), std::string::npos) << small.error().what;
    for (const size_t tenths : {1, 3, 6, 9}) {
      const std::string error = ErrorOf(std::span(bytes).first(bytes.size() * tenths / 10));
      EXPECT_NE(error.find("data ends before the picture does"), std::string::npos)
          << name << " " << tenths << ": " << error;
    }
  }
}

// Whatever its library does with damaged data happens in the helper.
TEST(PictureKinds, DamagedHeicAndAvifStayInTheHelper) {
  const MediaLoader loader({.helper = LINNET_MEDIA_HELPER, .patience_seconds = 10});
  uint32_t random = 1;
  for (const std::string name : {"x.heic", "x.avif"}) {
    const auto file = ReadFile(FieldPath(name));
    for (int i = 0; i < 30; ++i) {
      auto bytes = file;
      for (int flips = 0; flips < 3; ++flips) {
        random = random * 1664525 + 1013904223;
        bytes[(random >> 8) % bytes.size()] ^= static_cast<uint8_t>(1u << (random >> 29));
      }
      const auto picture = loader.LoadPicture(MediaSource(bytes, "damaged"));
      if (picture) {
        EXPECT_EQ(picture->rgb.size(), static_cast<size_t>(3 * picture->width * picture->height));
      } else {
        EXPECT_TRUE(picture.error().what.starts_with("damaged: ")) << picture.error().what;
      }
    }
  }
}

// A property is added to the list of the file and to that of its only item.
std::vector<uint8_t> WithProperty(std::vector<uint8_t> file, const std::vector<uint8_t>& box) {
  const auto find = [&](const char* name) {
    return static_cast<size_t>(std::search(file.begin(), file.end(), name, name + 4) - file.begin()) - 4;
  };
  const auto add = [&](size_t at, uint32_t more) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | file[at + i];
    value += more;
    for (size_t i = 0; i < 4; ++i) file[at + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
  };
  const auto size = static_cast<uint32_t>(box.size());
  for (const char* name : {"meta", "iprp"}) add(find(name), size + 1);
  add(find("ipco"), size);
  const size_t lists = find("ipma"), count = lists + 18;
  add(lists, 1);
  add(find("iloc") + 22, size + 1);  // where the only extent begins
  const auto number = static_cast<uint8_t>(++file[count]);
  file.insert(file.begin() + static_cast<ptrdiff_t>(count + number), 0x80 | number);
  file.insert(file.begin() + static_cast<ptrdiff_t>(lists), box.begin(), box.end());
  return file;
}

TEST(PictureKinds, TurnsOfAnAvifAreAppliedOnce) {
  const auto file = ReadFile(FieldPath("x.avif"));
  const Picture straight = *DecodePicture(file, "x");
  // A quarter against the clock is EXIF's 8; the mirror's axis stands upright (EXIF 2) or lies (EXIF 4).
  const std::vector<uint8_t> quarter = {0, 0, 0, 9, 'i', 'r', 'o', 't', 1};
  const std::vector<uint8_t> half = {0, 0, 0, 9, 'i', 'r', 'o', 't', 2};
  for (const auto& [box, orientation] : {std::pair{quarter, 8}, {half, 3}}) {
    const auto bytes = WithProperty(file, box);
    const auto turned = DecodePicture(bytes, "x");
    ASSERT_TRUE(turned.has_value()) << turned.error().Message();
    Picture expected = straight;
    media_internal::ApplyOrientation(orientation, expected);
    EXPECT_EQ(turned->width, expected.width);
    // Colours are spread over their neighbours before or after the turn.
    EXPECT_LT(Difference(*turned, expected), 3) << orientation;
    const auto stored = DecodePicture(bytes, "x", {.apply_orientation = false});
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->rgb, straight.rgb);
  }
}

// What EXIF says of the eight numbers: which stored corner is shown at the upper left, and which runs to the
// right.
TEST(PictureKinds, AllEightOrientations) {
  Picture stored;
  stored.width = 3;
  stored.height = 2;
  for (uint8_t i = 0; i < 6; ++i) stored.rgb.insert(stored.rgb.end(), {i, i, i});
  const std::array<std::vector<int>, 9> shown = {{{},
                                                  {0, 1, 2, 3, 4, 5},
                                                  {2, 1, 0, 5, 4, 3},
                                                  {5, 4, 3, 2, 1, 0},
                                                  {3, 4, 5, 0, 1, 2},
                                                  {0, 3, 1, 4, 2, 5},
                                                  {3, 0, 4, 1, 5, 2},
                                                  {5, 2, 4, 1, 3, 0},
                                                  {2, 5, 1, 4, 0, 3}}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Picture picture = stored;
    media_internal::ApplyOrientation(orientation, picture);
    EXPECT_EQ(picture.width, orientation < 5 ? 3 : 2);
    std::vector<int> values;
    for (size_t i = 0; i < 6; ++i) values.push_back(picture.rgb[3 * i]);
    EXPECT_EQ(values, shown[static_cast<size_t>(orientation)]) << orientation;
  }
}

// One row of two grey samples, little-endian, with a tag or two of its own.
struct Tag {
  uint16_t id = 0, value = 0;
};
std::vector<uint8_t> Tiff(uint16_t bits, std::vector<Tag> more) {
  std::vector<Tag> tags = {{256, 2}, {257, 1}, {258, bits}, {259, 1}, {262, 1},
                           {273, 8}, {277, 1}, {278, 1},    {279, 32}};
  for (const Tag& tag : more) {
    std::erase_if(tags, [&](const Tag& old) { return old.id == tag.id; });
    tags.push_back(tag);
  }
  std::ranges::sort(tags, {}, &Tag::id);
  std::vector<uint8_t> file = {'I', 'I', 42, 0, 40, 0, 0, 0};
  file.resize(40);
  file[8] = 10;
  file[9] = 200;
  const auto put = [&](std::initializer_list<size_t> words) {
    for (const size_t word : words)
      file.insert(file.end(), {static_cast<uint8_t>(word), static_cast<uint8_t>(word >> 8)});
  };
  put({tags.size()});
  for (const Tag& tag : tags) put({tag.id, 3, 1, 0, tag.value, 0});
  put({0, 0});
  return file;
}

TEST(PictureKinds, TheTurnOfATiff) {
  const auto straight = DecodePicture(Tiff(8, {}), "x");
  ASSERT_TRUE(straight.has_value()) << straight.error().Message();
  EXPECT_EQ(straight->width, 2);
  EXPECT_EQ(At(*straight, 0, 0)[0], 10);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto picture = DecodePicture(Tiff(8, {{274, static_cast<uint16_t>(orientation)}}), "x");
    ASSERT_TRUE(picture.has_value());
    Picture expected = *straight;
    media_internal::ApplyOrientation(orientation, expected);
    EXPECT_EQ(picture->width, expected.width);
    EXPECT_EQ(picture->rgb, expected.rgb) << orientation;
  }
}

TEST(PictureKinds, ATiffThatIsNotReadSaysWhatItIs) {
  EXPECT_NE(ErrorOf(Tiff(32, {{339, 3}})).find("a TIFF of 32-bit floating-point samples: not supported"),
            std::string::npos)
      << ErrorOf(Tiff(32, {{339, 3}}));
  EXPECT_NE(ErrorOf(Tiff(16, {{339, 3}})).find("16-bit floating-point"), std::string::npos);
  EXPECT_NE(ErrorOf(Tiff(32, {})).find("a TIFF of 32-bit samples"), std::string::npos);
  // A row of these would take gigabytes.
  EXPECT_NE(ErrorOf(ReadFile(LINNET_SOURCE_DIR "/tests/fuzz/seeds/picture/samples.tiff"))
                .find("a TIFF of 44832 samples a pixel"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Tiff(8, {{259, 34712}})).find("compression"), std::string::npos)
      << ErrorOf(Tiff(8, {{259, 34712}}));
}

TEST(PictureKinds, AJpegThatIsNotReadSaysWhatItIs) {
  const auto jpeg = ReadFile(GoldenPath("formats/q90-444.jpg"));
  const std::array<uint8_t, 3> frame = {0xff, 0xc0, 0};
  const auto at =
      static_cast<size_t>(std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end()) - jpeg.begin());
  auto deep = jpeg;
  deep[at + 1] = 0xc1;  // the process of 12 bits
  deep[at + 4] = 12;
  EXPECT_NE(ErrorOf(deep).find("is a JPEG of 12 bits a sample: not supported"), std::string::npos)
      << ErrorOf(deep);
  auto lossless = jpeg;
  lossless[at + 1] = 0xc3;
  EXPECT_NE(ErrorOf(lossless).find("is a lossless JPEG"), std::string::npos) << ErrorOf(lossless);
}

TEST(PictureKinds, AnimationsSayThatTheyAre) {
  EXPECT_EQ(LoadPicture(FieldPath("animated.png"))->note, "an animation: only its first frame is used");
  EXPECT_EQ(LoadPicture(GoldenPath("formats/animated.gif"))->note,
            "an animation: only its first frame is used");
  EXPECT_EQ(LoadPicture(GoldenPath("formats/exif-6.png"))->note, "");
}

TEST(PictureKinds, OtherMediaAreNamed) {
  EXPECT_EQ(ErrorOf(ReadFile(FieldPath("video.wmv"))),
            "x: is a Windows Media film (ASF), not a picture Linnet reads; give it as a video (--video)");
  EXPECT_NE(ErrorOf(ReadFile(GoldenPath("wav/mono-16k-u8.wav"))).find("is a WAV sound"), std::string::npos);
}

// What phones write: a transparent half, ten bits a sample, a grid of tiles whose edge is cut off. Each is of
// one colour all over; alpha is dropped like that of other pictures.
TEST(PictureKinds, HeifWithAlphaTenBitsAndGrids) {
  struct Case {
    const char* name;
    int64_t width, height;
    std::array<int, 3> rgb;
  };
  const Case cases[] = {{"alpha.heic", 64, 48, {223, 126, 83}},
                        {"ten_bits.heic", 64, 48, {223, 126, 83}},
                        {"ten_bits.avif", 64, 48, {255, 0, 0}},
                        {"grid.heic", 100, 90, {223, 126, 83}}};
  for (const auto& [name, width, height, rgb] : cases) {
    const auto picture = LoadPicture(std::string(LINNET_SOURCE_DIR "/tests/data/media/") + name);
    ASSERT_TRUE(picture.has_value()) << picture.error().Message();
    EXPECT_EQ(picture->note, "") << name;
    ASSERT_EQ(picture->width, width) << name;
    ASSERT_EQ(picture->height, height) << name;
    int most = 0;
    for (size_t i = 0; i < picture->rgb.size(); ++i)
      most = std::max(most, std::abs(picture->rgb[i] - rgb[i % 3]));
    EXPECT_LE(most, 3) << name;
  }
}

}  // namespace
}  // namespace linnet
