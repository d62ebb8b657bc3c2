#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "model/config_files.h"

namespace linnet {
namespace {

constexpr int64_t kMaxVocab = int64_t{1} << 24;
constexpr int64_t kMaxWidth = int64_t{1} << 16;  // hidden size and multimodal width
constexpr int64_t kMaxMlp = int64_t{1} << 20;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxPositions = int64_t{1} << 24;
constexpr int64_t kMaxCell = 1024;  // pixels a side

// Collects the first complaint, so that the checks below read as a list.
class Checks {
 public:
  void Range(std::string_view field, int64_t value, int64_t least, int64_t most) {
    if (status_ && (value < least || value > most)) {
      status_ =
          Fail(ErrorCode::kBadFile, fmt::format("the model's {} is {}", field, value),
               fmt::format("{} to {} is expected: the configuration is damaged or not a Gemma", least, most));
    }
  }
  void Positive(std::string_view field, double value, double most) {
    if (status_ && !(value > 0 && value <= most)) {
      status_ = Fail(ErrorCode::kBadFile, fmt::format("the model's {} is {}", field, value),
                     fmt::format("a number above 0 and at most {} is expected", most));
    }
  }
  void True(bool holds, std::string what) {
    if (status_ && !holds)
      status_ = Fail(ErrorCode::kBadFile, std::move(what), "the configuration is damaged");
  }
  Status status() const { return status_; }

 private:
  Status status_;
};

void CheckLayer(const ModelConfig& config, size_t index, Checks& checks) {
  const LayerPlan& layer = config.layers[index];
  const std::string where = fmt::format("layer {} ", index);
  checks.Range(where + "head_dim", layer.head_dim, 2, kMaxHeadDim);
  checks.True(layer.head_dim % 2 == 0, fmt::format("{}head_dim {} is odd", where, layer.head_dim));
  checks.Range(where + "num_key_value_heads", layer.kv_heads, 1, config.num_attention_heads);
  checks.True(layer.kv_heads > 0 && config.num_attention_heads % layer.kv_heads == 0,
              fmt::format("{}has {} key/value heads, which do not divide the {} query heads", where,
                          layer.kv_heads, config.num_attention_heads));
  checks.Range(where + "window", layer.window, layer.sliding() ? 1 : 0, layer.sliding() ? kMaxPositions : 0);
  checks.Range(where + "intermediate_size", layer.intermediate_size, 1, kMaxMlp);
  checks.Positive(where + "rope theta", layer.rope.theta, 1e12);
  checks.Positive(where + "rope factor", layer.rope.linear_factor, 1e6);
  checks.Range(where + "rotated pairs", layer.rope.rotated_pairs, 0, layer.head_dim / 2);
}

void CheckTokens(const ModelConfig& config, Checks& checks) {
  const TokenIds& t = config.tokens;
  const int64_t last = config.vocab_size - 1;
  checks.Range("pad_token_id", t.pad, 0, last);  // placeholders are looked up as pad
  checks.Range("bos_token_id", t.bos, -1, last);
  const std::pair<std::string_view, int32_t> ids[] = {
      {"image_token_id", t.image},      {"audio_token_id", t.audio},   {"video_token_id", t.video},
      {"boi_token_id", t.begin_image},  {"eoi_token_id", t.end_image}, {"boa_token_id", t.begin_audio},
      {"eoa_token_index", t.end_audio},
  };
  for (const auto& [name, id] : ids) checks.Range(name, id, -1, last);
  for (const int32_t id : t.eos) checks.Range("eos_token_id", id, 0, last);
  for (const int32_t id : t.suppressed) checks.Range("suppress_tokens", id, 0, last);
  if (config.vision.present) checks.Range("image_token_id", t.image, 0, last);
  if (config.audio.present) checks.Range("audio_token_id", t.audio, 0, last);
}

}  // namespace

int64_t ModelConfig::LastLayer(LayerKind kind) const {
  int64_t l = static_cast<int64_t>(layers.size()) - 1;
  while (l >= 0 && layers[static_cast<size_t>(l)].kind != kind) --l;
  return l;
}

Status ModelConfig::Validate() const {
  Checks checks;
  checks.Range("vocab_size", vocab_size, 1, kMaxVocab);
  checks.Range("hidden_size", hidden_size, 1, kMaxWidth);
  checks.Range("num_attention_heads", num_attention_heads, 1, kMaxHeads);
  checks.Range("num_hidden_layers", static_cast<int64_t>(layers.size()), 1, kMostLayers);
  checks.Range("max_position_embeddings", max_position_embeddings, 1, kMaxPositions);
  checks.Positive("rms_norm_eps", rms_norm_eps, 1.0);
  checks.True(std::isfinite(final_logit_softcapping) && final_logit_softcapping >= 0,
              fmt::format("the model's final_logit_softcapping is {}", final_logit_softcapping));
  checks.Positive("attention scale", attention_scale, 1e3);
  for (size_t i = 0; checks.status() && i < layers.size(); ++i) CheckLayer(*this, i, checks);
  CheckTokens(*this, checks);
  if (vision.present) {
    checks.Range("vision mm_embed_dim", vision.mm_embed_dim, 1, kMaxWidth);
    checks.Range("vision mm_posemb_size", vision.mm_posemb_size, 1, kMaxWidth);
    checks.Range("vision patch_size", vision.patch_size, 1, kMaxCell);
    checks.Range("vision pooling_kernel_size", vision.pooling_kernel_size, 1, kMaxCell);
    checks.True(
        vision.patch_size <= kMaxCell / std::max<int64_t>(vision.pooling_kernel_size, 1),
        fmt::format("a vision cell of {} x {} pixels a side", vision.patch_size, vision.pooling_kernel_size));
    checks.Range("vision num_soft_tokens", vision.num_soft_tokens, 1, kMaxWidth);
    checks.Positive("vision rms_norm_eps", vision.rms_norm_eps, 1.0);
  }
  if (audio.present) {
    checks.Range("audio_embed_dim", audio.frame_samples, 1, kMaxWidth);
    checks.Range("audio sampling_rate", audio.sampling_rate, 1, 1'000'000);
    checks.Positive("audio rms_norm_eps", audio.rms_norm_eps, 1.0);
  }
  checks.True(std::isfinite(generation.temperature) && generation.temperature >= 0,
              fmt::format("the default temperature is {}", generation.temperature));
  checks.True(std::isfinite(generation.top_p) && generation.top_p >= 0 && generation.top_p <= 1,
              fmt::format("the default top_p is {}", generation.top_p));
  checks.Range("default top_k", generation.top_k, 0, kMaxVocab);
  return checks.status();
}

std::vector<LayerKind> LayersOfPattern(int64_t layers, int64_t pattern) {
  std::vector<LayerKind> kinds;
  for (int64_t i = 1; i <= layers; ++i) {
    kinds.push_back(i % std::max<int64_t>(pattern, 1) != 0 ? LayerKind::kSliding : LayerKind::kFull);
  }
  return kinds;
}

void CorrectContext(ModelConfig& config) {
  if (config.hidden_size == 3840 && config.layers.size() == 48 && config.max_position_embeddings == 131072) {
    config.max_position_embeddings = 262144;
  }
}

Status DrafterConfig::Validate() const {
  LINNET_TRY(text.Validate());
  Checks checks;
  checks.Range("backbone_hidden_size", backbone_hidden_size, 1, kMaxWidth);
  if (use_ordered_embeddings) {
    checks.Range("num_centroids", num_centroids, 1, text.vocab_size);
    checks.True(
        text.vocab_size % num_centroids == 0,
        fmt::format("{} centroids do not divide the vocabulary of {}", num_centroids, text.vocab_size));
    checks.Range("centroid_intermediate_top_k", centroid_top_k, 1, num_centroids);
  }
  return checks.status();
}

}  // namespace linnet
