#include "model/weights.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "model/tensor_names.h"

namespace linnet {
namespace {

// Panels packed before their source pages are given back: about a few MiB of a large matrix.
constexpr int64_t kForgetPanels = 32;

class Loader {
 public:
  Loader(const ModelConfig& config, ThreadPool& pool, const WeightLoading& loading)
      : config_(config), pool_(pool), loading_(loading) {}

  void Expect(const TensorSource& source, const std::vector<ExpectedTensor>& tensors) {
    for (const ExpectedTensor& expected : tensors) {
      if (const TensorInfo* tensor = FindTensor(source, expected.role, expected.layer)) total_ += tensor->bytes;
    }
  }

  Result<Matrix> ReadMatrix(const TensorSource& source, Role role, int layer = -1) {
    const TensorInfo* tensor = FindTensor(source, role, layer);
    LINNET_CHECK(tensor != nullptr);  // CheckTensors has seen it
    const int64_t n = tensor->shape[0], k = tensor->shape[1];
    if (IsPlanar(*tensor, role)) return PackFloats(source, role, n, k);
    const std::optional<PanelFormat> stored = PanelFormatOf(tensor->dtype);
    if (!stored) {
      return Fail(ErrorCode::kBadFile, "tensor " + tensor->name + " holds integers where weights are expected");
    }
    Matrix matrix = AllocateMatrix(loading_.dequantise ? PanelFormat::kF32 : *stored, n, k);
    if (matrix.panels.size() == 0) return NoMemory(*tensor);
    Pack(source, *tensor, matrix);
    Report(tensor->bytes);
    return matrix;
  }

  Result<Vector> ReadVector(const TensorSource& source, Role role, int layer = -1) {
    return ReadFloats(source, role, layer);
  }

  // A norm weight of the decoder.
  Result<Vector> ReadNorm(const TensorSource& source, Role role, int layer = -1) {
    LINNET_ASSIGN(Vector w, ReadFloats(source, role, layer));
    if (config_.norm_adds_one) {
      for (float& value : w) value += 1.0f;
    }
    return w;
  }

 private:
  std::unexpected<Error> NoMemory(const TensorInfo& tensor) const {
    return Fail(ErrorCode::kOutOfMemory, "not enough memory for the weights (at tensor " + tensor.name + ")",
                "use a smaller quantisation or close other programs");
  }

  Result<Matrix> PackFloats(const TensorSource& source, Role role, int64_t n, int64_t k) {
    LINNET_ASSIGN(const Vector values, ReadFloats(source, role));
    Matrix matrix = AllocateMatrix(PanelFormat::kF32, n, k);
    if (matrix.panels.size() == 0) return NoMemory(*FindTensor(source, role));
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(values.data());
    const int64_t row = k * static_cast<int64_t>(sizeof(float));
    for (int64_t p = 0; p < PanelCount(n); ++p) {
      const int64_t rows = std::min<int64_t>(kPanel, n - p * kPanel);
      PackPanel(Dtype::kF32, {bytes + p * kPanel * row, static_cast<size_t>(rows * row)}, p, matrix);
    }
    return matrix;
  }

  void Pack(const TensorSource& source, const TensorInfo& tensor, Matrix& matrix) {
    const uint64_t row_bytes = RowBytes(tensor.dtype, static_cast<uint64_t>(matrix.k));
    pool_.For(PanelCount(matrix.n), [&](int64_t begin, int64_t end, int) {
      std::vector<uint8_t> scratch;
      for (int64_t first = begin; first < end; first += kForgetPanels) {
        const int64_t last = std::min(end, first + kForgetPanels);
        for (int64_t p = first; p < last; ++p) {
          const uint64_t rows = static_cast<uint64_t>(std::min<int64_t>(kPanel, matrix.n - p * kPanel));
          const uint64_t offset = static_cast<uint64_t>(p) * kPanel * row_bytes;
          PackPanel(tensor.dtype, source.Bytes(tensor, offset, rows * row_bytes, scratch), p, matrix);
        }
        const uint64_t offset = static_cast<uint64_t>(first) * kPanel * row_bytes;
        source.Forget(tensor, offset, static_cast<uint64_t>(last - first) * kPanel * row_bytes);
      }
    });
  }

  void Report(uint64_t bytes) {
    done_ += bytes;
    if (loading_.progress && total_ > 0) {
      loading_.progress(static_cast<double>(done_) / static_cast<double>(total_), "reading the weights");
    }
  }

  const ModelConfig& config_;
  ThreadPool& pool_;
  const WeightLoading& loading_;
  uint64_t total_ = 0, done_ = 0;
};

Result<LayerWeights> ReadLayer(Loader& loader, const ModelConfig& config, const TensorSource& text, int layer) {
  LayerWeights w;
  LINNET_ASSIGN(w.input_norm, loader.ReadNorm(text, Role::kInputNorm, layer));
  LINNET_ASSIGN(w.post_attention_norm, loader.ReadNorm(text, Role::kPostAttentionNorm, layer));
  LINNET_ASSIGN(w.pre_feedforward_norm, loader.ReadNorm(text, Role::kPreFeedForwardNorm, layer));
  LINNET_ASSIGN(w.post_feedforward_norm, loader.ReadNorm(text, Role::kPostFeedForwardNorm, layer));
  LINNET_ASSIGN(w.q_proj, loader.ReadMatrix(text, Role::kQ, layer));
  LINNET_ASSIGN(w.k_proj, loader.ReadMatrix(text, Role::kK, layer));
  if (!config.layers[static_cast<size_t>(layer)].k_eq_v) {
    LINNET_ASSIGN(w.v_proj, loader.ReadMatrix(text, Role::kV, layer));
  }
  LINNET_ASSIGN(w.o_proj, loader.ReadMatrix(text, Role::kO, layer));
  LINNET_ASSIGN(w.q_norm, loader.ReadNorm(text, Role::kQNorm, layer));
  LINNET_ASSIGN(w.k_norm, loader.ReadNorm(text, Role::kKNorm, layer));
  LINNET_ASSIGN(w.gate_proj, loader.ReadMatrix(text, Role::kGate, layer));
  LINNET_ASSIGN(w.up_proj, loader.ReadMatrix(text, Role::kUp, layer));
  LINNET_ASSIGN(w.down_proj, loader.ReadMatrix(text, Role::kDown, layer));
  if (config.layer_scalar) {
    LINNET_ASSIGN(const Vector scalar, loader.ReadVector(text, Role::kLayerScalar, layer));
    w.layer_scalar = scalar[0];
  }
  return w;
}

Result<VisionWeights> ReadVision(Loader& loader, const ModelConfig& config, const TensorSource& source) {
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

uint64_t Bytes(std::initializer_list<const Matrix*> matrices) {
  uint64_t total = 0;
  for (const Matrix* matrix : matrices) total += matrix->panels.bytes();
  return total;
}

uint64_t VectorBytes(std::initializer_list<const Vector*> vectors) {
  uint64_t total = 0;
  for (const Vector* vector : vectors) total += vector->size() * sizeof(float);
  return total;
}

}  // namespace

uint64_t Weights::bytes() const {
  uint64_t total = Bytes({&embed_tokens, &vision.patch_dense, &vision.projection, &audio.projection});
  total += VectorBytes({&norm, &vision.position_x, &vision.position_y, &vision.patch_ln1_weight,
                        &vision.patch_ln1_bias, &vision.patch_dense_bias, &vision.patch_ln2_weight,
                        &vision.patch_ln2_bias, &vision.pos_norm_weight, &vision.pos_norm_bias});
  for (const LayerWeights& w : layers) {
    total += Bytes({&w.q_proj, &w.k_proj, &w.v_proj, &w.o_proj, &w.gate_proj, &w.up_proj, &w.down_proj});
    total += VectorBytes({&w.input_norm, &w.post_attention_norm, &w.pre_feedforward_norm, &w.post_feedforward_norm,
                          &w.q_norm, &w.k_norm});
  }
  return total;
}

Result<Weights> LoadWeights(const ModelConfig& config, const TensorSource& text, const TensorSource* multimodal,
                            ThreadPool& pool, const WeightLoading& loading) {
  const std::vector<ExpectedTensor> text_tensors = TextTensors(config);
  LINNET_TRY(CheckTensors(text, text_tensors, "the text model"));
  Loader loader(config, pool, loading);
  loader.Expect(text, text_tensors);
  if (multimodal != nullptr) {
    const std::vector<ExpectedTensor> media_tensors = MultimodalTensors(config);
    LINNET_TRY(CheckTensors(*multimodal, media_tensors, "the multimodal part"));
    loader.Expect(*multimodal, media_tensors);
  }
  Weights weights;
  LINNET_ASSIGN(weights.embed_tokens, loader.ReadMatrix(text, Role::kEmbedding));
  LINNET_ASSIGN(weights.norm, loader.ReadNorm(text, Role::kFinalNorm));
  for (int l = 0; l < static_cast<int>(config.layers.size()); ++l) {
    LINNET_ASSIGN(LayerWeights layer, ReadLayer(loader, config, text, l));
    weights.layers.push_back(std::move(layer));
  }
  if (multimodal != nullptr && config.vision.present) {
    LINNET_ASSIGN(weights.vision, ReadVision(loader, config, *multimodal));
  }
  if (multimodal != nullptr && config.audio.present) {
    LINNET_ASSIGN(weights.audio.projection, loader.ReadMatrix(*multimodal, Role::kAudioProjection));
  }
  return weights;
}

}  // namespace linnet
