// libFuzzer: every picture decoder behind the choice of format.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "media/picture.h"

// libdav1d keeps a few bytes of a damaged AVIF; a helper decodes one picture and ends.
extern "C" const char* __lsan_default_suppressions() { return "leak:libdav1d\n"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto picture = linnet::DecodePicture({data, size}, "input", {.max_pixels = 1 << 20});
  if (picture && picture->rgb.size() != static_cast<size_t>(3 * picture->width * picture->height))
    std::abort();
  return 0;
}
