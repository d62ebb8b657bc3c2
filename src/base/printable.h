// What a person is shown: text from outside on its way to a terminal, and amounts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet {

// The text with everything a terminal would obey written out: control characters and line ends ("\x1b",
// "\n"), those of eight bits, bytes that are no UTF-8, and marks that turn the direction of writing. Names of
// files may hold any of them.
std::string Printable(std::string_view text);

// "1.20 GB", "340.0 MB", "12.0 kB": decimal units.
std::string HumanBytes(uint64_t bytes);

}  // namespace linnet
