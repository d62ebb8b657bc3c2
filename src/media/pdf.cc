#include "media/pdf.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "base/child_process.h"
#include "media/wire.h"

namespace linnet {
namespace {

constexpr int64_t kMostPages = 100, kMostPageNumber = 1'000'000;

std::filesystem::path FindConverter() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const auto candidate = std::filesystem::path(rest.substr(0, end)) / "pdftoppm";
    std::error_code ignored;
    if (candidate.is_absolute() && std::filesystem::exists(candidate, ignored)) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

// A number of a PPM header, which ends in one white space.
Result<int64_t> ReadNumber(ChildProcess& child, double patience) {
  int64_t value = 0;
  for (size_t digits = 0; digits < 10; ++digits) {
    uint8_t byte = 0;
    LINNET_ASSIGN(const size_t count, child.Read({&byte, 1}, patience));
    if (count == 1 && byte >= '0' && byte <= '9') {
      value = 10 * value + (byte - '0');
      continue;
    }
    if (count == 1 && digits > 0 && (byte == ' ' || byte == '\n')) return value;
    break;
  }
  return Fail(ErrorCode::kBadFile, "the page converter gave a damaged answer");
}

// One picture in binary PPM; false at the end of the output.
Result<bool> ReadPpm(ChildProcess& child, double patience, Picture& picture) {
  uint8_t magic[3];
  LINNET_ASSIGN(const size_t there, child.Read(magic, patience));
  if (there == 0) return false;
  if (there < sizeof(magic) || std::memcmp(magic, "P6\n", 3) != 0) {
    return Fail(ErrorCode::kBadFile, "the page converter gave a damaged answer");
  }
  LINNET_ASSIGN(picture.width, ReadNumber(child, patience));
  LINNET_ASSIGN(picture.height, ReadNumber(child, patience));
  LINNET_ASSIGN(const int64_t top, ReadNumber(child, patience));
  // A little more than asked: the converter rounds.
  const int64_t most = kPageSide + 16;
  if (picture.width < 1 || picture.height < 1 || picture.width > most || picture.height > most ||
      top != 255) {
    return Fail(ErrorCode::kBadFile, fmt::format("a page of {} x {} pixels", picture.width, picture.height));
  }
  picture.format = "PDF";
  picture.rgb.resize(static_cast<size_t>(3 * picture.width * picture.height));
  LINNET_ASSIGN(const size_t filled, child.Read(picture.rgb, patience));
  if (filled < picture.rgb.size())
    return Fail(ErrorCode::kBadFile, "the page converter stopped in the middle of a page");
  return true;
}

Status LoadRange(const MediaLoader& loader, const MediaSource& source, std::pair<int64_t, int64_t> range,
                 double patience, std::vector<Picture>& pages) {
  const std::filesystem::path converter = FindConverter();
  if (converter.empty()) {
    return Fail(ErrorCode::kUnsupported, "PDF files need pdftoppm, which is not installed",
                "install poppler-utils");
  }
  const bool open = range.second == kToLastPage;
  const int64_t last = open ? range.first + kMostPages : range.second;  // one too many tells
  const std::vector<std::string> arguments = {"-q",
                                              "-scale-to",
                                              std::to_string(kPageSide),
                                              "-f",
                                              std::to_string(range.first),
                                              "-l",
                                              std::to_string(last),
                                              "-"};
  LINNET_ASSIGN(ChildProcess child, loader.impl().StartProgram(converter, arguments, source, patience));
  int64_t got = 0;
  const int64_t wanted = last - range.first + 1;
  for (; got < wanted; ++got) {
    Picture page;
    LINNET_ASSIGN(const bool more, ReadPpm(child, patience, page));
    if (!more) break;
    pages.push_back(std::move(page));
  }
  if (got == wanted && open) {
    return Fail(ErrorCode::kBadFile, fmt::format("it has more than {} pages", kMostPages),
                "give a part of it, or name the pages");
  }
  if (got == wanted) return {};
  const std::string how = child.Wait();
  if (open && got > 0 && how.empty()) return {};
  if (got == 0 && how == fmt::format("ended with exit code {}", media_internal::kConverterNotStarted)) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("{} cannot be started in the sandbox", converter.string()),
                "where it is no plain program of the system, use --no-sandbox");
  }
  return Fail(ErrorCode::kBadFile,
              how.empty() || got > 0 ? fmt::format("it has no page {}", range.first + got)
                                     : fmt::format("page {} cannot be drawn (pdftoppm {})", range.first, how),
              "ask for pages that it has with --pages, or repair the file");
}

}  // namespace

Result<PageRanges> ParsePages(std::string_view text) {
  const auto bad = [&] {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("pages \"{}\"", text.substr(0, 40)),
                fmt::format("give pages as 3 or 1-3 or 1-2,7 or 2-, at most {}", kMostPages));
  };
  PageRanges ranges;
  int64_t total = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    std::pair<int64_t, int64_t> range;
    auto parsed = std::from_chars(at, end, range.first);
    if (parsed.ec != std::errc()) return bad();
    range.second = range.first;
    if (parsed.ptr != end && *parsed.ptr == '-') {
      if (parsed.ptr + 1 == end && range.first >= 1 && range.first <= kMostPageNumber) {
        ranges.emplace_back(range.first, kToLastPage);
        return ranges;
      }
      parsed = std::from_chars(parsed.ptr + 1, end, range.second);
      if (parsed.ec != std::errc()) return bad();
    }
    if (range.first < 1 || range.second < range.first || range.second > kMostPageNumber) return bad();
    total += range.second - range.first + 1;
    if (total > kMostPages) return bad();
    ranges.push_back(range);
    if (parsed.ptr == end) return ranges;
    if (*parsed.ptr != ',') return bad();
    at = parsed.ptr + 1;
  }
}

bool IsPdf(const MediaSource& source) {
  const auto format = RecogniseMedia(source);
  return format && format->kind == MediaKind::kPdf;
}

Result<std::vector<Picture>> LoadPdfPages(const MediaLoader& loader, const MediaSource& source,
                                          const PageRanges& pages, double patience_seconds) {
  std::vector<Picture> pictures;
  for (const auto& range : pages) {
    if (const Status status = LoadRange(loader, source, range, patience_seconds, pictures); !status) {
      return status.error().what.starts_with(source.name + ":") ? std::unexpected(status.error())
                                                                : Prefixed(source.name, status.error());
    }
  }
  return pictures;
}

}  // namespace linnet
