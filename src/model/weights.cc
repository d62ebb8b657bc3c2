#include "model/weights.h"

#include <algorithm>
#include <string>

#include "model/tensor_names.h"
#include "model/weight_loader.h"

namespace linnet {
namespace {

Result<VisionWeights> ReadVision(WeightLoader& loader, const ModelConfig& config,
                                 const TensorSource& source) {
  VisionWeights w;
  LINNET_ASSIGN(w.patch_ln1_weight, loader.ReadVector(source, Role::kPatchNorm1Weight));
  LINNET_ASSIGN(w.patch_ln1_bias, loader.ReadVector(source, Role::kPatchNorm1Bias));
  LINNET_ASSIGN(w.patch_dense, loader.ReadMatrix(source, Role::kPatchDenseWeight));
  LINNET_ASSIGN(w.patch_dense_bias, loader.ReadVector(source, Role::kPatchDenseBias));
  LINNET_ASSIGN(w.patch_ln2_weight, loader.ReadVector(source, Role::kPatchNorm2Weight));
  LINNET_ASSIGN(w.patch_ln2_bias, loader.ReadVector(source, Role::kPatchNorm2Bias));
  LINNET_ASSIGN(const Vector table, loader.ReadVector(source, Role::kPositionTable));  // (positions, 2, M)
  const size_t width = static_cast<size_t>(config.vision.mm_embed_dim);
  for (size_t row = 0; row < table.size(); row += 2 * width) {
    w.position_x.insert(w.position_x.end(), table.begin() + row, table.begin() + row + width);
    w.position_y.insert(w.position_y.end(), table.begin() + row + width, table.begin() + row + 2 * width);
  }
  LINNET_ASSIGN(w.pos_norm_weight, loader.ReadVector(source, Role::kPositionNormWeight));
  LINNET_ASSIGN(w.pos_norm_bias, loader.ReadVector(source, Role::kPositionNormBias));
  LINNET_ASSIGN(w.projection, loader.ReadMatrix(source, Role::kVisionProjection));
  return w;
}

}  // namespace

WeightBytes PlannedWeights(const ModelConfig& config, const TensorSource& text,
                           const TensorSource* multimodal, bool dequantise) {
  WeightBytes bytes;
  AddPlanned(text, TextTensors(config), dequantise, bytes);
  if (multimodal != nullptr) AddPlanned(*multimodal, MultimodalTensors(config), dequantise, bytes);
  return bytes;
}

Result<Weights> LoadWeights(const ModelConfig& config, const TensorSource& text,
                            const TensorSource* multimodal, ThreadPool& pool, const WeightLoading& loading) {
  const std::vector<ExpectedTensor> text_tensors = TextTensors(config);
  LINNET_TRY(CheckTensors(text, text_tensors, "the text model"));
  WeightLoader loader(config, pool, loading);
  loader.Expect(text, text_tensors);
  if (multimodal != nullptr) {
    const std::vector<ExpectedTensor> media_tensors = MultimodalTensors(config);
    LINNET_TRY(CheckTensors(*multimodal, media_tensors, "the multimodal part"));
    loader.Expect(*multimodal, media_tensors);
  }
  Weights weights;
  weights.bytes = PlannedWeights(config, text, multimodal, loading.dequantise);
  LINNET_ASSIGN(weights.embed_tokens, loader.ReadMatrix(text, Role::kEmbedding));
  LINNET_ASSIGN(weights.norm, loader.ReadNorm(text, Role::kFinalNorm));
  LINNET_ASSIGN(weights.layers, loader.ReadLayers(text));
  if (multimodal != nullptr && config.vision.present) {
    LINNET_ASSIGN(weights.vision, ReadVision(loader, config, *multimodal));
  }
  if (multimodal != nullptr && config.audio.present) {
    LINNET_ASSIGN(weights.audio.projection, loader.ReadMatrix(*multimodal, Role::kAudioProjection));
  }
  return weights;
}

}  // namespace linnet
