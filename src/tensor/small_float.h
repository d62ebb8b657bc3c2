// Floats of four and eight bits (OCP): E2M1, E4M3, E8M0.
#pragma once

#include <bit>
#include <cstdint>

namespace linnet {

// Sign, two bits of exponent, one of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4, 6. Twice the value, which is whole.
inline int8_t TwiceE2m1(int code) {
  constexpr int8_t kTwice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  return kTwice[code & 15];
}

inline float E2m1ToFloat(int code) { return 0.5f * static_cast<float>(TwiceE2m1(code)); }

// Sign, four bits of exponent, three of mantissa; the largest is 448, no infinity, all ones is no number.
inline float E4m3ToFloat(uint8_t byte) {
  const uint32_t sign = (byte & 128u) << 24;
  const uint32_t magnitude = byte & 127u;
  if (magnitude == 127) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (magnitude < 8) {  // zero or subnormal: mantissa * 2^-9
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-9f));
  }
  return std::bit_cast<float>(sign | ((magnitude << 20) + (120u << 23)));
}

// As NVFP4 blocks have it: the sign is ignored, and what would be no number is zero.
inline float UnsignedE4m3ToFloat(uint8_t byte) {
  return (byte & 127) == 127 ? 0.0f : E4m3ToFloat(byte & 127);
}

}  // namespace linnet
