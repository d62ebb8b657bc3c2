#include "base/plain_text.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
constexpr std::string_view kUtf16LittleMark = "\xff\xfe";
constexpr std::string_view kUtf16BigMark = "\xfe\xff";
constexpr const char* kSaveAsUtf8 = "save it as UTF-8";

std::unexpected<Error> Damaged(std::string_view name) {
  return Fail(ErrorCode::kBadFile, fmt::format("{}: damaged UTF-16", name), kSaveAsUtf8);
}

// `bytes` without its mark.
Result<std::string> FromUtf16(std::string_view bytes, bool big, std::string_view name) {
  if (bytes.size() % 2 != 0) return Damaged(name);
  const auto unit = [&](size_t at) {
    const auto first = static_cast<uint8_t>(bytes[at]), second = static_cast<uint8_t>(bytes[at + 1]);
    return static_cast<char32_t>(big ? first << 8 | second : second << 8 | first);
  };
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size(); at += 2) {
    char32_t value = unit(at);
    if (value >= 0xD800 && value < 0xE000) {  // half of a pair
      const char32_t low = at + 2 < bytes.size() ? unit(at + 2) : 0;
      if (value >= 0xDC00 || low < 0xDC00 || low >= 0xE000) return Damaged(name);
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    }
    AppendCodePoint(value, text);
  }
  return text;
}

// Of the byte there, from 1.
size_t LineOf(std::string_view text, size_t at) {
  size_t line = 1;
  for (std::string_view before = text.substr(0, at); !before.empty(); ++line) {
    const TextLine first = FirstLine(before);
    if (first.ending.empty()) break;
    before.remove_prefix(first.text.size() + first.ending.size());
  }
  return line;
}

// Errors: kBadFile for what is no text in UTF-8.
Status Check(std::string_view text, std::string_view name) {
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return OtherEncoding(text) == "UTF-16"
               ? Fail(ErrorCode::kBadFile, fmt::format("{} looks like UTF-16 without its mark", name),
                      kSaveAsUtf8)
               : Fail(ErrorCode::kBadFile, fmt::format("{} is not text: byte {} is zero", name, zero + 1),
                      "give a text");
  }
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = DecodeCodePoint(text, at);
    if (!point.valid) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("{} is not UTF-8: byte 0x{:02X} in line {}", name,
                              static_cast<uint8_t>(text[at]), LineOf(text, at)),
                  kSaveAsUtf8);
    }
    at += point.length;
  }
  return {};
}

}  // namespace

TextLine FirstLine(std::string_view text) {
  const size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view rest = text.substr(end);
  return {text.substr(0, end), rest.substr(0, rest.starts_with("\r\n") ? 2 : 1)};
}

Result<std::string> PlainText(std::string bytes, std::string_view name) {
  if (OtherEncoding(bytes) == "UTF-32") {
    return Fail(ErrorCode::kBadFile, fmt::format("{} is UTF-32", name), kSaveAsUtf8);
  }
  if (bytes.starts_with(kUtf8Mark)) bytes.erase(0, kUtf8Mark.size());
  const bool big = bytes.starts_with(kUtf16BigMark);
  if (big || bytes.starts_with(kUtf16LittleMark)) {
    LINNET_ASSIGN(bytes, FromUtf16(std::string_view(bytes).substr(kUtf16BigMark.size()), big, name));
  }
  LINNET_TRY(Check(bytes, name));
  return bytes;
}

}  // namespace linnet
