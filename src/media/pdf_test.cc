#include "media/pdf.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace linnet {
namespace {

// Two pages of 200 x 100 points: the first with a red field in its left half, the second all blue. Without a
// table of positions, which readers rebuild.
const std::string kTwoPages =
    "%PDF-1.4\n"
    "1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n"
    "2 0 obj <</Type/Pages/Kids[3 0 R 4 0 R]/Count 2/MediaBox[0 0 200 100]>> endobj\n"
    "3 0 obj <</Type/Page/Parent 2 0 R/Contents 5 0 R>> endobj\n"
    "4 0 obj <</Type/Page/Parent 2 0 R/Contents 6 0 R>> endobj\n"
    "5 0 obj <</Length 27>> stream\n1 0 0 rg 0 0 100 100 re f  \nendstream endobj\n"
    "6 0 obj <</Length 27>> stream\n0 0 1 rg 0 0 200 100 re f  \nendstream endobj\n"
    "trailer <</Root 1 0 R>>\n";

// With all of the sandbox that the system grants.
const MediaLoader kLoader({.helper = LINNET_MEDIA_HELPER});

MediaSource Source(const std::string& text) {
  return {std::vector<uint8_t>(text.begin(), text.end()), "letter.pdf"};
}

TEST(Pdf, PageLists) {
  EXPECT_EQ(*ParsePages("3"), (PageRanges{{3, 3}}));
  EXPECT_EQ(*ParsePages("1-3,7"), (PageRanges{{1, 3}, {7, 7}}));
  EXPECT_EQ(*ParsePages("2-"), (PageRanges{{2, kToLastPage}}));
  for (const char* bad :
       {"", "0", "3-1", "a", "0-", "1-,2", "1,", "1-200", "-1", "1 2", "99999999999999999999"}) {
    EXPECT_FALSE(ParsePages(bad).has_value()) << bad;
  }
}

TEST(Pdf, IsToldByItsStart) {
  EXPECT_TRUE(IsPdf(Source(kTwoPages)));
  EXPECT_FALSE(IsPdf(Source("PDF")));
  EXPECT_FALSE(IsPdf(MediaSource(std::filesystem::path("/nowhere.pdf"))));
}

TEST(Pdf, PagesArePictures) {
  const auto pages = LoadPdfPages(kLoader, Source(kTwoPages), {{1, 2}});
  if (!pages && pages.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << pages.error().Message();
  ASSERT_TRUE(pages.has_value()) << pages.error().Message();
  ASSERT_EQ(pages->size(), 2u);
  const auto at = [&](size_t page, int64_t x, int64_t y) {
    const Picture& picture = (*pages)[page];
    const uint8_t* rgb = &picture.rgb[static_cast<size_t>(3 * (y * picture.width + x))];
    return std::vector<int>{rgb[0], rgb[1], rgb[2]};
  };
  EXPECT_EQ((*pages)[0].width, 2048);
  EXPECT_EQ((*pages)[0].height, 1024);
  EXPECT_EQ(at(0, 500, 500), (std::vector<int>{255, 0, 0}));
  EXPECT_EQ(at(0, 1500, 500), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(at(1, 1500, 500), (std::vector<int>{0, 0, 255}));
}

TEST(Pdf, AllPagesFromOneOn) {
  const auto all = LoadPdfPages(kLoader, Source(kTwoPages), {{1, kToLastPage}});
  if (!all && all.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << all.error().Message();
  ASSERT_TRUE(all.has_value()) << all.error().Message();
  EXPECT_EQ(all->size(), 2u);
  const auto last = LoadPdfPages(kLoader, Source(kTwoPages), {{2, kToLastPage}});
  ASSERT_TRUE(last.has_value()) << last.error().Message();
  ASSERT_EQ(last->size(), 1u);
  EXPECT_EQ((*last)[0].rgb, (*all)[1].rgb);
  const auto none = LoadPdfPages(kLoader, Source(kTwoPages), {{3, kToLastPage}});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kBadFile);
  std::string many = kTwoPages, kids;
  for (int i = 0; i < 101; ++i) kids += "3 0 R ";
  many.replace(many.find("3 0 R 4 0 R"), 11, kids);
  many.replace(many.find("/Count 2"), 8, "/Count 101");
  const auto too_many = LoadPdfPages(kLoader, Source(many), {{1, kToLastPage}});
  ASSERT_FALSE(too_many.has_value());
  EXPECT_NE(too_many.error().what.find("more than 100 pages"), std::string::npos) << too_many.error().what;
}

TEST(Pdf, TheSandboxChangesNoPixel) {
  const auto with = LoadPdfPages(kLoader, Source(kTwoPages), {{1, 1}});
  if (!with && with.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << with.error().Message();
  ASSERT_TRUE(with.has_value()) << with.error().Message();
  const MediaLoader off({.sandbox = false});
  const auto without = LoadPdfPages(off, Source(kTwoPages), {{1, 1}});
  ASSERT_TRUE(without.has_value()) << without.error().Message();
  EXPECT_EQ(with->front().rgb, without->front().rgb);
  EXPECT_NE(off.Weakness().find("the sandbox is off"), std::string::npos);
}

TEST(Pdf, LinesBeforeItsBeginningArePassedOver) {
  for (const std::string before : {"\n", "\xef\xbb\xbf", "From: a printer\r\n\r\n"}) {
    const MediaSource source = Source(before + kTwoPages);
    EXPECT_TRUE(IsPdf(source));
    const auto pages = LoadPdfPages(kLoader, source, {{2, 2}});
    if (!pages && pages.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << pages.error().Message();
    ASSERT_TRUE(pages.has_value()) << pages.error().Message();
    EXPECT_EQ(pages->front().width, 2048);
  }
  EXPECT_TRUE(IsPdf(
      MediaSource(std::filesystem::path(LINNET_SOURCE_DIR "/tests/data/field/newline_before_pdf.pdf"))));
}

TEST(Pdf, MissingPagesAndDamagedFilesAreErrors) {
  const auto missing = LoadPdfPages(kLoader, Source(kTwoPages), {{2, 4}});
  ASSERT_FALSE(missing.has_value());
  if (missing.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << missing.error().Message();
  EXPECT_NE(missing.error().what.find("letter.pdf: it has no page 3"), std::string::npos)
      << missing.error().what;
  EXPECT_FALSE(LoadPdfPages(kLoader, Source("%PDF-1.4\nnothing"), {{1, 1}}).has_value());
}

}  // namespace
}  // namespace linnet
