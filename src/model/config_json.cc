// ModelConfig from config.json, generation_config.json and processor_config.json. Defaults of absent keys are
// those of the reference's configuration classes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "model/config_files.h"

namespace linnet {
namespace {

using nlohmann::json;

constexpr int32_t kToolResponseId = 50;  // <|tool_response> in Gemma 4's vocabulary ends a turn too
constexpr int64_t kGemmaVocabulary = 262144;

// Typed access to one JSON object. The first wrong value is remembered with its path; absent and null take
// the default.
class Fields {
 public:
  Fields(const json& object, std::string path, Status& status)
      : object_(object), path_(std::move(path)), status_(status) {}

  const json* Find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  int64_t Int(const char* key, int64_t fallback) const {
    const json* value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number_integer() ||
        (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX})) {
      Complain(key, "is not a whole number");
      return fallback;
    }
    return value->get<int64_t>();
  }

  int32_t Id(const char* key, int32_t fallback) const {
    const int64_t value = Int(key, fallback);
    if (value >= -1 && value <= INT32_MAX) return static_cast<int32_t>(value);
    Complain(key, "is not a token id");
    return fallback;
  }

  double Number(const char* key, double fallback) const {
    const json* value = Find(key);
    if (value == nullptr) return fallback;
    const double number =
        value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!std::isfinite(number) || std::fabs(number) > 1e30) {
      Complain(key, "is not a usable number");
      return fallback;
    }
    return number;
  }

  bool Bool(const char* key, bool fallback) const {
    const json* value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) Complain(key, "is neither true nor false");
    return value->is_boolean() ? value->get<bool>() : fallback;
  }

  std::string Text(const char* key, const std::string& fallback) const {
    const json* value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) Complain(key, "is not text");
    return value->is_string() ? value->get<std::string>() : fallback;
  }

  // One id or a list of them; absent gives an empty list.
  std::vector<int32_t> Ids(const char* key) const {
    const json* value = Find(key);
    std::vector<int32_t> ids;
    if (value == nullptr) return ids;
    const json list = value->is_array() ? *value : json::array({*value});
    for (const json& id : list) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t{INT32_MAX}) {
        Complain(key, "holds something that is not a token id");
        return {};
      }
      ids.push_back(static_cast<int32_t>(id.get<uint64_t>()));
    }
    return ids;
  }

  Fields Object(const char* key) const {
    static const json empty = json::object();
    const json* value = Find(key);
    if (value != nullptr && !value->is_object()) Complain(key, "is not an object");
    return Fields(value != nullptr && value->is_object() ? *value : empty, path_ + key + ".", status_);
  }

  void Complain(const char* key, std::string_view what) const {
    if (status_)
      status_ =
          Fail(ErrorCode::kBadFile, fmt::format("\"{}{}\" {}", path_, key, what), "the file is damaged");
  }

  // For well-formed values that ask for something Linnet does not have.
  void Refuse(bool refuse, const char* key, std::string_view what, std::string_view hint = "") const {
    if (refuse && status_) {
      status_ =
          Fail(ErrorCode::kUnsupported, fmt::format("\"{}{}\": {}", path_, key, what), std::string(hint));
    }
  }

 private:
  const json& object_;
  std::string path_;
  Status& status_;
};

// What distinguishes the families when a key is absent.
struct Family {
  std::string type;
  bool gemma3 = false;
  int64_t vocab, hidden, mlp, layers, heads, kv_heads, head_dim, window, positions;
};

constexpr const char* kFamilies = "gemma4_unified and gemma3 (text) can be run";

const Family& Gemma4() {
  static const Family family = {"gemma4_unified", false, 262144, 2304, 9216, 30, 8, 4, 256, 1024, 262144};
  return family;
}

const Family& Gemma3() {
  static const Family family = {"gemma3_text", true, 262208, 2304, 9216, 26, 8, 4, 256, 4096, 131072};
  return family;
}

void RefuseUnsupported(const Fields& text) {
  const std::string activation = text.Text("hidden_activation", text.Text("hidden_act", "gelu_pytorch_tanh"));
  text.Refuse(activation != "gelu_pytorch_tanh", "hidden_activation", activation + " is not supported",
              "gelu_pytorch_tanh is");
  text.Refuse(text.Bool("attention_bias", false), "attention_bias", "biases in attention are not supported");
  text.Refuse(text.Bool("enable_moe_block", false), "enable_moe_block",
              "mixtures of experts are not supported");
  text.Refuse(text.Int("num_experts", 0) > 0, "num_experts", "mixtures of experts are not supported");
  text.Refuse(text.Int("hidden_size_per_layer_input", 0) > 0, "hidden_size_per_layer_input",
              "per-layer embeddings (E2B, E4B) are not supported");
  text.Refuse(text.Bool("use_double_wide_mlp", false), "use_double_wide_mlp",
              "double-wide MLPs are not supported");
  text.Refuse(text.Number("attn_logit_softcapping", 0) > 0, "attn_logit_softcapping",
              "a soft cap on attention scores is not supported");
  text.Refuse(!text.Bool("tie_word_embeddings", true), "tie_word_embeddings",
              "a separate output matrix is not supported");
  if (const json* direction = text.Find("use_bidirectional_attention")) {
    const bool causal = *direction == "vision" || *direction == false;
    text.Refuse(!causal, "use_bidirectional_attention", direction->dump() + " is not supported",
                "\"vision\" is");
  }
}

// One a layer.
std::vector<LayerKind> LayerKinds(const Fields& text, const Family& family, int64_t count) {
  std::vector<LayerKind> kinds;
  if (const json* types = text.Find("layer_types")) {
    if (!types->is_array() || types->size() != static_cast<size_t>(count)) {
      text.Complain("layer_types", fmt::format("is not a list of {} kinds, one a layer", count));
      return std::vector<LayerKind>(static_cast<size_t>(count), LayerKind::kFull);
    }
    for (const json& type : *types) {
      if (type != "sliding_attention" && type != "full_attention") {
        text.Complain("layer_types", "holds something other than sliding_attention and full_attention");
      }
      kinds.push_back(type == "sliding_attention" ? LayerKind::kSliding : LayerKind::kFull);
    }
  } else {
    const int64_t pattern = text.Int("sliding_window_pattern", text.Int("_sliding_window_pattern", 6));
    if (pattern < 1) text.Complain("sliding_window_pattern", "is below 1");
    kinds = LayersOfPattern(count, pattern);
  }
  if (!family.gemma3) kinds.back() = LayerKind::kFull;  // the reference's configuration class forces it
  return kinds;
}

RopePlan ReadRope(const Fields& rope, double theta, double partial, int64_t head_dim) {
  RopePlan plan;
  const std::string type =
      rope.Text("rope_type", rope.Text("type", partial < 1 ? "proportional" : "default"));
  plan.theta = rope.Number("rope_theta", theta);
  if (type == "proportional") {
    partial = rope.Number("partial_rotary_factor", partial);
    plan.linear_factor = rope.Number("factor", 1.0);
  } else if (type == "linear") {
    plan.linear_factor = rope.Number("factor", 1.0);
    partial = 1.0;
  } else {
    rope.Refuse(type != "default", "rope_type", type + " is not supported",
                "default, linear and proportional are");
    partial = 1.0;
  }
  rope.Refuse(type != "proportional" && rope.Number("partial_rotary_factor", 1.0) != 1.0,
              "partial_rotary_factor", "is supported for the type proportional only");
  if (!(partial > 0 && partial <= 1)) rope.Complain("partial_rotary_factor", "is not in (0, 1]");
  const double pairs = partial * static_cast<double>(head_dim) / 2;  // truncated, as the reference does
  plan.rotated_pairs = pairs >= 0 && pairs < 1e6 ? static_cast<int64_t>(pairs) : -1;
  return plan;
}

// The rotation of a layer of this kind and head size, in the newer spelling (one object a kind) or Gemma 3's
// older one.
RopePlan LayerRope(const Fields& text, const Family& family, const LayerPlan& layer) {
  const bool sliding = layer.sliding();
  const int64_t head_dim = layer.head_dim;
  const double theta = sliding ? 1e4 : 1e6;
  const double partial = sliding || family.gemma3 ? 1.0 : 0.25;
  const char* kind = sliding ? "sliding_attention" : "full_attention";
  const Fields parameters = text.Object("rope_parameters");
  if (parameters.Find(kind) != nullptr) return ReadRope(parameters.Object(kind), theta, partial, head_dim);
  if (!family.gemma3) {
    // A flat or half-filled rope_parameters would silently give another rotation.
    if (text.Find("rope_parameters") != nullptr)
      text.Complain("rope_parameters", fmt::format("has no \"{}\"", kind));
    return ReadRope(parameters.Object(kind), theta, partial, head_dim);
  }
  if (sliding) return {text.Number("rope_local_base_freq", 1e4), 1.0, head_dim / 2};
  return ReadRope(text.Object("rope_scaling"), text.Number("rope_theta", 1e6), 1.0, head_dim);
}

void ReadLayers(const Fields& text, const Family& family, KeySource keys, ModelConfig& config) {
  const int64_t count = text.Int("num_hidden_layers", family.layers);
  if (count < 1 || count > kMostLayers) {
    text.Complain("num_hidden_layers", fmt::format("is {}", count));
    return;
  }
  text.Refuse(keys == KeySource::kOwn && text.Int("num_kv_shared_layers", 0) != 0, "num_kv_shared_layers",
              "key/value sharing between layers is not supported");
  const std::vector<LayerKind> kinds = LayerKinds(text, family, count);
  const bool k_eq_v = !family.gemma3 && text.Bool("attention_k_eq_v", false);
  const int64_t head_dim = text.Int("head_dim", family.head_dim);
  const int64_t kv_heads = text.Int("num_key_value_heads", family.kv_heads);
  const int64_t window = text.Int("sliding_window", family.window);
  const int64_t intermediate_size = text.Int("intermediate_size", family.mlp);
  const bool listed = text.Find("per_layer_config") != nullptr;
  const Fields overrides = text.Object("per_layer_config");
  for (int64_t i = 0; i < count; ++i) {
    LayerPlan layer;
    layer.kind = kinds[static_cast<size_t>(i)];
    layer.head_dim = head_dim;
    layer.kv_heads = kv_heads;
    layer.window = layer.sliding() ? window : 0;
    layer.intermediate_size = intermediate_size;
    layer.key_source = keys;
    layer.k_eq_v = k_eq_v && !layer.sliding() && keys == KeySource::kOwn;
    if (listed) {
      const Fields own = overrides.Object(std::to_string(i).c_str());
      layer.head_dim = own.Int("head_dim", head_dim);
      layer.kv_heads = own.Int("num_key_value_heads", kv_heads);
      layer.intermediate_size = own.Int("intermediate_size", intermediate_size);
      if (layer.sliding()) layer.window = own.Int("sliding_window", window);
    } else if (!family.gemma3 && !layer.sliding()) {
      layer.head_dim = text.Int("global_head_dim", 512);
      // The reference honours the override for models with K = V only.
      if (k_eq_v) layer.kv_heads = text.Int("num_global_key_value_heads", kv_heads);
    }
    layer.rope = LayerRope(text, family, layer);
    config.layers.push_back(layer);
  }
}

void ReadText(const Fields& text, const Family& family, KeySource keys, ModelConfig& config) {
  RefuseUnsupported(text);
  config.vocab_size = text.Int("vocab_size", family.vocab);
  config.hidden_size = text.Int("hidden_size", family.hidden);
  config.num_attention_heads = text.Int("num_attention_heads", family.heads);
  config.max_position_embeddings = text.Int("max_position_embeddings", family.positions);
  config.rms_norm_eps = static_cast<float>(text.Number("rms_norm_eps", 1e-6));
  config.final_logit_softcapping = static_cast<float>(text.Number("final_logit_softcapping", 0));
  if (family.gemma3) {
    const double scalar = text.Number("query_pre_attn_scalar", 256);
    if (!(scalar > 0)) text.Complain("query_pre_attn_scalar", "is not above 0");
    config.attention_scale = static_cast<float>(1.0 / std::sqrt(scalar > 0 ? scalar : 1.0));
    config.norm_adds_one = true;
    config.v_norm = false;
    config.layer_scalar = false;
  }
  ReadLayers(text, family, keys, config);
  if (!family.gemma3) CorrectContext(config);
  config.tokens.bos = text.Id("bos_token_id", 2);
  config.tokens.pad = text.Id("pad_token_id", 0);
}

// A default id counts only where the vocabulary reaches so far.
int32_t DefaultId(const Fields& top, const char* key, int32_t id, int64_t vocab_size) {
  return top.Id(key, id < vocab_size ? id : -1);
}

void ReadMultimodal(const Fields& top, ModelConfig& config) {
  TokenIds& t = config.tokens;
  const int64_t vocab = config.vocab_size;
  t.image = DefaultId(top, "image_token_id", 258880, vocab);
  t.audio = DefaultId(top, "audio_token_id", 258881, vocab);
  t.video = DefaultId(top, "video_token_id", 258884, vocab);
  t.begin_image = DefaultId(top, "boi_token_id", 255999, vocab);
  t.end_image = DefaultId(top, "eoi_token_id", 258882, vocab);
  t.begin_audio = DefaultId(top, "boa_token_id", 256000, vocab);
  t.end_audio = DefaultId(top, "eoa_token_index", 258883, vocab);
  config.vision.present = top.Find("vision_config") != nullptr;
  config.audio.present = top.Find("audio_config") != nullptr;
  if (config.vision.present) {
    const Fields vision = top.Object("vision_config");
    config.vision.mm_embed_dim = vision.Int("mm_embed_dim", 3840);
    config.vision.mm_posemb_size = vision.Int("mm_posemb_size", 1120);
    config.vision.patch_size = vision.Int("patch_size", 16);
    config.vision.pooling_kernel_size = vision.Int("pooling_kernel_size", 3);
    config.vision.num_soft_tokens = vision.Int("num_soft_tokens", 280);
    config.vision.rms_norm_eps = static_cast<float>(vision.Number("rms_norm_eps", 1e-6));
  }
  if (config.audio.present) {
    const Fields audio = top.Object("audio_config");
    config.audio.frame_samples = audio.Int("audio_embed_dim", audio.Int("hidden_size", 640));
    config.audio.rms_norm_eps = static_cast<float>(audio.Number("rms_norm_eps", 1e-6));
  }
}

void ReadProcessor(const Fields& processor, ModelConfig& config) {
  if (config.vision.present) {
    const Fields image = processor.Object("image_processor");
    config.vision.num_soft_tokens =
        image.Int("max_soft_tokens", processor.Int("image_seq_length", config.vision.num_soft_tokens));
  }
  if (config.audio.present) {
    const Fields audio = processor.Object("feature_extractor");
    config.audio.sampling_rate = audio.Int("sampling_rate", 16000);
    audio.Refuse(
        audio.Int("audio_samples_per_token", config.audio.frame_samples) != config.audio.frame_samples,
        "audio_samples_per_token", "differs from audio_config.audio_embed_dim");
  }
}

void ReadGeneration(const Fields& generation, bool there, ModelConfig& config) {
  GenerationDefaults& defaults = config.generation;
  // The reference is greedy unless the file says do_sample; without any file the model card's values stand.
  defaults.do_sample = generation.Bool("do_sample", !there);
  defaults.temperature = static_cast<float>(generation.Number("temperature", 1.0));
  defaults.top_k = static_cast<int32_t>(std::clamp<int64_t>(generation.Int("top_k", 64), 0, INT32_MAX));
  defaults.top_p = static_cast<float>(generation.Number("top_p", 0.95));
  config.tokens.suppressed = generation.Ids("suppress_tokens");
  if (!there && config.tokens.end_audio >= 0) {
    // These rows of the table hold multimodal vectors; as logits they mean nothing.
    config.tokens.suppressed = {config.tokens.end_audio, config.tokens.end_image};
  }
}

void ReadEos(const Fields& top, const Fields& text, const Fields& generation, bool there,
             ModelConfig& config) {
  std::set<int32_t> ids;
  for (const Fields* fields : {&top, &text, &generation}) {
    for (const int32_t id : fields->Ids("eos_token_id")) ids.insert(id);
  }
  if (ids.empty()) ids.insert(1);
  if (!there && ids.contains(106) && config.vocab_size == kGemmaVocabulary && config.layer_scalar) {
    ids.insert(kToolResponseId);
  }
  config.tokens.eos.assign(ids.begin(), ids.end());
}

Result<json> ParseObject(std::string_view text, std::string_view name) {
  if (text.empty()) return json::object();
  LINNET_ASSIGN(json value, ParseJson(text, name));
  if (!value.is_object()) {
    return Fail(ErrorCode::kBadFile, fmt::format("{}: is not a JSON object", name), "the file is damaged");
  }
  return value;
}

// The family of a model_type; `nested` = its text part lies in text_config.
Result<const Family*> FindFamily(const std::string& type, bool& nested) {
  nested = type == "gemma4_unified" || type == "gemma3";
  if (type == "gemma4_unified" || type == "gemma4_unified_text") return &Gemma4();
  if (type == "gemma3" || type == "gemma3_text") return &Gemma3();
  if (type == "gemma4_unified_assistant") {
    return Fail(ErrorCode::kUnsupported, "this is a drafter, not a model that can run alone",
                "name the model, and the drafter with --drafter");
  }
  if (type == "gemma4" || type == "gemma4_text") {
    return Fail(ErrorCode::kUnsupported, fmt::format("model_type \"{}\" is a Gemma 4 with encoders", type),
                kFamilies);
  }
  return Fail(ErrorCode::kUnsupported,
              type.empty() ? "config.json has no model_type"
                           : fmt::format("model_type \"{}\" is not supported", type),
              kFamilies);
}

}  // namespace

Result<ModelConfig> ConfigFromJson(const ConfigTexts& texts) {
  LINNET_ASSIGN(const json root, ParseObject(texts.config, "config.json"));
  LINNET_ASSIGN(const json generation_root, ParseObject(texts.generation, "generation_config.json"));
  LINNET_ASSIGN(const json processor_root, ParseObject(texts.processor, "processor_config.json"));
  Status status;
  const Fields top(root, "", status);
  const Fields generation(generation_root, "", status);
  const std::string type = top.Text("model_type", "");
  bool nested = false;
  LINNET_ASSIGN(const Family* family, FindFamily(type, nested));
  top.Refuse(!top.Bool("tie_word_embeddings", true), "tie_word_embeddings",
             "a separate output matrix is not supported");

  ModelConfig config;
  config.model_type = family->type;
  config.name = top.Text("_name_or_path", "");
  const Fields text = nested ? top.Object("text_config") : top;
  ReadText(text, *family, KeySource::kOwn, config);
  if (!family->gemma3 && nested) ReadMultimodal(top, config);
  ReadProcessor(Fields(processor_root, "", status), config);
  const bool there = !texts.generation.empty();
  ReadGeneration(generation, there, config);
  ReadEos(top, text, generation, there, config);
  LINNET_TRY(status);
  LINNET_TRY(config.Validate());
  return config;
}

Result<DrafterConfig> DrafterFromJson(const ConfigTexts& texts) {
  LINNET_ASSIGN(const json root, ParseObject(texts.config, "config.json"));
  LINNET_ASSIGN(const json generation_root, ParseObject(texts.generation, "generation_config.json"));
  Status status;
  const Fields top(root, "", status);
  const std::string type = top.Text("model_type", "");
  if (type != "gemma4_unified_assistant" && type != "gemma4_assistant") {
    return Fail(ErrorCode::kUnsupported, fmt::format("model_type \"{}\" is not a drafter", type),
                "gemma4_unified_assistant is expected");
  }
  DrafterConfig drafter;
  const Fields text = top.Object("text_config");
  drafter.text.model_type = "gemma4_unified_assistant";
  drafter.text.name = top.Text("_name_or_path", "");
  ReadText(text, Gemma4(), KeySource::kTarget, drafter.text);
  ReadEos(top, text, Fields(generation_root, "", status), true, drafter.text);
  drafter.backbone_hidden_size = top.Int("backbone_hidden_size", 0);
  drafter.use_ordered_embeddings = top.Bool("use_ordered_embeddings", false);
  drafter.num_centroids = top.Int("num_centroids", 2048);
  drafter.centroid_top_k = top.Int("centroid_intermediate_top_k", 32);
  LINNET_TRY(status);
  LINNET_TRY(drafter.Validate());
  return drafter;
}

namespace {

std::string TextMember(std::string_view object, const char* key) {
  const auto root = ParseJson(object, "config.json");
  if (!root || !root->is_object()) return "";
  const auto found = root->find(key);
  return found != root->end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string ModelTypeOf(std::string_view config_json) { return TextMember(config_json, "model_type"); }

std::string AdapterTypeOf(std::string_view adapter_config_json) {
  return TextMember(adapter_config_json, "peft_type");
}

}  // namespace linnet
