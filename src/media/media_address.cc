#include <array>
#include <optional>

#include <fmt/format.h>

#include "media/media_loader.h"

namespace linnet {
namespace {

constexpr const char* kStandardInput = "standard input";
constexpr std::string_view kFileScheme = "file://", kDataScheme = "data:";
constexpr size_t kMaxDataBytes = size_t{256} << 20;

std::unexpected<Error> BadAddress(std::string what) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what),
              "give a path, file:///path or data:TYPE;base64,CONTENT");
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "%20" and the like; empty when one is cut or stands for the byte 0.
std::optional<std::string> Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
    out += static_cast<char>(16 * high + low);
    i += 2;
  }
  return out;
}

// Both alphabets; spaces and line ends are skipped, padding may be missing.
std::optional<std::vector<uint8_t>> FromBase64(std::string_view text) {
  std::vector<uint8_t> out;
  out.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int held = 0;
  bool ended = false;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') {
      ended = true;
      continue;
    }
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+' || c == '-') value = 62;
    if (c == '/' || c == '_') value = 63;
    if (value < 0 || ended) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<uint8_t>(bits >> held));
    }
  }
  if (held == 6) return std::nullopt;  // a single digit is no byte
  return out;
}

Result<MediaSource> ParseData(std::string_view text) {
  const size_t comma = text.find(',');
  const std::string_view head = text.substr(0, comma);
  if (comma == std::string_view::npos || !head.ends_with(";base64")) {
    return BadAddress(fmt::format("a data: address that is not base64: \"{}\"", text.substr(0, 40)));
  }
  const std::string_view content = text.substr(comma + 1);
  if (content.size() / 4 * 3 > kMaxDataBytes) return BadAddress("a data: address of more than 256 MB");
  auto bytes = FromBase64(content);
  if (!bytes)
    return BadAddress(fmt::format("a data: address with damaged base64 ({} characters)", content.size()));
  return MediaSource(std::move(*bytes), std::string(head.substr(0, 60)));
}

Result<MediaSource> FromPath(const std::filesystem::path& path) {
  if (!SpooledFile::IsStream(path)) return MediaSource(path);
  LINNET_ASSIGN(auto stream, SpooledFile::Open(path));
  return MediaSource(path.string(), std::move(stream));
}

}  // namespace

std::string MediaSource::FileName() const {
  if (name == kStandardInput) return "standard-input";
  return file.empty() ? "data" : (spooled ? std::filesystem::path(name) : file).filename().string();
}

Result<MediaSource> ParseMediaAddress(std::string_view text) {
  if (text == "-") {
    LINNET_ASSIGN(auto stream, SpooledFile::FromStandardInput(kStandardInput));
    return MediaSource(kStandardInput, std::move(stream));
  }
  if (text.starts_with(kDataScheme)) return ParseData(text);
  if (!text.starts_with(kFileScheme)) return FromPath(std::filesystem::path(text));
  std::string_view rest = text.substr(kFileScheme.size());
  if (rest.starts_with("localhost/")) rest.remove_prefix(9);
  const auto path = Unescape(rest);
  if (!path || !path->starts_with('/'))
    return BadAddress(fmt::format("no path in \"{}\"", text.substr(0, 80)));
  return FromPath(*path);
}

}  // namespace linnet
