#include "quant/synthetic.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "base/bf16.h"
#include "base/check.h"
#include "model/config_files.h"
#include "model/file_format.h"

namespace linnet {
namespace {

// Published hyper-parameters of Gemma 4 12B Unified.
constexpr std::string_view kConfig12b = R"({
  "model_type": "gemma4_unified", "tie_word_embeddings": true, "eos_token_id": [1, 106],
  "image_token_id": 258880, "audio_token_id": 258881, "eoi_token_id": 258882, "eoa_token_index": 258883,
  "video_token_id": 258884, "boi_token_id": 255999, "boa_token_id": 256000,
  "text_config": {
    "model_type": "gemma4_unified_text", "vocab_size": 262144, "hidden_size": 3840,
    "intermediate_size": 15360, "num_hidden_layers": LAYERS, "layer_types": [TYPES],
    "num_attention_heads": 16, "num_key_value_heads": 8,
    "num_global_key_value_heads": 1, "head_dim": 256, "global_head_dim": 512, "attention_k_eq_v": true,
    "sliding_window": 1024, "final_logit_softcapping": 30.0, "rms_norm_eps": 1e-6,
    "use_bidirectional_attention": "vision", "max_position_embeddings": 262144, "pad_token_id": 0,
    "eos_token_id": 1, "bos_token_id": 2, "hidden_activation": "gelu_pytorch_tanh",
    "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
      "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25,
        "rope_theta": 1000000.0}}}MEDIA})";
constexpr std::string_view kMedia12b = R"(,
  "vision_config": {"model_type": "gemma4_unified_vision", "patch_size": 16, "pooling_kernel_size": 3,
    "mm_embed_dim": 3840, "output_proj_dims": 3840, "mm_posemb_size": 1120},
  "audio_config": {"model_type": "gemma4_unified_audio", "audio_embed_dim": 640})";

// Those of its assistant.
constexpr std::string_view kDrafter12b = R"({
  "model_type": "gemma4_unified_assistant", "backbone_hidden_size": 3840, "use_ordered_embeddings": false,
  "tie_word_embeddings": true,
  "text_config": {
    "model_type": "gemma4_unified_text", "vocab_size": 262144, "hidden_size": 1024, "intermediate_size": 8192,
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "num_attention_heads": 16, "num_key_value_heads": 8, "num_global_key_value_heads": 1, "head_dim": 256,
    "global_head_dim": 512, "attention_k_eq_v": true, "num_kv_shared_layers": 4, "sliding_window": 1024,
    "final_logit_softcapping": null, "rms_norm_eps": 1e-6, "max_position_embeddings": 262144,
    "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": true,
    "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
      "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25,
        "rope_theta": 1000000.0}}}})";

void Replace(std::string& text, std::string_view what, std::string_view with) {
  text.replace(text.find(what), what.size(), with);
}

Result<ModelConfig> Config12b(int layers, bool multimodal) {
  std::string types;
  for (int l = 0; l < layers; ++l) {
    types += l == 0 ? "" : ",";
    types += (l + 1) % 6 == 0 || l + 1 == layers ? "\"full_attention\"" : "\"sliding_attention\"";
  }
  std::string text(kConfig12b);
  Replace(text, "LAYERS", std::to_string(layers));
  Replace(text, "TYPES", types);
  Replace(text, "MEDIA", multimodal ? kMedia12b : "");
  return ConfigFromJson({text, "", ""});
}

// Quants are noise; the factors of every block make weights of about 1 / sqrt(K).
struct Factors {
  int offset;  // where in the block they stand
  std::vector<uint8_t> bytes;
};

Factors Halves(int offset, std::initializer_list<double> values) {
  Factors factors{offset, {}};
  for (const double value : values) {
    const uint16_t half = FloatToHalf(static_cast<float>(value));
    factors.bytes.push_back(static_cast<uint8_t>(half & 255));
    factors.bytes.push_back(static_cast<uint8_t>(half >> 8));
  }
  return factors;
}

Factors FactorsOf(Dtype dtype, double deviation) {
  switch (dtype) {
    case Dtype::kQ4_1:
      return Halves(0, {deviation / 4.6, -7.5 * deviation / 4.6});
    case Dtype::kQ5_0:
      return Halves(0, {deviation / 9.2});
    case Dtype::kQ5_1:
      return Halves(0, {deviation / 9.2, -15.5 * deviation / 9.2});
    case Dtype::kQ8_0:
      return Halves(0, {deviation / 74});
    case Dtype::kQ4K:
      return Halves(0, {deviation / 170, 7.5 * deviation / 170});
    case Dtype::kQ5K:
      return Halves(0, {deviation / 340, 15.5 * deviation / 340});
    case Dtype::kQ6K:
      return Halves(208, {deviation / 1370});
    case Dtype::kQ2K:
      return Halves(80, {deviation / 14, 1.5 * deviation / 14});
    case Dtype::kQ3K:
      return Halves(108, {deviation / 42});
    case Dtype::kIq4Nl:
      return Halves(0, {deviation / 72});
    case Dtype::kIq4Xs:
      return Halves(0, {deviation / 1330});
    case Dtype::kMxfp4:
      return {0, {static_cast<uint8_t>(127 + std::ilogb(deviation / 2.9))}};
    case Dtype::kNvfp4:  // multiples of 2^-9, its least scales
      return {0, std::vector(4, static_cast<uint8_t>(std::clamp(deviation / 2.9 * 512, 1.0, 7.0)))};
    default:
      return Halves(0, {deviation / 4.6});
  }
}

// REQUIRES: offset and the size are whole blocks.
void FillBlocks(const TensorInfo& tensor, uint64_t offset, std::span<uint8_t> out) {
  const DtypeInfo& info = GetDtypeInfo(tensor.dtype);
  const double deviation = 1.0 / std::sqrt(static_cast<double>(tensor.shape.back()));
  const Factors factors = FactorsOf(tensor.dtype, deviation);
  const size_t block = static_cast<size_t>(info.block_bytes);
  uint64_t counter = HashName(tensor.name) + offset;
  for (size_t i = 0; i < out.size(); i += 8) {
    const uint64_t bits = Mix(counter += 0x9E3779B97F4A7C15u);
    std::memcpy(out.data() + i, &bits, std::min<size_t>(8, out.size() - i));
  }
  for (size_t b = 0; b + block <= out.size(); b += block) {
    std::ranges::copy(factors.bytes, out.data() + b + factors.offset);
  }
}

// ±[1, 2) times a power of two near 1 / sqrt(K): no rounding, no special values.
void FillPlain(const TensorInfo& tensor, uint64_t offset, std::span<uint8_t> out) {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(tensor.shape.back()));
  const uint32_t exponent = static_cast<uint32_t>(127 + std::ilogb(deviation));
  const size_t size = static_cast<size_t>(GetDtypeInfo(tensor.dtype).block_bytes);
  const uint64_t seed = HashName(tensor.name);
  for (size_t i = 0; i < out.size(); i += size) {
    const uint32_t noise = static_cast<uint32_t>(Mix(seed + offset + i));
    const uint32_t bits = (noise & 0x80000000u) | exponent << 23 | (noise & 0x7fffffu);
    const uint16_t half = tensor.dtype == Dtype::kF16 ? FloatToHalf(std::bit_cast<float>(bits))
                                                      : static_cast<uint16_t>(bits >> 16);
    std::memcpy(out.data() + i, size == 4 ? static_cast<const void*>(&bits) : &half, size);
  }
}

void FillConstant(float value, std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size(); i += 4) std::memcpy(out.data() + i, &value, 4);
}

void FillSynthetic(const TensorInfo& tensor, uint64_t offset, std::span<uint8_t> out) {
  if (tensor.shape.size() == 1) return FillConstant(tensor.shape[0] == 1 ? 0.75f : 1.0f, out);
  if (GetDtypeInfo(tensor.dtype).block_elements > 1) return FillBlocks(tensor, offset, out);
  FillPlain(tensor, offset, out);
}

bool IsMultimodal(Role role) { return role >= Role::kPatchNorm1Weight && role <= Role::kAudioProjection; }

struct Spec {
  int layers = 48;
  FileFormat format;
};

Result<Spec> ParseSpec(std::string_view text) {
  const auto refuse = [&](const std::string& hint) {
    return Fail(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is not a synthetic model", hint);
  };
  Spec spec;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return refuse("write SHAPE:FORMAT, for instance 12b:q4_0");
  std::string_view shape = text.substr(0, colon);
  const std::string_view format_name = text.substr(colon + 1);
  if (const size_t at = shape.find('@'); at != std::string_view::npos) {
    const std::string_view number = shape.substr(at + 1);
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), spec.layers);
    if (parsed.ec != std::errc() || spec.layers < 1 || spec.layers > 48)
      return refuse("the number of layers is 1 to 48");
    shape = shape.substr(0, at);
  }
  if (shape != "12b") return refuse("the only shape is 12b");
  const std::optional<FileFormat> format = FileFormatOf(format_name);
  if (!format) {
    std::string names = "formats are";
    for (const FileFormat& known : FileFormats()) names += " " + std::string(known.name);
    return refuse(names);
  }
  spec.format = *format;
  return spec;
}

}  // namespace

Result<SyntheticModel> MakeSynthetic(std::string_view text, bool multimodal) {
  LINNET_ASSIGN(const Spec spec, ParseSpec(text));
  SyntheticModel model;
  LINNET_ASSIGN(model.config, Config12b(spec.layers, multimodal));
  const auto format = [&](const ExpectedTensor& tensor) {
    if (tensor.shape.size() == 1 || tensor.role == Role::kPositionTable) return Dtype::kF32;
    if (IsMultimodal(tensor.role)) return Dtype::kBf16;
    return FormatIn(spec.format, tensor, spec.layers);
  };
  auto source = std::make_unique<GeneratedSource>(model.config, format, FillSynthetic);
  for (const TensorInfo& tensor : source->tensors()) model.file_bytes += tensor.bytes;
  model.source = std::move(source);
  return model;
}

Result<SyntheticDrafter> MakeSyntheticDrafter(std::string_view text) {
  LINNET_ASSIGN(const Spec spec, ParseSpec(text));
  SyntheticDrafter drafter;
  LINNET_ASSIGN(drafter.config, DrafterFromJson({kDrafter12b, "", ""}));
  const auto format = [&](const ExpectedTensor& tensor) {
    return tensor.shape.size() == 1 ? Dtype::kF32 : spec.format.matrices;
  };
  drafter.source = std::make_unique<GeneratedSource>(drafter.config, format, FillSynthetic);
  return drafter;
}

}  // namespace linnet
