// The weights of a model, packed for the kernels, under the names of the reference.
#pragma once

#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "io/tensor_source.h"
#include "linnet/error.h"
#include "linnet/options.h"
#include "model/config.h"
#include "ops/matrix.h"

namespace linnet {

using Vector = std::vector<float>;

// One decoder layer. Shapes: D model, F feed-forward, H query heads, K KV heads, E head size.
struct LayerWeights {
  Vector input_norm;             // (D)
  Vector post_attention_norm;    // (D)
  Vector pre_feedforward_norm;   // (D)
  Vector post_feedforward_norm;  // (D)
  Matrix q_proj;                 // (H E, D)
  Matrix k_proj;                 // (K E, D)
  Matrix v_proj;                 // (K E, D); empty where V is the raw K projection
  Matrix o_proj;                 // (D, H E)
  Vector q_norm, k_norm;         // (E)
  Matrix gate_proj, up_proj;     // (F, D)
  Matrix down_proj;              // (D, F)
  float layer_scalar = 1.0f;
};

struct VisionWeights {
  Vector patch_ln1_weight, patch_ln1_bias;  // (P), P = 6912 values of a cell
  Matrix patch_dense;                       // (M, P), M = multimodal width
  Vector patch_dense_bias;                  // (M)
  Vector patch_ln2_weight, patch_ln2_bias;  // (M)
  Vector position_x, position_y;            // (positions, M)
  Vector pos_norm_weight, pos_norm_bias;    // (M)
  Matrix projection;                        // (D, M)

  bool empty() const { return projection.empty(); }
};

struct AudioWeights {
  Matrix projection;  // (D, samples of a frame)

  bool empty() const { return projection.empty(); }
};

// What weights take: of memory, and of pages of their file.
struct WeightBytes {
  uint64_t own = 0, mapped = 0;

  uint64_t total() const { return own + mapped; }
};

struct Weights {
  Matrix embed_tokens;  // (V, D): lookup table and head
  Vector norm;          // (D)
  std::vector<LayerWeights> layers;
  VisionWeights vision;
  AudioWeights audio;
  WeightBytes bytes;  // of all of them, as they were planned
};

struct WeightLoading {
  bool dequantise = false;  // hold every matrix as float32
  Progress progress;
};

// Reads and packs every tensor the configuration asks for. `multimodal` may be the same source as `text`, or
// nullptr. Packed matrices are used in place: their source must outlive the weights. Norm weights get their 1
// added where the configuration says so. Errors name the tensor: missing, of another shape, of a format that
// cannot be multiplied; kOutOfMemory.
Result<Weights> LoadWeights(const ModelConfig& config, const TensorSource& text,
                            const TensorSource* multimodal, ThreadPool& pool, const WeightLoading& loading);

// What they will take, from what the sources say of their tensors.
WeightBytes PlannedWeights(const ModelConfig& config, const TensorSource& text,
                           const TensorSource* multimodal, bool dequantise);

}  // namespace linnet
