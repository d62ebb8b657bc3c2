// libFuzzer: sound and video through FFmpeg. FFmpeg's own libraries are not instrumented; this is about our
// use of them.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "media/av.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (auto sound = linnet::OpenAvAudio({data, size})) {
    std::vector<float> piece(4096);
    for (size_t total = 0; total < 1'000'000;) {
      const auto count = (*sound)->Read(piece);
      if (!count || *count == 0) break;
      total += *count;
    }
  }
  if (auto video = linnet::OpenAvVideo({data, size})) {
    for (const double second : {0.0, 0.5}) {
      const auto frame = (*video)->At(second);
      if (!frame || !*frame) break;
    }
  }
  return 0;
}
