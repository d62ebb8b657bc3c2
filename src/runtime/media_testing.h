// For tests of what takes media: pictures that are made.
#pragma once

#include <cstdint>

#include "media/picture.h"

namespace linnet::testing {

inline Picture Grey(int64_t height, int64_t width) {
  Picture picture;
  picture.height = height;
  picture.width = width;
  picture.rgb.assign(static_cast<size_t>(3 * height * width), 128);
  return picture;
}

}  // namespace linnet::testing
