#include "quant/convert_metadata.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "model/config_files.h"
#include "quant/weight_mix.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

uint32_t U32(int64_t value) { return static_cast<uint32_t>(value); }

// Which of the two families' keys hold the model.
bool IsGemma3(const ModelConfig& config) { return config.model_type.starts_with("gemma3"); }

const LayerPlan* FirstLayer(const ModelConfig& config, LayerKind kind) {
  const auto it = std::ranges::find(config.layers, kind, &LayerPlan::kind);
  return it == config.layers.end() ? nullptr : &*it;
}

// Keys of a decoder's shape under an architecture's prefix.
void AddShape(const ModelConfig& config, const std::string& arch, GgufWriter& writer) {
  const auto key = [&](const char* name) { return arch + "." + name; };
  const LayerPlan* full = FirstLayer(config, LayerKind::kFull);
  const LayerPlan* sliding = FirstLayer(config, LayerKind::kSliding);
  if (full == nullptr) full = sliding;
  if (sliding == nullptr) sliding = full;
  writer.AddU32(key("block_count"), U32(static_cast<int64_t>(config.layers.size())));
  writer.AddU32(key("context_length"), U32(config.max_position_embeddings));
  writer.AddU32(key("embedding_length"), U32(config.hidden_size));
  if (!IsGemma3(config)) writer.AddU32(key("embedding_length_per_layer_input"), 0);
  writer.AddU32(key("attention.head_count"), U32(config.num_attention_heads));
  std::vector<int32_t> kv_heads, intermediate;
  std::vector<bool> pattern;
  for (const LayerPlan& plan : config.layers) {
    kv_heads.push_back(static_cast<int32_t>(plan.kv_heads));
    intermediate.push_back(static_cast<int32_t>(plan.intermediate_size));
    pattern.push_back(plan.sliding());
  }
  if (std::ranges::adjacent_find(intermediate, std::not_equal_to()) == intermediate.end()) {
    writer.AddU32(key("feed_forward_length"), U32(intermediate.front()));
  } else {
    writer.AddI32s(key("feed_forward_length"), intermediate);
  }
  writer.AddI32s(key("attention.head_count_kv"), kv_heads);
  writer.AddU32(key("attention.key_length"), U32(full->head_dim));
  writer.AddU32(key("attention.value_length"), U32(full->head_dim));
  writer.AddU32(key("attention.key_length_swa"), U32(sliding->head_dim));
  writer.AddU32(key("attention.value_length_swa"), U32(sliding->head_dim));
  writer.AddF32(key("attention.layer_norm_rms_epsilon"), config.rms_norm_eps);
  writer.AddU32(key("attention.sliding_window"), U32(sliding->window));
  writer.AddBools(key("attention.sliding_window_pattern"), pattern);
  writer.AddU32(key("rope.dimension_count"), U32(full->head_dim));
  writer.AddU32(key("rope.dimension_count_swa"), U32(sliding->head_dim));
  writer.AddF32(key("rope.freq_base"), static_cast<float>(full->rope.theta));
  writer.AddF32(key("rope.freq_base_swa"), static_cast<float>(sliding->rope.theta));
  if (config.final_logit_softcapping > 0)
    writer.AddF32(key("final_logit_softcapping"), config.final_logit_softcapping);
  if (full->rope.linear_factor != 1.0) {
    writer.AddString(key("rope.scaling.type"), "linear");
    writer.AddF32(key("rope.scaling.factor"), static_cast<float>(full->rope.linear_factor));
  }
}

void AddVocabulary(const Vocabulary& vocabulary, GgufWriter& writer) {
  writer.AddString("tokenizer.ggml.model", vocabulary.model);
  writer.AddStrings("tokenizer.ggml.tokens", vocabulary.tokens);
  writer.AddF32s("tokenizer.ggml.scores", vocabulary.scores);
  writer.AddI32s("tokenizer.ggml.token_type", vocabulary.types);
  writer.AddStrings("tokenizer.ggml.merges", vocabulary.merges);
  if (vocabulary.unknown_id >= 0)
    writer.AddU32("tokenizer.ggml.unknown_token_id", U32(vocabulary.unknown_id));
}

// The vocabulary of the directory, if it has one.
Status AddOwnVocabulary(const ModelFiles& files, GgufWriter& writer) {
  if (files.tokenizer_json.empty()) return {};
  Result<Vocabulary> vocabulary = VocabularyFromJson(files.tokenizer_json);
  if (!vocabulary) return Prefixed("tokenizer.json", std::move(vocabulary.error()));
  AddVocabulary(*vocabulary, writer);
  return {};
}

// Ids by number: a vocabulary may be missing, or spell its special tokens otherwise.
void AddTokenIds(const TokenIds& tokens, GgufWriter& writer) {
  if (tokens.bos >= 0) writer.AddU32("tokenizer.ggml.bos_token_id", U32(tokens.bos));
  if (!tokens.eos.empty()) writer.AddU32("tokenizer.ggml.eos_token_id", U32(tokens.eos.front()));
  if (tokens.pad >= 0) writer.AddU32("tokenizer.ggml.padding_token_id", U32(tokens.pad));
  writer.AddBool("tokenizer.ggml.add_bos_token", true);
  writer.AddBool("tokenizer.ggml.add_space_prefix", false);
  writer.AddI32s("tokenizer.ggml.suppress_tokens", tokens.suppressed);
  writer.AddI32s(kGgufEosIds, tokens.eos);
  const std::pair<const char*, int32_t> ids[] = {
      {"image", tokens.image},         {"audio", tokens.audio},
      {"video", tokens.video},         {"begin_image", tokens.begin_image},
      {"end_image", tokens.end_image}, {"begin_audio", tokens.begin_audio},
      {"end_audio", tokens.end_audio}};
  for (const auto& [name, id] : ids) {
    if (id >= 0) writer.AddU32(std::string(kGgufTokenPrefix) + name, U32(id));
  }
}

struct SpecialToken {
  int64_t id;
  const char* text;
};
constexpr SpecialToken kSpecialTokens[] = {
    {0, "<pad>"},         {1, "<eos>"},         {2, "<bos>"},          {3, "<unk>"},
    {4, "<mask>"},        {105, "<|turn>"},     {106, "<turn|>"},      {107, "\n"},
    {255999, "<|image>"}, {256000, "<|audio>"}, {258880, "<|image|>"}, {258881, "<|audio|>"},
    {258882, "<image|>"}, {258883, "<audio|>"}, {258884, "<|video|>"},
};
constexpr size_t kFirstByteToken = 238;  // <0x00>

}  // namespace

void AddPlaceholderVocabulary(const ModelConfig& config, GgufWriter& writer) {
  Vocabulary vocabulary;
  const size_t size = static_cast<size_t>(config.vocab_size);
  vocabulary.model = "gemma4";
  vocabulary.unknown_id = 3;
  vocabulary.types.assign(size, static_cast<int32_t>(VocabularyType::kNormal));
  for (size_t i = 0; i < size; ++i) {
    vocabulary.tokens.push_back("w" + std::to_string(i));
    vocabulary.scores.push_back(-static_cast<float>(i));
  }
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256 && kFirstByteToken + byte < size; ++byte) {
    vocabulary.tokens[kFirstByteToken + byte] =
        std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">";
    vocabulary.types[kFirstByteToken + byte] = static_cast<int32_t>(VocabularyType::kByte);
  }
  for (const SpecialToken& special : kSpecialTokens) {
    if (special.id >= config.vocab_size) continue;
    vocabulary.tokens[static_cast<size_t>(special.id)] = special.text;
    vocabulary.types[static_cast<size_t>(special.id)] =
        static_cast<int32_t>(special.id == 107 ? VocabularyType::kNormal : VocabularyType::kControl);
  }
  AddVocabulary(vocabulary, writer);
}

uint32_t FileType(Dtype type) {
  switch (type) {
    case Dtype::kF16:
      return 1;
    case Dtype::kQ4K:
      return MixOf("q4_k_m")->file_type;
    case Dtype::kQ5K:
      return MixOf("q5_k_m")->file_type;
    case Dtype::kQ3K:
      return MixOf("q3_k_m")->file_type;
    default:
      const WeightMix* mix = MixOf(GetDtypeInfo(type).name);
      return mix == nullptr ? 0 : mix->file_type;
  }
}

std::vector<float> RopeFactors(const ModelConfig& config) {
  const LayerPlan* full = FirstLayer(config, LayerKind::kFull);
  if (full == nullptr || IsGemma3(config)) return {};
  std::vector<float> factors(static_cast<size_t>(full->head_dim / 2), 1e30f);
  std::fill_n(factors.begin(), full->rope.rotated_pairs, 1.0f);
  return factors;
}

Status CheckExpressible(const ModelConfig& config) {
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerPlan& plan = config.layers[i];
    const LayerPlan& first = *FirstLayer(config, plan.kind);
    const bool same = plan.head_dim == first.head_dim && plan.window == first.window &&
                      plan.rope.theta == first.rope.theta &&
                      plan.rope.rotated_pairs == first.rope.rotated_pairs;
    // Gemma 3's keys hold a linear factor, which readers apply to full layers, and no partial rotation.
    const bool whole = plan.rope.rotated_pairs == plan.head_dim / 2;
    const bool linear =
        plan.rope.linear_factor == first.rope.linear_factor && !plan.sliding() && IsGemma3(config);
    const bool plain =
        (plan.rope.linear_factor == 1.0 || linear) && (whole || (!plan.sliding() && !IsGemma3(config)));
    if (same && plain) continue;
    return Fail(ErrorCode::kUnsupported,
                "layer " + std::to_string(i) +
                    (same ? " rotates in a way" : " differs from the others of its kind in a way") +
                    " that GGUF has no keys for",
                "run the directory itself");
  }
  return {};
}

Status AddTextMetadata(const ModelFiles& files, uint32_t file_type, GgufWriter& writer) {
  const ModelConfig& config = files.config;
  LINNET_TRY(CheckExpressible(config));
  const std::string arch = IsGemma3(config) ? "gemma3" : "gemma4";
  writer.AddString("general.architecture", arch);
  writer.AddString("general.type", "model");
  if (!config.name.empty()) writer.AddString("general.name", config.name);
  writer.AddU32("general.file_type", file_type);
  writer.AddU32("general.quantization_version", 2);
  writer.AddF32("general.sampling.temp", config.generation.do_sample ? config.generation.temperature : 0.0f);
  writer.AddU32("general.sampling.top_k", U32(config.generation.top_k));
  writer.AddF32("general.sampling.top_p", config.generation.top_p);
  AddShape(config, arch, writer);
  if (IsGemma3(config)) {
    writer.AddF32("gemma3.attention.scale", config.attention_scale);
  } else {
    writer.AddU32("gemma4.attention.shared_kv_layers", 0);
  }
  LINNET_TRY(AddOwnVocabulary(files, writer));
  AddTokenIds(config.tokens, writer);
  writer.AddBool(kGgufScaleBf16, config.embed_scale_bf16);
  return {};
}

void AddMultimodalMetadata(const ModelConfig& config, GgufWriter& writer) {
  writer.AddString("general.architecture", "clip");
  writer.AddString("general.type", "mmproj");
  writer.AddU32("general.file_type", 32);
  writer.AddBool("clip.has_vision_encoder", config.vision.present);
  writer.AddBool("clip.has_audio_encoder", config.audio.present);
  if (config.vision.present) {
    writer.AddString("clip.vision.projector_type", "gemma4uv");
    writer.AddU32("clip.vision.embedding_length", U32(config.vision.mm_embed_dim));
    writer.AddU32("clip.vision.projection_dim", U32(config.hidden_size));
    for (const char* key : {"block_count", "feed_forward_length", "attention.head_count"}) {
      writer.AddU32(std::string("clip.vision.") + key, 0);
    }
    writer.AddU32("clip.vision.patch_size", U32(config.vision.patch_size));
    writer.AddU32("clip.vision.image_size", 224);
    writer.AddF32s("clip.vision.image_mean", std::vector<float>{0, 0, 0});
    writer.AddF32s("clip.vision.image_std", std::vector<float>{1, 1, 1});
    writer.AddF32("clip.vision.attention.layer_norm_epsilon", config.vision.rms_norm_eps);
    writer.AddU32(kGgufSoftTokens, U32(config.vision.num_soft_tokens));
    writer.AddF32(kGgufVisionEps, config.vision.rms_norm_eps);
  }
  if (!config.audio.present) return;
  writer.AddString("clip.audio.projector_type", "gemma4ua");
  writer.AddU32("clip.audio.embedding_length", U32(config.audio.frame_samples));
  writer.AddU32("clip.audio.projection_dim", U32(config.hidden_size));
  for (const char* key : {"block_count", "feed_forward_length", "attention.head_count"}) {
    writer.AddU32(std::string("clip.audio.") + key, 0);
  }
  writer.AddU32("clip.audio.num_mel_bins", 128);
  writer.AddF32("clip.audio.attention.layer_norm_epsilon", config.audio.rms_norm_eps);
  writer.AddU32(kGgufSamplingRate, U32(config.audio.sampling_rate));
  writer.AddF32(kGgufAudioEps, config.audio.rms_norm_eps);
}

Status AddDrafterMetadata(const ModelFiles& files, uint32_t file_type, GgufWriter& writer) {
  const DrafterConfig& config = *files.drafter_config;
  const std::string arch = "gemma4-assistant";
  writer.AddString("general.architecture", arch);
  if (!config.text.name.empty()) writer.AddString("general.name", config.text.name);
  writer.AddU32("general.file_type", file_type);
  writer.AddU32("general.quantization_version", 2);
  AddShape(config.text, arch, writer);
  writer.AddU32(arch + ".embedding_length_out", U32(config.backbone_hidden_size));
  const uint32_t layers = U32(static_cast<int64_t>(config.text.layers.size()));
  writer.AddU32(arch + ".nextn_predict_layers", layers);
  writer.AddU32(arch + ".attention.shared_kv_layers", layers);
  if (config.use_ordered_embeddings)
    writer.AddU32(arch + ".centroid_intermediate_top_k", U32(config.centroid_top_k));
  LINNET_TRY(AddOwnVocabulary(files, writer));
  AddTokenIds(config.text.tokens, writer);
  return {};
}

}  // namespace linnet
