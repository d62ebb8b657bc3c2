#include "model/weight_loader.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace linnet {
namespace {

// Panels packed before their source pages are given back: about a few MiB of a large matrix.
constexpr int64_t kForgetPanels = 32;

}  // namespace

void WeightLoader::Expect(const TensorSource& source, const std::vector<ExpectedTensor>& tensors) {
  for (const ExpectedTensor& expected : tensors) {
    if (const TensorInfo* tensor = FindTensor(source, expected.role, expected.layer)) total_ += tensor->bytes;
  }
}

Result<Matrix> WeightLoader::ReadMatrix(const TensorSource& source, Role role, int layer) {
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

Result<Vector> WeightLoader::ReadVector(const TensorSource& source, Role role, int layer) {
  return ReadFloats(source, role, layer);
}

Result<Vector> WeightLoader::ReadNorm(const TensorSource& source, Role role, int layer) {
  LINNET_ASSIGN(Vector w, ReadFloats(source, role, layer));
  if (config_.norm_adds_one) {
    for (float& value : w) value += 1.0f;
  }
  return w;
}

Result<LayerWeights> WeightLoader::ReadLayer(const TensorSource& source, const LayerPlan& plan, int layer, bool own_kv) {
  LayerWeights w;
  LINNET_ASSIGN(w.input_norm, ReadNorm(source, Role::kInputNorm, layer));
  LINNET_ASSIGN(w.post_attention_norm, ReadNorm(source, Role::kPostAttentionNorm, layer));
  LINNET_ASSIGN(w.pre_feedforward_norm, ReadNorm(source, Role::kPreFeedForwardNorm, layer));
  LINNET_ASSIGN(w.post_feedforward_norm, ReadNorm(source, Role::kPostFeedForwardNorm, layer));
  LINNET_ASSIGN(w.q_proj, ReadMatrix(source, Role::kQ, layer));
  LINNET_ASSIGN(w.q_norm, ReadNorm(source, Role::kQNorm, layer));
  if (own_kv) {
    LINNET_ASSIGN(w.k_proj, ReadMatrix(source, Role::kK, layer));
    LINNET_ASSIGN(w.k_norm, ReadNorm(source, Role::kKNorm, layer));
  }
  if (own_kv && !plan.k_eq_v) {
    LINNET_ASSIGN(w.v_proj, ReadMatrix(source, Role::kV, layer));
  }
  LINNET_ASSIGN(w.o_proj, ReadMatrix(source, Role::kO, layer));
  LINNET_ASSIGN(w.gate_proj, ReadMatrix(source, Role::kGate, layer));
  LINNET_ASSIGN(w.up_proj, ReadMatrix(source, Role::kUp, layer));
  LINNET_ASSIGN(w.down_proj, ReadMatrix(source, Role::kDown, layer));
  if (config_.layer_scalar) {
    LINNET_ASSIGN(const Vector scalar, ReadVector(source, Role::kLayerScalar, layer));
    w.layer_scalar = scalar[0];
  }
  return w;
}

std::unexpected<Error> WeightLoader::NoMemory(const TensorInfo& tensor) const {
  return Fail(ErrorCode::kOutOfMemory, "not enough memory for the weights (at tensor " + tensor.name + ")",
              "use a smaller quantisation or close other programs");
}

Result<Matrix> WeightLoader::PackFloats(const TensorSource& source, Role role, int64_t n, int64_t k) {
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

void WeightLoader::Pack(const TensorSource& source, const TensorInfo& tensor, Matrix& matrix) {
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

void WeightLoader::Report(uint64_t bytes) {
  done_ += bytes;
  if (loading_.progress && total_ > 0) {
    loading_.progress(static_cast<double>(done_) / static_cast<double>(total_), "reading the weights");
  }
}

}  // namespace linnet
