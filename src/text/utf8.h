// The few Unicode facts the tokenizer and the chat format need.
#pragma once

#include <string>
#include <string_view>

#include "base/utf8.h"

namespace linnet {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, a space inside a token
inline constexpr char32_t kSpaceMarkCodePoint = 0x2581;

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
