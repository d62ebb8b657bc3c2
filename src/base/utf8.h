// UTF-8 by code points.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace linnet {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

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

// The encoding of Unicode that a text is in if it is not UTF-8, by its mark or by the zeros that ASCII has in
// it: "UTF-16", "UTF-32"; else empty.
std::string_view OtherEncoding(std::string_view bytes);

}  // namespace linnet
