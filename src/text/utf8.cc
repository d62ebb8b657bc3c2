#include "text/utf8.h"

#include <cstdint>

namespace linnet {
namespace {

uint8_t At(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

bool IsPythonSpace(char32_t c) { return IsWhiteSpace(c) || (c >= 0x1C && c <= 0x1F); }

// Alphabets whose capitals lie a fixed distance before their small letters.
struct ShiftRange {
  char32_t first, last, shift;
};
constexpr ShiftRange kShiftRanges[] = {
    {'A', 'Z', 32},     {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},     {0x386, 0x386, 38}, {0x388, 0x38A, 37},
    {0x38C, 0x38C, 64}, {0x38E, 0x38F, 63}, {0x391, 0x3A1, 32},   {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80},
    {0x410, 0x42F, 32}, {0x531, 0x556, 48}, {0xFF21, 0xFF3A, 32},
};
// Alphabets in which capital and small letter alternate; `odd`: the capitals have odd code points.
struct PairRange {
  char32_t first, last;
  bool odd;
};
constexpr PairRange kPairRanges[] = {
    {0x100, 0x12F, false}, {0x132, 0x137, false}, {0x139, 0x148, true},    {0x14A, 0x177, false},
    {0x179, 0x17E, true},  {0x1CD, 0x1DC, true},  {0x1DE, 0x1EF, false},   {0x1F8, 0x21F, false},
    {0x370, 0x373, false}, {0x3D8, 0x3EF, false}, {0x460, 0x481, false},   {0x48A, 0x4BF, false},
    {0x4C1, 0x4CE, true},  {0x4D0, 0x52F, false}, {0x1E00, 0x1E95, false}, {0x1EA0, 0x1EFF, false},
};

char32_t Lower(char32_t c) {
  for (const ShiftRange& range : kShiftRanges) {
    if (c >= range.first && c <= range.last) return c + range.shift;
  }
  for (const PairRange& range : kPairRanges) {
    if (c >= range.first && c <= range.last) return ((c & 1) != 0) == range.odd ? c + 1 : c;
  }
  if (c == 0x178) return 0xFF;   // Ÿ
  if (c == 0x1E9E) return 0xDF;  // ẞ
  return c;
}

}  // namespace

bool IsWhiteSpace(char32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::string_view Strip(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const CodePoint c = DecodeCodePoint(text, begin);
    if (!c.valid || !IsPythonSpace(c.value)) break;
    begin += c.length;
  }
  size_t end = text.size();
  while (end > begin) {
    size_t start = end - 1;
    while (start > begin && end - start < 4 && (At(text, start) & 0xC0) == 0x80) --start;
    const CodePoint c = DecodeCodePoint(text, start);
    if (!c.valid || start + c.length != end || !IsPythonSpace(c.value)) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

std::string ToLower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeCodePoint(text, i);
    if (c.valid) {
      AppendCodePoint(Lower(c.value), out);
    } else {
      out += text[i];
    }
    i += c.length;
  }
  return out;
}

std::string ToUpperAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t begin = 0;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, begin)) {
    out.append(text, begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  out.append(text, begin);
  return out;
}

}  // namespace linnet
