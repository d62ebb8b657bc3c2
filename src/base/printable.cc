#include "base/printable.h"

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

#include "base/utf8.h"

namespace linnet {
namespace {

bool TurnsDirection(char32_t c) {
  return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

bool EndsLine(char32_t c) { return c == 0x2028 || c == 0x2029; }

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto [value, length, valid] = DecodeCodePoint(text, at);
    const auto number = static_cast<uint32_t>(value);
    if (!valid) {
      out += fmt::format("\\x{:02x}", number);
    } else if (value == '\n') {
      out += "\\n";
    } else if (value == '\t') {
      out += "\\t";
    } else if (value < 0x20 || (value >= 0x7f && value < 0xa0)) {
      out += fmt::format("\\x{:02x}", number);
    } else if (TurnsDirection(value) || EndsLine(value)) {
      out += fmt::format("\\u{:04x}", number);
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  return out;
}

std::string HumanBytes(uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", bytes);
}

}  // namespace linnet
