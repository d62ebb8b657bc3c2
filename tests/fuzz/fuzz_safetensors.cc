// safetensors bytes through opening and reading every tensor.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;
  const auto file = Safetensors::FromBytes({data, size}, "fuzz");
  if (!file) return 0;
  std::vector<uint8_t> scratch;
  uint64_t sum = 0;
  for (const TensorInfo& tensor : (*file)->tensors()) {
    for (const uint8_t byte : (*file)->Bytes(tensor, 0, tensor.bytes, scratch)) sum += byte;
    sum += static_cast<uint64_t>(tensor.elements());
  }
  volatile uint64_t keep = sum;
  static_cast<void>(keep);
  return 0;
}
