// SHA-256 as lower-case hexadecimal: media and large arrays of reference data are named by it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace linnet {

std::string Sha256Hex(std::span<const uint8_t> bytes);
// Of several pieces as if they were one.
std::string Sha256Hex(std::span<const std::span<const uint8_t>> pieces);

// Over the bytes of an array as they lie in memory (little endian).
template <typename T>
std::string Sha256Hex(std::span<const T> values) {
  return Sha256Hex(std::span(reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()));
}

}  // namespace linnet
