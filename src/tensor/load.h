// Numbers of little-endian blocks, from any address, and the small fields that they consist of.
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

// Nibble i, the low one of a byte first.
inline int NibbleAt(const uint8_t* p, int64_t i) { return (p[i / 2] >> (4 * (i % 2))) & 15; }

// Two-bit fields of Q2_K's kind: element 128 h + 32 g + l is field g of byte 32 h + l.
inline int PairAt(const uint8_t* p, int i) { return (p[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3; }

}  // namespace linnet
