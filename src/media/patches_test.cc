#include "media/patches.h"

#include <numeric>

#include "media/golden_test_util.h"
#include "media/resize.h"

namespace linnet {
namespace {

TEST(TargetSize, EqualsTheReferenceForEverySizeAndBudget) {
  for (const auto& row : ReadJsonLines("target_sizes.jsonl")) {
    const int64_t height = row["height"], width = row["width"];
    for (const int64_t budget : kImageBudgets) {
      const auto target = TargetSize(height, width, budget);
      ASSERT_TRUE(target.has_value());
      const auto& wanted = row[std::to_string(budget)];
      EXPECT_EQ(target->height, wanted[0].get<int64_t>()) << height << " x " << width << " at " << budget;
      EXPECT_EQ(target->width, wanted[1].get<int64_t>()) << height << " x " << width << " at " << budget;
      EXPECT_EQ(target->soft_tokens, target->rows * target->columns);
      EXPECT_LE(target->soft_tokens, budget);
    }
  }
}

TEST(TargetSize, RefusesOtherBudgetsAndEmptyPictures) {
  for (const int64_t budget : {0, 1, 69, 71, 256, 1121, -70})
    EXPECT_FALSE(TargetSize(10, 10, budget).has_value());
  EXPECT_NE(TargetSize(10, 10, 256).error().Message().find("70, 140, 280, 560, 1120"), std::string::npos);
  EXPECT_FALSE(TargetSize(0, 5, 280).has_value());
  EXPECT_FALSE(TargetSize(5, 0, 280).has_value());
}

Picture Pattern(int64_t height, int64_t width) {
  Picture picture;
  picture.height = height;
  picture.width = width;
  for (int64_t i = 0; i < 3 * height * width; ++i)
    picture.rgb.push_back(static_cast<uint8_t>(i * i * 7 + 3 * i));
  return picture;
}

TEST(Resize, EveryStoredResultIsBitEqual) {
  int compared = 0;
  for (const auto& row : ReadJsonLines("images.jsonl")) {
    if (row["resized"].is_null()) continue;
    const auto input = LoadPicture(GoldenPath("images/" + row["input"].get<std::string>()));
    const auto wanted = LoadPicture(GoldenPath(row["resized"].get<std::string>()));
    ASSERT_TRUE(input.has_value() && wanted.has_value());
    const auto target = TargetSize(input->height, input->width, row["budget"].get<int64_t>());
    ASSERT_TRUE(target.has_value());
    const Picture resized = Resize(*input, target->height, target->width);
    EXPECT_EQ(resized.rgb, wanted->rgb) << row["resized"];
    ++compared;
  }
  EXPECT_GT(compared, 50);
}

TEST(Resize, TheSameSizeIsTheSamePicture) {
  const Picture picture = Pattern(17, 31);
  EXPECT_EQ(Resize(picture, 17, 31).rgb, picture.rgb);
}

TEST(Resize, RowsAndColumnsAreTreatedAlike) {
  const Picture picture = Pattern(37, 53);
  Picture turned = picture;
  turned.height = picture.width;
  turned.width = picture.height;
  for (int64_t y = 0; y < 37; ++y) {
    for (int64_t x = 0; x < 53; ++x)
      std::copy_n(&picture.rgb[3 * (y * 53 + x)], 3, &turned.rgb[3 * (x * 37 + y)]);
  }
  // One axis only: the passes of the two axes must agree, tails of blocks and lanes included.
  for (const int64_t size : {1, 2, 19, 36, 48, 100, 211}) {
    const Picture tall = Resize(picture, size, 53), wide = Resize(turned, 53, size);
    for (int64_t y = 0; y < size; ++y) {
      for (int64_t x = 0; x < 53; ++x) {
        for (int64_t c = 0; c < 3; ++c)
          ASSERT_EQ(tall.rgb[3 * (y * 53 + x) + c], wide.rgb[3 * (x * size + y) + c]);
      }
    }
  }
}

TEST(CutPatches, OrderIsRowColumnChannelAndCellsGoRowByRow) {
  const Picture picture = Pattern(96, 144);
  const PatchRows rows = CutPatches(picture);
  ASSERT_EQ(rows.rows, 6);
  EXPECT_EQ(rows.positions, (std::vector<int32_t>{0, 0, 1, 0, 2, 0, 0, 1, 1, 1, 2, 1}));
  for (int64_t cell = 0; cell < 6; ++cell) {
    for (int64_t i = 0; i < 6912; ++i) {
      const int64_t y = cell / 3 * 48 + i / 144, x = cell % 3 * 48 + i % 144 / 3;
      ASSERT_EQ(rows.pixels[cell * 6912 + i], picture.rgb[3 * (y * 144 + x) + i % 3]);
    }
  }
}

TEST(ScalePixels, FramesDivideInsteadOfMultiplying) {
  std::vector<uint8_t> pixels(256);
  std::iota(pixels.begin(), pixels.end(), 0);
  std::vector<float> product(256), division(256);
  ScalePixels(pixels, PixelScale::kProduct, product);
  ScalePixels(pixels, PixelScale::kDivision, division);
  int different = 0;
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(product[i], static_cast<float>(i) * static_cast<float>(1.0 / 255.0));
    EXPECT_EQ(division[i], static_cast<float>(i) / 255.0f);
    different += product[i] != division[i];
  }
  EXPECT_EQ(different, 126);
}

TEST(PreparePicture, OtherCellSizesOfSmallModels) {
  const auto rows = PreparePicture(Pattern(20, 30), 70, 6);
  ASSERT_TRUE(rows.has_value());
  EXPECT_LE(rows->rows, 70);
  EXPECT_EQ(rows->pixels.size(), static_cast<size_t>(rows->rows * 108));
}

}  // namespace
}  // namespace linnet
