// A config.json as a model's, as its generation defaults and processor settings, and as a drafter's.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/config_files.h"
#include "model/tensor_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kPlain =
      R"({"model_type":"gemma4_unified","vision_config":{},"audio_config":{}})";
  if (const auto config = ConfigFromJson({text, "", ""})) {
    if (config->layers.size() <= 8)
      static_cast<void>(TextTensors(*config).size() + MultimodalTensors(*config).size());
  }
  static_cast<void>(ConfigFromJson({kPlain, text, text}).has_value());
  static_cast<void>(DrafterFromJson({text, text, ""}).has_value());
  return 0;
}
