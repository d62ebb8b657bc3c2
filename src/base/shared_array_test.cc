#include "base/shared_array.h"

#include <cstdint>
#include <optional>
#include <span>

#include <gtest/gtest.h>

namespace linnet {
namespace {

TEST(SharedArray, CopiesAndSlicesShareTheMemoryAndKeepIt) {
  std::optional<SharedArray<int32_t>> whole(std::vector<int32_t>{1, 2, 3, 4});
  const int32_t* data = whole->data();
  const SharedArray<int32_t> copy = *whole, middle = whole->Slice(1, 2), none = whole->Slice(4, 0);
  whole.reset();
  EXPECT_EQ(copy.data(), data);
  EXPECT_EQ(middle.data(), data + 1);
  EXPECT_EQ(std::vector<int32_t>(middle.begin(), middle.end()), (std::vector<int32_t>{2, 3}));
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(std::span<const int32_t>(copy).size(), 4u);
  EXPECT_TRUE(SharedArray<int32_t>().empty());
}

}  // namespace
}  // namespace linnet
