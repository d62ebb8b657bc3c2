// Texts as people's files and pipes hold them.
#pragma once

#include <string>
#include <string_view>

#include "linnet/error.h"

namespace linnet {

// `bytes` as UTF-8 without a byte order mark; UTF-16 is read where a mark says so. `name` is for messages.
// Errors: kBadFile for what is no text (zero bytes), and for text in another encoding, with the place of the
// first byte that is none.
Result<std::string> PlainText(std::string bytes, std::string_view name);

// A line and what ends it: "\n", "\r\n", a lone "\r" of old systems, or nothing at the end of the text.
struct TextLine {
  std::string_view text, ending;
};
TextLine FirstLine(std::string_view text);

}  // namespace linnet
