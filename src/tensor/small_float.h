// Floats of four and eight bits (OCP): E2M1, E4M3, E8M0.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace linnet {

// Sign, two bits of exponent, one of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4, 6. Twice the value, which is whole.
inline int8_t TwiceE2m1(int code) {
  constexpr int8_t kTwice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  return kTwice[code & 15];
}

inline float E2m1ToFloat(int code) { return 0.5f * static_cast<float>(TwiceE2m1(code)); }

// Sign, four bits of exponent, three of mantissa; the largest is 448, no infinity, all ones is no number.
inline float E4m3ToFloat(uint8_t byte) {
  const int exponent = (byte >> 3) & 15, mantissa = byte & 7;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  if ((byte & 127) == 127) value = std::numeric_limits<float>::quiet_NaN();
  return byte & 128 ? -value : value;
}

// As NVFP4 blocks have it: the sign is ignored, and what would be no number is zero.
inline float UnsignedE4m3ToFloat(uint8_t byte) {
  return (byte & 127) == 127 ? 0.0f : E4m3ToFloat(byte & 127);
}

}  // namespace linnet
