#include "quant/fit_size.h"

#include <gtest/gtest.h>

#include <vector>

namespace linnet {
namespace {

TEST(FitSizeTest, BytesGoWhereTheySaveMost) {
  const std::vector<std::vector<SizeChoice>> choices = {
      {{Dtype::kQ3K, 100, 0.03}, {Dtype::kQ4K, 130, 0.008}, {Dtype::kQ6K, 190, 0.0005}},
      {{Dtype::kQ3K, 1000, 0.03}, {Dtype::kQ4K, 1300, 0.006}, {Dtype::kQ6K, 1900, 0.0004}}};
  const auto at = [&](uint64_t room) { return ChooseWithin(choices, room); };
  EXPECT_FALSE(at(1099));
  EXPECT_EQ(*at(1100), (std::vector<size_t>{0, 0}));
  EXPECT_EQ(*at(1130), (std::vector<size_t>{1, 0}));
  EXPECT_EQ(*at(1190), (std::vector<size_t>{2, 0}));
  EXPECT_EQ(*at(1489), (std::vector<size_t>{2, 0})) << "the second needs 1300";
  EXPECT_EQ(*at(1490), (std::vector<size_t>{2, 1}));
  EXPECT_EQ(*at(1'000'000), (std::vector<size_t>{2, 2}));
}

TEST(FitSizeTest, LargerFormatsThatLoseMoreAreNotTaken) {
  const std::vector<std::vector<SizeChoice>> choices = {
      {{Dtype::kQ4_0, 100, 0.0}, {Dtype::kQ6K, 200, 0.001}, {Dtype::kQ8_0, 300, 0.0}}};
  EXPECT_EQ(*ChooseWithin(choices, 1000), (std::vector<size_t>{0})) << "as weights trained for four bits are";
}

}  // namespace
}  // namespace linnet
