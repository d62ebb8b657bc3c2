#include "base/utf8.h"

#include <cstdint>

namespace linnet {
namespace {

uint8_t At(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

struct Lead {
  size_t length;
  uint8_t second_low, second_high;  // the range of the second byte rules out overlong forms and surrogates
};

// length 0: cannot start a code point.
Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Every second byte of what is mostly ASCII in UTF-16 is zero.
bool LooksLikeUtf16(std::string_view bytes) {
  if (bytes.size() < 4 || bytes.size() % 2 != 0) return false;
  const std::string_view start = bytes.substr(0, 64);
  for (const size_t first : {size_t{0}, size_t{1}}) {
    bool zeros = true, others = true;
    for (size_t i = 0; i < start.size(); ++i)
      (i % 2 == first ? zeros : others) &= (start[i] == '\0') == (i % 2 == first);
    if (zeros && others) return true;
  }
  return false;
}

}  // namespace

CodePoint DecodeCodePoint(std::string_view text, size_t position) {
  const uint8_t first = At(text, position);
  if (first < 0x80) return {first, 1, true};
  const Lead lead = LeadOf(first);
  if (lead.length == 0 || text.size() - position < lead.length) return {first, 1, false};
  const uint8_t second = At(text, position + 1);
  if (second < lead.second_low || second > lead.second_high) return {first, 1, false};
  char32_t value = first & (0x7Fu >> lead.length);
  value = value << 6 | (second & 0x3Fu);
  for (size_t i = 2; i < lead.length; ++i) {
    const uint8_t byte = At(text, position + i);
    if ((byte & 0xC0) != 0x80) return {first, 1, false};
    value = value << 6 | (byte & 0x3Fu);
  }
  return {value, lead.length, true};
}

void AppendCodePoint(char32_t value, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (value >> shift & 0x3F)); };
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xC0 | value >> 6);
    tail(0);
  } else if (value < 0x10000) {
    out += static_cast<char>(0xE0 | value >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | value >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeCodePoint(text, i);
    if (!c.valid) return false;
    i += c.length;
  }
  return true;
}

size_t CompletePrefix(std::string_view text) {
  // Only the last three bytes can begin a code point that is not complete.
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t i = text.size() - back;
    const uint8_t byte = At(text, i);
    if ((byte & 0xC0) == 0x80) continue;
    const Lead lead = LeadOf(byte);
    if (lead.length <= back) return text.size();
    if (back > 1 && (At(text, i + 1) < lead.second_low || At(text, i + 1) > lead.second_high))
      return text.size();
    return i;
  }
  return text.size();
}

std::string_view OtherEncoding(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xff\xfe\0\0"sv) || bytes.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  const bool marked = bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff");
  return marked || LooksLikeUtf16(bytes) ? "UTF-16" : "";
}

}  // namespace linnet
