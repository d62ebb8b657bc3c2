#include "media/picture.h"

#include <algorithm>
#include <cstdlib>

#include "media/exif.h"
#include "media/golden_test_util.h"

namespace linnet {
namespace {

Picture Load(const std::string& inside, bool apply_orientation) {
  const auto picture = LoadPicture(GoldenPath(inside), {.apply_orientation = apply_orientation});
  EXPECT_TRUE(picture.has_value()) << inside << ": " << picture.error().Message();
  return picture.value_or(Picture{});
}

TEST(Picture, EveryFormatEqualsTheReference) {
  int compared = 0;
  for (const auto& row : ReadJsonLines("formats.jsonl")) {
    const std::string file = row["file"];
    if (row["load_image"].contains("error")) {
      const auto picture = LoadPicture(GoldenPath("formats/" + file));
      ASSERT_FALSE(picture.has_value()) << file;
      EXPECT_EQ(picture.error().code, ErrorCode::kBadFile);
      continue;
    }
    if (file == "grey16.png") continue;  // below
    EXPECT_EQ(Load("formats/" + file, true).rgb, Load(row["rgb"].get<std::string>(), true).rgb) << file;
    if (row.contains("rgb_path_string")) {
      EXPECT_EQ(Load("formats/" + file, false).rgb, Load(row["rgb_path_string"].get<std::string>(), true).rgb)
          << file;
    }
    ++compared;
  }
  EXPECT_GE(compared, 35);
}

// The reference clips 16-bit grey at 255; Linnet keeps the high byte.
TEST(Picture, SixteenBitGreyIsNotWhite) {
  const Picture ours = Load("formats/grey16.png", true), clipped = Load("formats-rgb/grey16.png.png", true);
  ASSERT_EQ(ours.rgb.size(), clipped.rgb.size());
  for (size_t i = 0; i < ours.rgb.size(); ++i) {
    if (ours.rgb[i] > 0) {
      ASSERT_EQ(clipped.rgb[i], 255);
    }
  }
  EXPECT_LT(*std::min_element(ours.rgb.begin(), ours.rgb.end()), 16);
  EXPECT_GT(*std::max_element(ours.rgb.begin(), ours.rgb.end()), 200);
}

std::string ErrorOf(std::span<const uint8_t> bytes, const std::string& name) {
  const auto picture = DecodePicture(bytes, name);
  return picture ? "none" : picture.error().Message();
}

std::string ErrorOf(const std::string& bytes, const std::string& name) {
  return ErrorOf({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, name);
}

TEST(Picture, ErrorsSayWhatWasFoundAndWhatToDo) {
  EXPECT_EQ(ErrorOf("", "a.png"), "a.png: is empty (0 bytes); copy or download it again");
  EXPECT_EQ(ErrorOf("shopping list: eggs, milk and bread", "a.png"),
            "a.png: is not a picture but text: \"shopping list: eggs, mil\"; give a PNG, JPEG, WebP, GIF, "
            "BMP, TIFF, HEIC or AVIF file");
  EXPECT_NE(ErrorOf("%PDF-1.7", "a.png").find("a PDF document"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string("\1\2\3\4", 4), "a.png").find("first bytes 01 02 03 04"), std::string::npos);
  const auto missing = LoadPicture("/nowhere/a.png");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST(Picture, TruncatedFilesSaySo) {
  for (const std::string file : {"rgb.png", "q90-420.jpg", "q75-420-progressive.jpg", "lossless.webp",
                                 "q80.webp", "still.gif", "rgb.bmp"}) {
    auto bytes = ReadFile(GoldenPath("formats/" + file));
    bytes.resize(bytes.size() * 6 / 10);
    EXPECT_NE(ErrorOf(bytes, file).find("ends before the picture does"), std::string::npos)
        << ErrorOf(bytes, file);
  }
}

TEST(Picture, AJpegWithoutItsEndMarkerIsComplete) {
  auto bytes = ReadFile(GoldenPath("formats/q90-420.jpg"));
  const auto whole = DecodePicture(bytes, "whole");
  bytes.resize(bytes.size() - 2);
  const auto cut = DecodePicture(bytes, "cut");
  ASSERT_TRUE(whole.has_value() && cut.has_value());
  EXPECT_EQ(cut->rgb, whole->rgb);
}

// Headers that promise more than there is must not cost memory: 50,000 x 50,000 is refused by the limit, and
// 14,000 x 14,000, which is below it, by the length of the file.
TEST(Picture, LargeHeadersAreRefusedBeforeMemoryIsTaken) {
  auto png = ReadFile(GoldenPath("formats/rgb.png"));
  const auto set_size = [&](uint32_t side) {
    for (size_t at : {16, 20}) {
      for (size_t i = 0; i < 4; ++i) png[at + i] = static_cast<uint8_t>(side >> (24 - 8 * i));
    }
    // libpng checks the header's CRC (reflected 0xedb88320 over type and data).
    uint32_t crc = 0xffffffffu;
    for (size_t i = 12; i < 29; ++i) {
      crc ^= png[i];
      for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    for (size_t i = 0; i < 4; ++i) png[29 + i] = static_cast<uint8_t>(~crc >> (24 - 8 * i));
  };
  set_size(50'000);
  EXPECT_EQ(ErrorOf(png, "big.png"),
            "big.png: the picture is 50000 x 50000 pixels, more than 200 million; scale it down or cut it "
            "into parts");
  set_size(14'000);
  EXPECT_NE(ErrorOf(png, "big.png").find("ends before"), std::string::npos);

  auto jpeg = ReadFile(GoldenPath("formats/q90-444.jpg"));
  const std::array<uint8_t, 3> frame = {0xff, 0xc0, 0};
  const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end()) - jpeg.begin();
  for (const size_t i : {5, 7}) {
    jpeg[at + i] = 50'000 >> 8;
    jpeg[at + i + 1] = 50'000 & 255;
  }
  EXPECT_NE(ErrorOf(jpeg, "big.jpg").find("50000 x 50000"), std::string::npos) << ErrorOf(jpeg, "big.jpg");
  for (const size_t i : {5, 7}) jpeg[at + i] = 14'000 >> 8;
  EXPECT_NE(ErrorOf(jpeg, "big.jpg").find("ends before"), std::string::npos) << ErrorOf(jpeg, "big.jpg");
}

TEST(Picture, BmpVariants) {
  // 2 x 2, 16 bits, 5-6-5 bit fields, bottom row first: red green / blue white.
  std::vector<uint8_t> bmp(14 + 40 + 12 + 8);
  const auto put = [&](size_t at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp[at + i] = static_cast<uint8_t>(value >> (8 * i));
  };
  bmp[0] = 'B', bmp[1] = 'M';
  put(10, 66, 4), put(14, 40, 4), put(18, 2, 4), put(22, 2, 4), put(26, 1, 2), put(28, 16, 2), put(30, 3, 4);
  put(54, 0xf800, 4), put(58, 0x07e0, 4), put(62, 0x001f, 4);
  put(66, 0x001f, 2), put(68, 0xffff, 2), put(70, 0xf800, 2), put(72, 0x07e0, 2);
  const auto picture = DecodePicture(bmp, "fields.bmp");
  ASSERT_TRUE(picture.has_value()) << picture.error().Message();
  EXPECT_EQ(picture->rgb, (std::vector<uint8_t>{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}));
  put(22, static_cast<uint32_t>(-2), 4);  // top row first
  EXPECT_EQ(DecodePicture(bmp, "top.bmp")->rgb,
            (std::vector<uint8_t>{0, 0, 255, 255, 255, 255, 255, 0, 0, 0, 255, 0}));
}

TEST(Picture, BmpRunLengths) {
  // 4 x 2, 8 bits, RLE8: a run of 4, end of line, then a literal of 3 and end of picture.
  std::vector<uint8_t> bmp(14 + 40 + 8);
  bmp[0] = 'B', bmp[1] = 'M';
  bmp[10] = 62, bmp[14] = 40, bmp[18] = 4, bmp[22] = 2, bmp[26] = 1, bmp[28] = 8, bmp[30] = 1, bmp[46] = 2;
  bmp[54] = 10, bmp[55] = 20, bmp[56] = 30, bmp[58] = 40, bmp[59] = 50, bmp[60] = 60;  // blue, green, red
  for (const int byte : {4, 1, 0, 0, 0, 3, 1, 0, 1, 0, 0, 1}) bmp.push_back(static_cast<uint8_t>(byte));
  const auto picture = DecodePicture(bmp, "runs.bmp");
  ASSERT_TRUE(picture.has_value()) << picture.error().Message();
  EXPECT_EQ(picture->rgb, (std::vector<uint8_t>{60, 50, 40, 30, 20, 10, 60, 50, 40, 30, 20, 10,
                                                60, 50, 40, 60, 50, 40, 60, 50, 40, 60, 50, 40}));
}

TEST(Exif, OrientationOfBothByteOrders) {
  const std::vector<uint8_t> little = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12,
                                       1,   3,   0,  1, 0, 0, 0, 6, 0, 0, 0};
  const std::vector<uint8_t> big = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0};
  EXPECT_EQ(ExifOrientation(little), 6);
  EXPECT_EQ(ExifOrientation(big), 8);
  for (size_t length = 0; length < little.size(); ++length) {
    EXPECT_EQ(ExifOrientation(std::span(little).first(length)), 1);
  }
}

}  // namespace
}  // namespace linnet
