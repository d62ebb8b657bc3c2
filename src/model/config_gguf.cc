// ModelConfig from GGUF metadata, and from the tensors where no key holds the value.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "model/config_files.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

constexpr int64_t kMaxCellSide = 1024;

// Typed access to `ARCH.name` keys; the first wrong value is remembered, absent ones take the default.
class Keys {
 public:
  Keys(const Gguf& file, std::string prefix, Status& status)
      : file_(file), prefix_(std::move(prefix)), status_(status) {}

  bool Has(std::string_view name) const { return file_.metadata().Get(Full(name)) != nullptr; }
  bool IsList(std::string_view name) const { return Has(name) && file_.metadata().Get(Full(name))->is_array; }

  int64_t Int(std::string_view name, int64_t fallback) const {
    return Take(file_.metadata().GetInt(Full(name)), fallback);
  }
  double Float(std::string_view name, double fallback) const {
    const double value = Take(file_.metadata().GetFloat(Full(name)), fallback);
    return std::fabs(value) < 1e30 ? value : fallback;
  }
  bool Bool(std::string_view name, bool fallback) const {
    return Take(file_.metadata().GetBool(Full(name)), fallback);
  }
  std::string Text(std::string_view name) const {
    return std::string(Take(file_.metadata().GetString(Full(name)), std::string_view()));
  }
  int32_t Id(std::string_view name, int32_t fallback) const {
    const int64_t value = Int(name, fallback);
    if (value >= -1 && value <= INT32_MAX) return static_cast<int32_t>(value);
    Complain(name, "is not a token id");
    return fallback;
  }
  // One value a layer; a scalar stands for all.
  std::vector<int64_t> PerLayer(std::string_view name, size_t layers, int64_t fallback) const {
    auto values = file_.metadata().GetInts(Full(name));
    if (!values) {
      Keep(values.error());
      return std::vector<int64_t>(layers, fallback);
    }
    if (values->empty()) return std::vector<int64_t>(layers, fallback);
    if (values->size() == 1) return std::vector<int64_t>(layers, values->front());
    if (values->size() != layers) {
      Complain(name, fmt::format("has {} entries for {} layers", values->size(), layers));
      values->resize(layers, fallback);
    }
    return *std::move(values);
  }

  void Complain(std::string_view name, std::string_view what) const {
    Keep(Error{ErrorCode::kBadFile, fmt::format("the key \"{}\" {}", Full(name), what),
               "the file is damaged"});
  }
  void Refuse(bool refuse, std::string_view name, std::string_view what) const {
    if (refuse) Keep(Error{ErrorCode::kUnsupported, fmt::format("the key \"{}\": {}", Full(name), what), ""});
  }
  Status& status() const { return status_; }
  void Keep(Error error) const {
    if (status_) status_ = std::unexpected(std::move(error));
  }

 private:
  std::string Full(std::string_view name) const { return prefix_ + std::string(name); }

  template <typename T>
  T Take(Result<std::optional<T>> value, T fallback) const {
    if (!value) Keep(value.error());
    return value && *value ? **value : fallback;
  }

  const Gguf& file_;
  std::string prefix_;
  Status& status_;
};

int64_t FirstSize(const Gguf& file, std::string_view tensor, int64_t fallback) {
  const TensorInfo* info = file.Find(tensor);
  return info != nullptr && !info->shape.empty() ? info->shape.front() : fallback;
}

int64_t LastSize(const Gguf& file, std::string_view tensor, int64_t fallback) {
  const TensorInfo* info = file.Find(tensor);
  return info != nullptr && !info->shape.empty() ? info->shape.back() : fallback;
}

std::string Architecture(const Gguf& file) {
  const auto text = file.metadata().GetString("general.architecture");
  return text && *text ? std::string(**text) : "";
}

void RefuseUnsupported(const Gguf& file, const Keys& keys, KeySource source) {
  keys.Refuse(keys.Int("expert_count", 0) > 0, "expert_count", "mixtures of experts are not supported");
  keys.Refuse(keys.Int("embedding_length_per_layer_input", 0) > 0, "embedding_length_per_layer_input",
              "per-layer embeddings (E2B, E4B) are not supported");
  keys.Refuse(source == KeySource::kOwn && keys.Int("attention.shared_kv_layers", 0) > 0,
              "attention.shared_kv_layers", "key/value sharing between layers is not supported");
  keys.Refuse(keys.Float("attn_logit_softcapping", 0) > 0, "attn_logit_softcapping",
              "a soft cap on attention scores is not supported");
  if (file.Find("output.weight") != nullptr) {
    keys.Keep(Error{ErrorCode::kUnsupported,
                    "the tensor \"output.weight\": a separate output matrix is not supported", ""});
  }
}

// One a layer: from a list of bools, or the length of the pattern whose last layer is full.
std::vector<LayerKind> LayerKinds(const Keys& keys, size_t layers) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  if (keys.IsList(kKey)) {
    std::vector<LayerKind> kinds;
    for (const int64_t slides : keys.PerLayer(kKey, layers, 0)) {
      kinds.push_back(slides != 0 ? LayerKind::kSliding : LayerKind::kFull);
    }
    return kinds;
  }
  const int64_t pattern = keys.Int(kKey, 6);
  if (pattern < 1) keys.Complain(kKey, "is below 1");
  return LayersOfPattern(static_cast<int64_t>(layers), pattern);
}

// `rope_freqs` divides the angle of each pair on full layers: 1 = rotates, 1e30 = does not.
int64_t RotatedPairs(const Gguf& file, const Keys& keys, int64_t head_dim) {
  const TensorInfo* info = file.Find("rope_freqs.weight");
  if (info == nullptr) return static_cast<int64_t>(0.25 * static_cast<double>(head_dim) / 2);
  if (info->shape.size() != 1 || info->shape[0] != head_dim / 2 || info->dtype != Dtype::kF32) {
    keys.Keep(Error{ErrorCode::kBadFile,
                    fmt::format("the tensor \"rope_freqs.weight\" is {} {}, expected f32 [{}]",
                                GetDtypeInfo(info->dtype).name, ShapeText(info->shape), head_dim / 2),
                    "the file is damaged"});
    return 0;
  }
  std::vector<uint8_t> scratch;
  std::vector<float> factors(static_cast<size_t>(info->shape[0]));
  DecodeRow(Dtype::kF32, file.Bytes(*info, 0, info->bytes, scratch).data(), factors);
  size_t rotated = 0;
  while (rotated < factors.size() && factors[rotated] == 1.0f) ++rotated;
  const bool rest_fixed = std::all_of(factors.begin() + static_cast<ptrdiff_t>(rotated), factors.end(),
                                      [](float factor) { return factor >= 1e20f; });
  if (!rest_fixed) {
    keys.Keep(Error{ErrorCode::kUnsupported, "the tensor \"rope_freqs.weight\" scales pairs one by one",
                    "ones followed by 1e30 are supported"});
  }
  return static_cast<int64_t>(rotated);
}

void ReadLayers(const Gguf& file, const Keys& keys, KeySource source, ModelConfig& config) {
  const bool gemma3 = Architecture(file) == "gemma3";
  const int64_t count = keys.Int("block_count", 0);
  if (count < 1 || count > kMostLayers) {
    keys.Complain("block_count", count == 0 ? "is missing" : fmt::format("is {}", count));
    return;
  }
  const size_t layers = static_cast<size_t>(count);
  const std::vector<LayerKind> kinds = LayerKinds(keys, layers);
  const std::vector<int64_t> kv_heads =
      keys.PerLayer("attention.head_count_kv", layers, config.num_attention_heads);
  const std::vector<int64_t> intermediate = keys.PerLayer("feed_forward_length", layers, 0);
  const int64_t full_dim = keys.Int("attention.key_length", 0);
  const int64_t sliding_dim = keys.Int("attention.key_length_swa", full_dim);
  keys.Refuse(keys.Int("attention.value_length", full_dim) != full_dim, "attention.value_length",
              "differs from attention.key_length");
  keys.Refuse(keys.Int("attention.value_length_swa", sliding_dim) != sliding_dim,
              "attention.value_length_swa", "differs from attention.key_length_swa");
  const std::string scaling = keys.Text("rope.scaling.type");
  keys.Refuse(!scaling.empty() && scaling != "none" && scaling != "linear", "rope.scaling.type",
              scaling + " is not supported");
  for (size_t i = 0; i < layers; ++i) {
    LayerPlan layer;
    layer.kind = kinds[i];
    const int64_t dim = layer.sliding() ? sliding_dim : full_dim;
    layer.head_dim = dim > 0 ? dim : FirstSize(file, fmt::format("blk.{}.attn_q_norm.weight", i), 0);
    layer.kv_heads = kv_heads[i];
    layer.window = layer.sliding() ? keys.Int("attention.sliding_window", 0) : 0;
    layer.intermediate_size = intermediate[i];
    layer.key_source = source;
    const bool has_v = file.Find(fmt::format("blk.{}.attn_v.weight", i)) != nullptr;
    layer.k_eq_v = source == KeySource::kOwn && !has_v;
    layer.rope.theta =
        layer.sliding() ? keys.Float("rope.freq_base_swa", 1e4) : keys.Float("rope.freq_base", 1e6);
    const bool partial = !gemma3 && !layer.sliding();
    layer.rope.rotated_pairs = partial ? RotatedPairs(file, keys, layer.head_dim) : layer.head_dim / 2;
    if (!layer.sliding() && scaling == "linear")
      layer.rope.linear_factor = keys.Float("rope.scaling.factor", 1.0);
    config.layers.push_back(layer);
  }
}

void ReadText(const Gguf& file, const Keys& keys, KeySource source, ModelConfig& config) {
  const std::string arch = Architecture(file);
  RefuseUnsupported(file, keys, source);
  config.vocab_size = FirstSize(file, "token_embd.weight", 0);
  config.hidden_size = keys.Int("embedding_length", 0);
  config.num_attention_heads = keys.Int("attention.head_count", 0);
  config.max_position_embeddings = keys.Int("context_length", 0);
  config.rms_norm_eps = static_cast<float>(keys.Float("attention.layer_norm_rms_epsilon", 1e-6));
  config.final_logit_softcapping = static_cast<float>(keys.Float("final_logit_softcapping", 0));
  ReadLayers(file, keys, source, config);
  if (arch == "gemma3") {
    config.norm_adds_one = false;  // the files store the sum
    config.v_norm = false;
    config.layer_scalar = false;
    // The largest Gemma 3 (62 layers) scales by its width a head; the others by their head size.
    const bool by_width = config.layers.size() == 62 && config.num_attention_heads > 0;
    const double scalar =
        by_width ? static_cast<double>(config.hidden_size) / static_cast<double>(config.num_attention_heads)
        : config.layers.empty() ? 1.0
                                : static_cast<double>(config.layers[0].head_dim);
    const double usual = scalar > 0 ? 1.0 / std::sqrt(scalar) : 1.0;
    config.attention_scale = static_cast<float>(keys.Float("attention.scale", usual));
  }
  if (arch == "gemma4") CorrectContext(config);
}

struct NamedToken {
  std::string_view key;  // after kGgufTokenPrefix
  std::string_view text;
  int32_t TokenIds::* id;
};

constexpr NamedToken kNamedTokens[] = {
    {"image", "<|image|>", &TokenIds::image},        {"audio", "<|audio|>", &TokenIds::audio},
    {"video", "<|video|>", &TokenIds::video},        {"begin_image", "<|image>", &TokenIds::begin_image},
    {"end_image", "<image|>", &TokenIds::end_image}, {"begin_audio", "<|audio>", &TokenIds::begin_audio},
    {"end_audio", "<audio|>", &TokenIds::end_audio},
};

// Where the later of two equal strings wins, as readers of such files do.
int32_t FindToken(const std::vector<std::string_view>& tokens, std::string_view text) {
  for (size_t i = tokens.size(); i > 0; --i) {
    if (tokens[i - 1] == text) return static_cast<int32_t>(i - 1);
  }
  return -1;
}

void ReadTokens(const Gguf& file, const std::string& arch, Status& status, ModelConfig& config) {
  const Keys keys(file, "tokenizer.ggml.", status);
  const Keys own(file, std::string(kGgufTokenPrefix), status);
  const auto tokens = file.metadata().GetStrings("tokenizer.ggml.tokens");
  if (!tokens) return keys.Keep(tokens.error());
  if (static_cast<int64_t>(tokens->size()) > config.vocab_size) {
    keys.Complain("tokens", fmt::format("has {} entries, token_embd.weight {} rows", tokens->size(),
                                        config.vocab_size));
    return;
  }
  TokenIds& t = config.tokens;
  t.bos = keys.Id("bos_token_id", 2 < config.vocab_size ? 2 : -1);
  t.pad = keys.Id("padding_token_id", 0);
  const bool gemma4 = arch != "gemma3";
  for (const NamedToken& named : kNamedTokens) {
    if (gemma4) t.*named.id = own.Id(named.key, FindToken(*tokens, named.text));
  }
  std::set<int32_t> eos;
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) eos.insert(keys.Id(key, -1));
  const auto listed = file.metadata().GetInts(kGgufEosIds);
  if (!listed) return keys.Keep(listed.error());
  for (const int64_t id : *listed) eos.insert(id >= 0 && id <= INT32_MAX ? static_cast<int32_t>(id) : -1);
  // Gemma 4 ends with the first three, Gemma 3 with the first and the last; a vocabulary without one is not
  // asked for it.
  for (const char* text : {"<eos>", "<turn|>", "<|tool_response>", "<end_of_turn>"}) {
    eos.insert(FindToken(*tokens, text));
  }
  eos.erase(-1);
  if (eos.empty() && config.vocab_size > 1) eos.insert(1);
  t.eos.assign(eos.begin(), eos.end());

  const auto suppressed = file.metadata().GetInts("tokenizer.ggml.suppress_tokens");
  if (!suppressed) return keys.Keep(suppressed.error());
  for (const int64_t id : *suppressed) {
    if (id < 0 || id > INT32_MAX) return keys.Complain("suppress_tokens", fmt::format("holds {}", id));
    t.suppressed.push_back(static_cast<int32_t>(id));
  }
  if (!keys.Has("suppress_tokens") && gemma4) {  // the earliest files
    for (const int32_t id : {t.end_audio, t.end_image}) {
      if (id >= 0) t.suppressed.push_back(id);
    }
  }
}

void ReadGeneration(const Gguf& file, Status& status, ModelConfig& config) {
  const Keys keys(file, "general.sampling.", status);
  GenerationDefaults& defaults = config.generation;
  defaults.temperature = static_cast<float>(keys.Float("temp", 1.0));
  defaults.do_sample = defaults.temperature > 0;
  defaults.top_k = static_cast<int32_t>(std::clamp<int64_t>(keys.Int("top_k", 64), 0, INT32_MAX));
  defaults.top_p = static_cast<float>(keys.Float("top_p", 0.95));
}

void ReadVision(const Gguf& file, const Keys& keys, ModelConfig& config) {
  VisionConfig& vision = config.vision;
  vision.present = true;
  vision.mm_embed_dim = FirstSize(file, "v.patch_embd.weight", keys.Int("vision.embedding_length", 0));
  vision.patch_size = keys.Int("vision.patch_size", 16);
  const TensorInfo* positions = file.Find("v.position_embd.weight");
  vision.mm_posemb_size = positions != nullptr && positions->shape.size() == 3 ? positions->shape[1] : 0;
  // The cell's side follows from the row length, side * side * 3.
  const int64_t values = LastSize(file, "v.patch_embd.weight", 0);
  int64_t side = 1;
  while (side < kMaxCellSide && side * side * 3 < values) ++side;
  if (vision.patch_size < 1 || side * side * 3 != values || side % vision.patch_size != 0) {
    keys.Keep(Error{
        ErrorCode::kUnsupported,
        fmt::format("the tensor \"v.patch_embd.weight\" has rows of {} values, which are not RGB cells of "
                    "patches of {}",
                    values, vision.patch_size),
        "an mmproj file of Gemma 4 12B Unified is expected"});
    return;
  }
  vision.pooling_kernel_size = side / vision.patch_size;
  const Keys own(file, "", keys.status());
  vision.num_soft_tokens = own.Int(kGgufSoftTokens, 280);
  vision.rms_norm_eps =
      static_cast<float>(own.Float(kGgufVisionEps, 1e-6));  // the ecosystem's key is not this one
}

void ReadMultimodal(const Gguf& file, Status& status, ModelConfig& config) {
  const Keys keys(file, "clip.", status);
  const std::string vision = keys.Text("vision.projector_type");
  const std::string audio = keys.Text("audio.projector_type");
  const std::string either = keys.Text("projector_type");  // files with one part
  for (const std::string& type : {vision, audio, either}) {
    if (!type.empty() && type != "gemma4uv" && type != "gemma4ua") {
      keys.Refuse(true, "vision.projector_type",
                  type + " belongs to a model with encoders; gemma4uv and gemma4ua are supported");
    }
  }
  const int64_t width =
      keys.Int("vision.projection_dim", keys.Int("audio.projection_dim", config.hidden_size));
  keys.Refuse(width != config.hidden_size, "vision.projection_dim",
              fmt::format("is {}, but the text model is {} wide: they do not belong together", width,
                          config.hidden_size));
  if (file.Find("v.patch_embd.weight") != nullptr) ReadVision(file, keys, config);
  if (file.Find("mm.a.input_projection.weight") != nullptr) {
    config.audio.present = true;
    config.audio.frame_samples = LastSize(file, "mm.a.input_projection.weight", 640);
    config.audio.sampling_rate = Keys(file, "", status).Int(kGgufSamplingRate, 16000);
    config.audio.rms_norm_eps = static_cast<float>(Keys(file, "", status).Float(kGgufAudioEps, 1e-6));
  }
}

}  // namespace

bool IsDrafterArchitecture(std::string_view architecture) {
  return architecture == "gemma4-assistant" || architecture == "gemma4_assistant" ||
         architecture == "gemma4_mtp";
}

Result<ModelConfig> ConfigFromGguf(const Gguf& text, const Gguf* multimodal) {
  const std::string arch = Architecture(text);
  if (arch != "gemma4" && arch != "gemma3") {
    const std::string what =
        arch == "clip"                ? "this is a multimodal (mmproj) file without a text model"
        : IsDrafterArchitecture(arch) ? "this is a drafter, not a model that can run alone"
        : arch.empty()                ? "the key \"general.architecture\" is missing"
                                      : fmt::format("general.architecture \"{}\" is not supported", arch);
    return Fail(ErrorCode::kUnsupported, text.name() + ": " + what, "gemma4 and gemma3 can be run");
  }
  Status status;
  const Keys keys(text, arch + ".", status);
  const Keys general(text, "", status);
  ModelConfig config;
  config.model_type = arch == "gemma4" ? "gemma4_unified" : "gemma3_text";
  config.name = general.Text("general.name");
  ReadText(text, keys, KeySource::kOwn, config);
  ReadTokens(text, arch, status, config);
  ReadGeneration(text, status, config);
  const TensorInfo* table = text.Find("token_embd.weight");
  config.embed_scale_bf16 = general.Bool(kGgufScaleBf16, table != nullptr && table->dtype == Dtype::kBf16);
  if (!status) return Prefixed(text.name(), status.error());
  if (multimodal != nullptr) {
    ReadMultimodal(*multimodal, status, config);
    if (!status) return Prefixed(multimodal->name(), status.error());
  }
  if (Status valid = config.Validate(); !valid) return Prefixed(text.name(), valid.error());
  return config;
}

Result<DrafterConfig> DrafterFromGguf(const Gguf& file) {
  const std::string arch = Architecture(file);
  if (!IsDrafterArchitecture(arch)) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("{}: general.architecture \"{}\" is not a drafter", file.name(), arch),
                "gemma4-assistant is expected");
  }
  Status status;
  const Keys keys(file, arch + ".", status);
  DrafterConfig drafter;
  drafter.text.model_type = "gemma4_unified_assistant";
  drafter.text.name = Keys(file, "", status).Text("general.name");
  ReadText(file, keys, KeySource::kTarget, drafter.text);
  ReadTokens(file, arch, status, drafter.text);
  // [embedding; hidden] of the target goes in.
  for (const char* name :
       {"nextn.pre_projection.weight", "mtp.pre_projection.weight", "mtp_pre_proj.weight"}) {
    if (file.Find(name) != nullptr) drafter.backbone_hidden_size = LastSize(file, name, 0) / 2;
  }
  for (const char* name : {"nextn.centroids.weight", "mtp.centroids.weight", "mtp_centroids.weight"}) {
    if (file.Find(name) == nullptr) continue;
    drafter.use_ordered_embeddings = true;
    drafter.num_centroids = FirstSize(file, name, 0);
    drafter.centroid_top_k = keys.Int("centroid_intermediate_top_k", 32);
  }
  if (Status valid = status ? drafter.Validate() : status; !valid)
    return Prefixed(file.name(), valid.error());
  return drafter;
}

}  // namespace linnet
