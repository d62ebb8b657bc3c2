// libFuzzer: WAV headers and samples.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "media/wav.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto reader = linnet::WavReader::Open({data, size});
  if (!reader) return 0;
  if (static_cast<size_t>(reader->frames()) > size) std::abort();
  std::vector<float> piece(1000);
  size_t total = 0;
  for (size_t count = piece.size(); count == piece.size();) total += count = reader->Read(piece);
  if (total != static_cast<size_t>(reader->frames())) std::abort();
  return 0;
}
