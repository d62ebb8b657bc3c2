// Chick, the small model that is built into the program (models/chick/README.md).
#pragma once

#include <span>
#include <string_view>

#include <cstdint>

namespace linnet {

// The bytes of one of its files ("config.json", "model.safetensors", …); empty if it has none of that name.
std::span<const uint8_t> ChickFile(std::string_view name);

// After loading: the pages of its files need not stay in memory beside what was made of them.
void ForgetChickFiles();

}  // namespace linnet
