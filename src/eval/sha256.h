// SHA-256 as lower-case hexadecimal: reference data name large arrays by it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace linnet {

std::string Sha256Hex(std::span<const uint8_t> bytes);

// Over the bytes of an array as they lie in memory (little endian).
template <typename T>
std::string Sha256Hex(std::span<const T> values) {
  return Sha256Hex(std::span(reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()));
}

}  // namespace linnet
