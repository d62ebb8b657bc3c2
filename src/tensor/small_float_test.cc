#include "tensor/small_float.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace linnet {
namespace {

// The definition, as the standard writes it.
float E4m3AsDefined(int byte) {
  const int exponent = byte / 8 % 16, mantissa = byte % 8;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  if (byte % 128 == 127) value = std::numeric_limits<float>::quiet_NaN();
  return byte < 128 ? value : -value;
}

TEST(SmallFloatTest, EveryE4m3IsWhatItsDefinitionSaysToTheBit) {
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(std::bit_cast<uint32_t>(E4m3ToFloat(static_cast<uint8_t>(byte))),
              std::bit_cast<uint32_t>(E4m3AsDefined(byte)))
        << byte;
  }
  EXPECT_EQ(E4m3ToFloat(0x7e), 448.0f);
}

TEST(SmallFloatTest, UnsignedE4m3IgnoresTheSignAndHasNoNan) {
  for (int byte = 0; byte < 256; ++byte) {
    const float expected = byte % 128 == 127 ? 0.0f : E4m3AsDefined(byte % 128);
    EXPECT_EQ(UnsignedE4m3ToFloat(static_cast<uint8_t>(byte)), expected) << byte;
  }
}

}  // namespace
}  // namespace linnet
