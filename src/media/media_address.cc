#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/hex.h"
#include "media/media_loader.h"

namespace linnet {
namespace {

constexpr const char* kStandardInput = "standard input";
constexpr size_t kMaxDataBytes = size_t{256} << 20;
constexpr size_t kShown = 80;      // of an address in a message
constexpr size_t kLongest = 1000;  // of what may be a path

std::unexpected<Error> BadAddress(std::string what) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what),
              "give a path, file:///path or data:TYPE;base64,CONTENT");
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Schemes and the mark of base64 are read in any case. `word` is in lower case.
bool StartsWith(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::equal(word.begin(), word.end(), text.begin(), [](char w, char t) { return w == Lower(t); });
}
bool EndsWith(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && StartsWith(text.substr(text.size() - word.size()), word);
}

// "https" of "https://host/…"; empty for a path and for what has no host.
std::string_view SchemeOf(std::string_view text) {
  const size_t end = text.find("://");
  if (end == std::string_view::npos || end < 2) return {};
  const auto letter = [](char c) {
    return (Lower(c) >= 'a' && Lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '+';
  };
  const std::string_view scheme = text.substr(0, end);
  return std::all_of(scheme.begin(), scheme.end(), letter) ? scheme : std::string_view();
}

// "%20" and the like; empty when one is cut or none.
std::optional<std::string> Unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
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

std::string DataLabel(std::string_view head, size_t bytes) {
  constexpr size_t kMostHead = 60;
  return fmt::format("{}{},… ({} bytes)", head.substr(0, kMostHead), head.size() > kMostHead ? "…" : "",
                     bytes);
}

// data:[TYPE][;base64],CONTENT as in RFC 2397.
Result<MediaSource> ParseData(std::string_view text) {
  const size_t comma = text.find(',');
  if (comma == std::string_view::npos) {
    return BadAddress(fmt::format("a data: address without content: \"{}\"", MediaLabel(text)));
  }
  const std::string_view head = text.substr(0, comma), content = text.substr(comma + 1);
  if (content.size() / 4 * 3 > kMaxDataBytes) return BadAddress("a data: address of more than 256 MB");
  auto plain = Unescape(content);
  if (!plain) return BadAddress(fmt::format("damaged escapes (%XX) in {}", MediaLabel(text)));
  if (!EndsWith(head, ";base64")) {
    std::string label = DataLabel(head, plain->size());
    return MediaSource({plain->begin(), plain->end()}, std::move(label));
  }
  auto bytes = FromBase64(*plain);
  if (!bytes) return BadAddress(fmt::format("damaged base64 in {}", MediaLabel(text)));
  std::string label = DataLabel(head, bytes->size());
  return MediaSource(std::move(*bytes), std::move(label));
}

Result<MediaSource> FromPath(const std::filesystem::path& path) {
  if (!SpooledFile::IsStream(path)) return MediaSource(path);
  LINNET_ASSIGN(auto stream, SpooledFile::Open(path));
  return MediaSource(path.string(), std::move(stream));
}

// Of "file:/path", "file:///path" and "file://localhost/path".
Result<MediaSource> ParseFile(std::string_view text) {
  std::string_view rest = text.substr(text.find(':') + 1);
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    if (StartsWith(rest, "localhost/")) rest.remove_prefix(9);
  }
  const auto path = Unescape(rest);
  if (!path || !path->starts_with('/') || path->find('\0') != std::string::npos)
    return BadAddress(fmt::format("no path of this machine in \"{}\"", MediaLabel(text)));
  return FromPath(*path);
}

}  // namespace

bool IsMediaAddress(std::string_view text) {
  if (StartsWith(text, "file:/")) return true;
  const size_t comma = text.find(',');
  if (!StartsWith(text, "data:") || comma == std::string_view::npos) return false;
  const std::string_view head = text.substr(0, comma);  // "data:1,2 and 3" is a text
  return head.find('/') != std::string_view::npos || EndsWith(head, ";base64");
}

std::string MediaLabel(std::string_view text) {
  if (StartsWith(text, "data:")) {
    const size_t comma = text.find(',');
    if (comma != std::string_view::npos) return DataLabel(text.substr(0, comma), text.size() - comma - 1);
  }
  const bool address = StartsWith(text, "file:") || StartsWith(text, "data:") || !SchemeOf(text).empty();
  return text.size() > (address ? kShown : kLongest) ? std::string(text.substr(0, kShown)) + "…"
                                                     : std::string(text);
}

std::string MediaSource::FileName() const {
  if (name == kStandardInput) return "standard-input";
  return file.empty() ? "data" : (spooled ? std::filesystem::path(name) : file).filename().string();
}

Result<MediaSource> ParseMediaAddress(std::string_view text) {
  if (text == "-") {
    LINNET_ASSIGN(auto stream, SpooledFile::FromStandardInput(kStandardInput));
    return MediaSource(kStandardInput, std::move(stream));
  }
  if (StartsWith(text, "data:")) return ParseData(text);
  if (StartsWith(text, "file:")) return ParseFile(text);
  if (!SchemeOf(text).empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: Linnet fetches nothing from the network", MediaLabel(text)),
                "download the file and give its path");
  }
  return FromPath(std::filesystem::path(text));
}

}  // namespace linnet
