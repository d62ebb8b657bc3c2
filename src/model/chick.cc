#include "model/chick.h"

#include "base/mapped_file.h"

#define LINNET_CHICK_SYMBOL(name)                 \
  extern "C" const uint8_t linnet_chick_##name[]; \
  extern "C" const uint8_t linnet_chick_##name##_end[]

LINNET_CHICK_SYMBOL(config);
LINNET_CHICK_SYMBOL(generation_config);
LINNET_CHICK_SYMBOL(processor_config);
LINNET_CHICK_SYMBOL(tokenizer);
LINNET_CHICK_SYMBOL(prompts);
LINNET_CHICK_SYMBOL(model);

#undef LINNET_CHICK_SYMBOL

namespace linnet {

std::span<const uint8_t> ChickFile(std::string_view name) {
  if (name == "config.json") return {linnet_chick_config, linnet_chick_config_end};
  if (name == "generation_config.json")
    return {linnet_chick_generation_config, linnet_chick_generation_config_end};
  if (name == "processor_config.json")
    return {linnet_chick_processor_config, linnet_chick_processor_config_end};
  if (name == "tokenizer.json") return {linnet_chick_tokenizer, linnet_chick_tokenizer_end};
  if (name == "prompts.json") return {linnet_chick_prompts, linnet_chick_prompts_end};
  if (name == "model.safetensors") return {linnet_chick_model, linnet_chick_model_end};
  return {};
}

void ForgetChickFiles() {
  for (const char* name : {"tokenizer.json", "model.safetensors"}) ForgetReadOnly(ChickFile(name));
}

}  // namespace linnet
