// Pages of a PDF as pictures, drawn by poppler's `pdftoppm`: a process of its own, which the decoder's helper
// becomes once it has no rights left but reading the system's libraries and fonts.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "linnet/error.h"
#include "media/media_loader.h"
#include "media/picture.h"

namespace linnet {

// Ranges of pages from 1, first to last.
using PageRanges = std::vector<std::pair<int64_t, int64_t>>;
inline constexpr int64_t kToLastPage = 0;  // as the last of a range: however many there are

// "3", "1-3", "1-2,7", "2-". At most 100 pages together. Errors: kInvalidArgument.
Result<PageRanges> ParsePages(std::string_view text);

bool IsPdf(const MediaSource& source);

// The longer side of a drawn page in pixels: more than the largest budget shows.
inline constexpr int64_t kPageSide = 2048;

// The pages in order, drawn in the loader's sandbox. Errors: kUnsupported when pdftoppm is not installed;
// kBadFile for a damaged file, one that has no such page or more than 100, and a converter that hangs.
Result<std::vector<Picture>> LoadPdfPages(const MediaLoader& loader, const MediaSource& source,
                                          const PageRanges& pages, double patience_seconds = 60);

}  // namespace linnet
