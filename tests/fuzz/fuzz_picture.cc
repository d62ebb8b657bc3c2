// libFuzzer: every picture decoder behind the choice of format.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "media/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto picture = linnet::DecodePicture({data, size}, "input", {.max_pixels = 1 << 20});
  if (picture && picture->rgb.size() != static_cast<size_t>(3 * picture->width * picture->height))
    std::abort();
  return 0;
}
