// Reading a ModelConfig from what a model directory or file says about itself.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "io/gguf.h"
#include "linnet/error.h"
#include "model/config.h"

namespace linnet {

// Texts of the files of a Hugging Face directory; the last two may be empty (= not there).
struct ConfigTexts {
  std::string_view config;      // config.json
  std::string_view generation;  // generation_config.json
  std::string_view processor;   // processor_config.json
};

// Both spellings of what full layers override (global_head_dim, per_layer_config), class defaults for absent
// keys, and a refusal that names the key for every feature Linnet does not have. The result has been
// validated. embed_scale_bf16 is left false: it depends on the stored table, see UsesBf16Scale.
Result<ModelConfig> ConfigFromJson(const ConfigTexts& texts);
Result<DrafterConfig> DrafterFromJson(const ConfigTexts& texts);

// `multimodal` is the mmproj file or nullptr. Sizes that no key holds (vocabulary, position table, K = V,
// rotated pairs) are read off the tensors.
Result<ModelConfig> ConfigFromGguf(const Gguf& text, const Gguf* multimodal);
Result<DrafterConfig> DrafterFromGguf(const Gguf& file);

// What both kinds of files leave to the reader of a ModelConfig.
inline constexpr int64_t kMostLayers = 1024;
// Every `pattern`-th layer is full, the others sliding; below 1, all are full.
std::vector<LayerKind> LayersOfPattern(int64_t layers, int64_t pattern);
// Files made from the 12B's first upload give half of its real context.
void CorrectContext(ModelConfig& config);

// `model_type` of a config.json, empty if it cannot be read. For telling models, drafters and other things
// apart.
std::string ModelTypeOf(std::string_view config_json);

std::string AdapterTypeOf(std::string_view adapter_config_json);  // its `peft_type`, in the same way

bool IsDrafterArchitecture(std::string_view architecture);  // of general.architecture

// Keys that Linnet's own writer adds where the ecosystem has none: for files without a vocabulary, and for
// defaults.
inline constexpr std::string_view kGgufTokenPrefix =
    "linnet.token.";  // + image, audio, video, begin_image, …
inline constexpr std::string_view kGgufEosIds = "linnet.token.eos";
inline constexpr std::string_view kGgufScaleBf16 = "linnet.embed_scale_bf16";
inline constexpr std::string_view kGgufSoftTokens = "linnet.vision.num_soft_tokens";
inline constexpr std::string_view kGgufVisionEps = "linnet.vision.rms_norm_eps";
inline constexpr std::string_view kGgufAudioEps = "linnet.audio.rms_norm_eps";
inline constexpr std::string_view kGgufSamplingRate = "linnet.audio.sampling_rate";

}  // namespace linnet
