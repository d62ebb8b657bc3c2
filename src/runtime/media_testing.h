// For tests of what takes media: pictures that are made, and those of Chick.
#pragma once

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "media/picture.h"
#include "runtime/engine_impl.h"
#include "runtime/media_input.h"

namespace linnet::testing {

inline Picture Grey(int64_t height, int64_t width) {
  Picture picture;
  picture.height = height;
  picture.width = width;
  picture.rgb.assign(static_cast<size_t>(3 * height * width), 128);
  return picture;
}

// An example of Chick's, of 70 tokens.
inline Medium ChickPicture(const Engine& engine, const std::string& file) {
  auto picture = LoadPicture(std::string(LINNET_SOURCE_DIR "/models/chick/examples/") + file);
  EXPECT_TRUE(picture.has_value()) << file;
  return MakeMedium(*MakeImageInput(*picture, 70, engine.impl().config));
}

}  // namespace linnet::testing
