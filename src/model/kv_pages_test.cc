#include "model/kv_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

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

TEST(KvPages, CanBecomeMoreAndFewer) {
  const auto pool = std::make_shared<KvPagePool>(0, 128);
  EXPECT_FALSE(KvPage::Take(pool));
  pool->Grow(2);
  const KvPage a = KvPage::Take(pool), b = KvPage::Take(pool);
  ASSERT_TRUE(a && b);
  {
    const KvPageRoom room(pool, 1);
    EXPECT_EQ(pool->free_pages(), 1);
    const KvPage c = KvPage::Take(pool);
    ASSERT_TRUE(c);
    EXPECT_NE(c.data(), b.data());
  }
  EXPECT_EQ(pool->pages(), 2);
  EXPECT_FALSE(KvPage::Take(pool));
  const uint64_t reserved = pool->bytes();
  pool->Grow(1);
  EXPECT_EQ(pool->bytes(), reserved) << "address space is used again";
  EXPECT_TRUE(KvPage::Take(pool));
}

TEST(KvPages, GiveTheirMemoryBackToTheSystem) {
  const auto pool = std::make_shared<KvPagePool>(4, 10'000'001);
  std::vector<KvPage> pages;
  for (int i = 0; i < 4; ++i) {
    pages.push_back(KvPage::Take(pool));
    std::fill_n(pages.back().data(), pool->page_bytes(), uint8_t{7});
  }
  const uint64_t full = ResidentBytes();
  pages.resize(1);
  pool->DiscardFree();
  EXPECT_LT(ResidentBytes(), full - 25'000'000);
  EXPECT_EQ(std::count(pages[0].data(), pages[0].data() + 10'000'001, uint8_t{7}), 10'000'001);
  for (int i = 1; i < 4; ++i) {
    pages.push_back(KvPage::Take(pool));
    EXPECT_EQ(std::count(pages.back().data(), pages.back().data() + 10'000'001, uint8_t{0}), 10'000'001);
  }
}

TEST(KvPages, AreCountedWhereOneHoldsThemAlone) {
  const auto pool = std::make_shared<KvPagePool>(3, 64);
  const KvPage a = KvPage::Take(pool), again = a, b = KvPage::Take(pool), others = b;
  std::vector<int32_t> shares(3);
  EXPECT_EQ(pool->HeldOnlyBy(shares), 0);
  shares[static_cast<size_t>(a.index())] = 2;
  shares[static_cast<size_t>(b.index())] = 1;
  EXPECT_EQ(pool->HeldOnlyBy(shares), 1);
}

TEST(KvPages, AreAskedBackWhereNoneIsFree) {
  const auto pool = std::make_shared<KvPagePool>(1, 64);
  EXPECT_FALSE(pool->Reclaim());
  KvPage kept = KvPage::Take(pool);
  pool->SetReclaim([&] { return std::exchange(kept, {}) ? true : false; });
  EXPECT_TRUE(pool->Reclaim());
  EXPECT_TRUE(KvPage::Take(pool));
  EXPECT_FALSE(pool->Reclaim());
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
