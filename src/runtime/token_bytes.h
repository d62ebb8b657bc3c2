// The bytes that a token puts into a text.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace linnet {

// Of an ordinary token; of a special one its name behind this mark, which no UTF-8 has. Empty for ids without
// a token.
inline constexpr char kSpecialMark = '\xFF';
std::string TokenBytes(const Tokenizer& tokenizer, int32_t id);

}  // namespace linnet
