// UTF-8 by code points, and the few Unicode facts the tokenizer and the chat format need.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace linnet {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";             // U+2581, a space inside a token
inline constexpr char32_t kSpaceMarkCodePoint = 0x2581;

struct CodePoint {
  char32_t value = 0;  // the byte itself where it is not valid
  size_t length = 1;   // in bytes; 1 where it is not valid
  bool valid = false;
};

// The code point at `position`. Overlong forms, surrogates and values above U+10FFFF are not valid.
// REQUIRES: position < text.size().
CodePoint DecodeCodePoint(std::string_view text, size_t position);

void AppendCodePoint(char32_t value, std::string& out);

bool IsValidUtf8(std::string_view text);

// The longest prefix of `text` that does not end inside a code point which more bytes could complete.
size_t CompletePrefix(std::string_view text);

// Unicode's White_Space property.
bool IsWhiteSpace(char32_t c);

// Without the white space at both ends, as Python's str.strip() sees it (White_Space and U+001C..U+001F).
std::string_view Strip(std::string_view text);

// Lower case by single code points for the Latin, Greek, Cyrillic, Armenian and full-width alphabets.
std::string ToLower(std::string_view text);
// Upper case of ASCII letters; others stay.
std::string ToUpperAscii(std::string_view text);

// Every occurrence of `from` in `text` replaced. REQUIRES: from is not empty.
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);

}  // namespace linnet
