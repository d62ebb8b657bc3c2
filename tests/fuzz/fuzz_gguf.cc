// GGUF bytes through opening, the configuration and the check of the tensors.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/gguf.h"
#include "model/config_files.h"
#include "model/tensor_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;
  const auto file = Gguf::FromBytes({data, size}, "fuzz");
  if (!file) return 0;
  std::vector<uint8_t> scratch;
  uint64_t sum = 0;
  for (const TensorInfo& tensor : (*file)->tensors()) {
    for (const uint8_t byte : (*file)->Bytes(tensor, 0, tensor.bytes, scratch)) sum += byte;
  }
  for (const auto& [key, value] : (*file)->metadata().values()) {
    const GgufMetadata& metadata = (*file)->metadata();
    sum += metadata.GetInt(key).has_value() + metadata.GetFloat(key).has_value() +
           metadata.GetString(key).has_value() + metadata.GetInts(key).has_value() +
           metadata.GetFloats(key).has_value();
  }
  if (const auto config = ConfigFromGguf(**file, file->get())) {
    sum += CheckTensors(**file, TextTensors(*config), "fuzz").has_value();
    sum += CheckTensors(**file, MultimodalTensors(*config), "fuzz").has_value();
  }
  if (const auto drafter = DrafterFromGguf(**file)) {
    sum += CheckTensors(**file, DrafterTensors(*drafter), "fuzz").has_value();
  }
  volatile uint64_t keep = sum;
  static_cast<void>(keep);
  return 0;
}
