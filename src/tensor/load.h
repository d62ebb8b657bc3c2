// Private to src/tensor: numbers of little-endian blocks, from any address.
#pragma once

#include <cstdint>

#include "base/bf16.h"

namespace linnet {

inline uint16_t LoadU16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | (p[1] << 8)); }

inline uint32_t LoadU32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}

inline void StoreU16(uint16_t value, uint8_t* p) {
  p[0] = static_cast<uint8_t>(value & 0xff);
  p[1] = static_cast<uint8_t>(value >> 8);
}

inline float LoadHalf(const uint8_t* p) { return HalfToFloat(LoadU16(p)); }

}  // namespace linnet
