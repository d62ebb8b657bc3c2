// Codebooks of ggml's IQ formats. An entry holds eight values of two bits or four of four bits, the first
// value in the lowest bits, each an index into the magnitudes that the format gives.
#pragma once

#include <cstdint>

namespace linnet {

extern const uint16_t kIq1[2048];                              // two bits: -1, 0, 1
extern const uint16_t kIq2Xxs[256], kIq2Xs[512], kIq2S[1024];  // two bits: 8, 25, 43
extern const uint16_t kIq3Xxs[256];                            // four bits: 4, 12, … 52, 62
extern const uint16_t kIq3S[512];                              // four bits: 1, 3, … 15

}  // namespace linnet
