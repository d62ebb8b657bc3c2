// The shape of a model: Hugging Face's config.json or GGUF metadata, validated and resolved into one plan per
// layer. What differs between models of the family is a value here, never a branch on the model's name in the
// forward pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/error.h"

namespace linnet {

// Rotary embedding: inv_freq[i] = theta^(-2i/head_dim) / linear_factor for the first `rotated_pairs` of
// head_dim/2 pairs (i, i + head_dim/2), 0 for the rest. The exponent's denominator is always the full head
// size.
struct RopePlan {
  double theta = 10000.0;
  double linear_factor = 1.0;
  int64_t rotated_pairs = 0;

  bool operator==(const RopePlan&) const = default;
};

enum class LayerKind : uint8_t { kSliding, kFull };

// Whose keys and values a layer's queries look into: its own, or, in a drafter, which has no k_proj, v_proj
// and k_norm, those of the target's last layer of the same kind.
enum class KeySource : uint8_t { kOwn, kTarget };

// Everything in which one decoder layer may differ from another: what it does not have is a value here and a
// row of the table of weights (layer_tensors.h) that does not apply, never a branch on the model.
//
// How the 12B's siblings will be expressed. New fields come with the code that reads them.
//
//   field                 12B          26B-A4B        E4B (E2B likewise, sizes from its file)
//   kind                  five sliding, one full, over and over
//   window                1024         1024           512
//   head_dim              256; full layers 512
//   kv_heads              8; full 1    8; full 2      2
//   intermediate_size     15360        2112           10240 (E2B: twice as wide where keys are shared)
//   k_eq_v                full layers  full layers    no layer
//   key_source            kOwn         kOwn           kOwn; from layer 24 on kLayer (new)
//   key_layer (new)                                   22; full layers 23
//   experts (new)                      128 of 704, 8 a token, beside the dense branch
//   per_layer_width (new)                             256
//
//  * kLayer: the keys and values of `key_layer`, the last earlier layer of the kind that has its own. The
//    cache keeps no store for it; a ring must hold a window and a whole call, since it is read after the
//    call's last rows were written.
//  * experts, N of width M: rows router.proj (N, D), router.scale (D), router.per_expert_scale (N),
//    experts.gate_up_proj (N, 2 M, D), experts.down_proj (N, D, M) and three more norms (D).
//  * per_layer_width P: after the feed-forward branch a gate (P, D), a projection (D, P) and a norm (D), fed
//    from the model's table (V, layers * P).
struct LayerPlan {
  LayerKind kind = LayerKind::kSliding;
  int64_t head_dim = 0;           // E
  int64_t kv_heads = 0;           // K
  int64_t window = 0;             // keys visible including the row's own; 0 = all
  int64_t intermediate_size = 0;  // F, feed-forward width
  KeySource key_source = KeySource::kOwn;
  bool k_eq_v = false;  // no v_proj: V is the layer's raw K projection, before k_norm and rotation
  RopePlan rope;

  bool sliding() const { return kind == LayerKind::kSliding; }
  bool has_keys() const { return key_source == KeySource::kOwn; }
};

struct VisionConfig {
  bool present = false;
  int64_t mm_embed_dim = 0;    // width between patch_dense and the projection
  int64_t mm_posemb_size = 0;  // rows of the position table
  int64_t patch_size = 16;
  int64_t pooling_kernel_size = 3;
  int64_t num_soft_tokens = 280;  // the model's own default budget
  float rms_norm_eps = 1e-6f;     // of the weightless norm before the projection; the LayerNorms use 1e-5

  int64_t cell() const { return patch_size * pooling_kernel_size; }  // pixels a side, 48
  int64_t patch_values() const { return cell() * cell() * 3; }       // 6912
};

struct AudioConfig {
  bool present = false;
  int64_t frame_samples = 640;  // audio_embed_dim: samples a token
  int64_t sampling_rate = 16000;
  float rms_norm_eps = 1e-6f;
};

// Ids that the model's text part knows by number. -1 = this vocabulary has none.
struct TokenIds {
  int32_t bos = 2, pad = 0;
  int32_t image = -1, audio = -1, video = -1;  // placeholders of soft tokens
  int32_t begin_image = -1, end_image = -1, begin_audio = -1, end_audio = -1;
  std::vector<int32_t> eos;         // every id that ends generation (config, generation config, defaults)
  std::vector<int32_t> suppressed;  // logits forced to -infinity before any choice
};

// generation_config.json / general.sampling.*: the model's own defaults.
struct GenerationDefaults {
  bool do_sample = true;
  float temperature = 1.0f;
  int32_t top_k = 64;
  float top_p = 0.95f;
};

struct ModelConfig {
  std::string
      model_type;    // "gemma4_unified", "gemma3_text": for people and for the choice of chat format only
  std::string name;  // free text from the file, may be empty
  int64_t vocab_size = 0;           // V
  int64_t hidden_size = 0;          // D
  int64_t num_attention_heads = 0;  // H, the same in every layer
  int64_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;
  float final_logit_softcapping = 0.0f;  // 0 = none
  float attention_scale = 1.0f;          // factor on q·k
  bool norm_adds_one = false;            // RMSNorm multiplies by 1 + w
  bool v_norm = true;                    // V is normalised without weight
  bool layer_scalar = true;              // a stored factor on every layer's output
  // sqrt(D) is rounded to bf16 before it scales the embedding, as the reference does when the table is bf16.
  // Set when the stored table is BF16 or the file says so (`linnet.embed_scale_bf16`); files quantised by
  // others, which the reference turns into float32 first, keep the float32 factor.
  bool embed_scale_bf16 = false;
  std::vector<LayerPlan> layers;
  VisionConfig vision;
  AudioConfig audio;
  TokenIds tokens;
  GenerationDefaults generation;

  int64_t LastLayer(LayerKind kind) const;  // its index, -1 if there is none

  // Names the first field that makes no sense: what was found, what to do. Every size is bounded so that
  // products of two or three of them stay far from overflow.
  Status Validate() const;
};

// The MTP drafter: decoder layers that attend to the target's keys and values (spec: own K and V never).
struct DrafterConfig {
  ModelConfig text;  // its own width and layers; kv_heads and head_dim are those of the target's layers
  int64_t backbone_hidden_size = 0;     // the target's D
  bool use_ordered_embeddings = false;  // the centroid head
  int64_t num_centroids = 2048;
  int64_t centroid_top_k = 32;

  Status Validate() const;
};

}  // namespace linnet
