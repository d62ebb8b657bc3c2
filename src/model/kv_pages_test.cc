#include "model/kv_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/process.h"

namespace linnet {
namespace {

TEST(KvPages, AreFreeWhenTheLastHolderHasGone) {
  const auto pool = std::make_shared<KvPagePool>(2, 128);
  KvPage a = KvPage::Take(pool);
  const KvPage b = KvPage::Take(pool);
  ASSERT_TRUE(a && b);
  EXPECT_NE(a.data(), b.data());
  EXPECT_FALSE(KvPage::Take(pool));
  KvPage same = a;
  EXPECT_EQ(same.data(), a.data());
  EXPECT_FALSE(a.alone());
  a = {};
  EXPECT_FALSE(a);
  EXPECT_TRUE(same.alone());
  EXPECT_EQ(pool->free_pages(), 0);
  const KvPage moved = std::move(same);
  EXPECT_TRUE(moved.alone());
  same = KvPage();
  EXPECT_EQ(pool->free_pages(), 0);
}

TEST(KvPages, HoldZerosWhenTheyAreTaken) {
  const auto pool = std::make_shared<KvPagePool>(1, 192);
  for (int i = 0; i < 3; ++i) {
    const KvPage page = KvPage::Take(pool);
    ASSERT_TRUE(page);
    EXPECT_EQ(std::count(page.data(), page.data() + 192, uint8_t{0}), 192);
    std::fill_n(page.data(), 192, uint8_t{7});
  }
}

TEST(KvPages, OutliveWhoMadeTheirPool) {
  auto pool = std::make_shared<KvPagePool>(3, 64);
  const KvPage page = KvPage::Take(pool);
  pool.reset();
  page.data()[63] = 1;
  EXPECT_EQ(page.pool()->free_pages(), 2);
}

// A context of 262,144 positions of the 12B.
TEST(KvPages, AreBackedByMemoryFromTheirUseOn) {
  const uint64_t before = ResidentBytes();
  const auto pool = std::make_shared<KvPagePool>(1024, int64_t{8} * (256 * 1280 + 64));
  EXPECT_GT(pool->bytes(), uint64_t{2'500'000'000});
  const KvPage first = KvPage::Take(pool);
  std::fill_n(first.data(), pool->page_bytes(), uint8_t{1});
  EXPECT_LT(ResidentBytes(), before + 64'000'000);
}

}  // namespace
}  // namespace linnet
