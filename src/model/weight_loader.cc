#include "model/weight_loader.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "model/layer_tensors.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

// Bytes of the source that a thread maps, packs and gives back at a time: enough that the calls, which
// interrupt the other threads, are few, and little beside the file.
constexpr uint64_t kPieceBytes = uint64_t{16} << 20;

}  // namespace

std::optional<HeldMatrix> HowHeld(const TensorInfo& tensor, Role role, bool dequantise) {
  const std::optional<PanelFormat> stored = PanelFormatOf(tensor.dtype);
  if (!stored) return std::nullopt;
  const PanelFormat format = dequantise || IsPlanar(tensor, role) ? PanelFormat::kF32 : *stored;
  return HeldMatrix{format, tensor.packed && format == *stored};
}

void AddPlanned(const TensorSource& source, const std::vector<ExpectedTensor>& tensors, bool dequantise,
                WeightBytes& bytes) {
  for (const ExpectedTensor& expected : tensors) {
    const TensorInfo* tensor = FindTensor(source, expected.role, expected.layer);
    if (tensor == nullptr) continue;
    const std::optional<HeldMatrix> held =
        expected.shape.size() == 2 ? HowHeld(*tensor, expected.role, dequantise) : std::nullopt;
    if (!held) {  // a vector: floats, or the tokens of the drafter's centroids
      bytes.own += static_cast<uint64_t>(tensor->elements()) * sizeof(float);
    } else if (held->in_place) {
      bytes.mapped += tensor->bytes;
    } else {
      bytes.own += static_cast<uint64_t>(MatrixBytes(held->format, expected.shape[0], expected.shape[1]));
    }
  }
}

void WeightLoader::Expect(const TensorSource& source, const std::vector<ExpectedTensor>& tensors) {
  for (const ExpectedTensor& expected : tensors) {
    if (const TensorInfo* tensor = FindTensor(source, expected.role, expected.layer)) total_ += tensor->bytes;
  }
}

Result<Matrix> WeightLoader::ReadMatrix(const TensorSource& source, Role role, int layer) {
  const TensorInfo* tensor = FindTensor(source, role, layer);
  LINNET_CHECK(tensor != nullptr);  // CheckTensors has seen it
  const int64_t n = tensor->shape[0], k = tensor->shape[1];
  const std::optional<HeldMatrix> held = HowHeld(*tensor, role, loading_.dequantise);
  if (!held) {
    return Fail(ErrorCode::kBadFile, "tensor " + tensor->name + " holds integers where weights are expected");
  }
  if (tensor->packed) return ReadPacked(source, *tensor, role);
  if (IsPlanar(*tensor, role)) return PackPlanar(source, *tensor);
  Matrix matrix = AllocateMatrix(held->format, n, k);
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

Result<std::vector<LayerWeights>> WeightLoader::ReadLayers(const TensorSource& source) {
  std::vector<LayerWeights> layers(config_.layers.size());
  for (size_t l = 0; l < layers.size(); ++l) {
    LayerWeights& w = layers[l];
    const int layer = static_cast<int>(l);
    for (const LayerTensor& tensor : LayerTensors()) {
      if (!tensor.IsIn(config_, config_.layers[l])) continue;
      if (const auto* matrix = std::get_if<LayerTensor::MatrixPlace>(&tensor.place)) {
        LINNET_ASSIGN(w.**matrix, ReadMatrix(source, tensor.role, layer));
      } else if (const auto* norm = std::get_if<LayerTensor::NormPlace>(&tensor.place)) {
        LINNET_ASSIGN(w.**norm, ReadNorm(source, tensor.role, layer));
      } else if (const auto* scalar = std::get_if<LayerTensor::ScalarPlace>(&tensor.place)) {
        LINNET_ASSIGN(const Vector value, ReadVector(source, tensor.role, layer));
        w.** scalar = value[0];
      }
    }
  }
  return layers;
}

Result<Matrix> WeightLoader::ReadPacked(const TensorSource& source, const TensorInfo& tensor, Role role) {
  const int64_t n = tensor.shape[0], k = tensor.shape[1];
  std::vector<uint8_t> scratch;
  const std::span<const uint8_t> bytes = source.Bytes(tensor, 0, tensor.bytes, scratch);
  if (IsPlanar(tensor, role) || reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment != 0) {
    return Fail(ErrorCode::kBadFile, "tensor " + tensor.name + " cannot be used as it is packed",
                "pack the original again");
  }
  Matrix view = ViewMatrix(*PanelFormatOf(tensor.dtype), n, k, bytes);
  if (!HowHeld(tensor, role, loading_.dequantise)->in_place) {
    Matrix matrix = AllocateMatrix(PanelFormat::kF32, n, k);
    Unpack(view, matrix);
    view = std::move(matrix);
  } else {
    const uint64_t share = tensor.bytes / static_cast<uint64_t>(pool_.threads()) + 1;
    pool_.Run([&](int thread) {
      const uint64_t begin = std::min(tensor.bytes, share * static_cast<uint64_t>(thread));
      source.Prefault(tensor, begin, std::min(share, tensor.bytes - begin));
    });
  }
  Report(tensor.bytes);
  return view;
}

void WeightLoader::Unpack(const Matrix& packed, Matrix& floats) {
  const size_t width = static_cast<size_t>(packed.k);
  pool_.For(PanelCount(packed.n), [&](int64_t begin, int64_t end, int) {
    std::vector<float> rows(kPanel * width);
    for (int64_t p = begin; p < end; ++p) {
      const size_t count = static_cast<size_t>(std::min<int64_t>(kPanel, packed.n - p * kPanel));
      for (size_t r = 0; r < count; ++r) {
        UnpackRow(packed, p * kPanel + static_cast<int64_t>(r), std::span(rows).subspan(r * width, width));
      }
      PackPanel(Dtype::kF32, {reinterpret_cast<const uint8_t*>(rows.data()), count * width * sizeof(float)},
                p, floats);
    }
  });
}

Matrix WeightLoader::PackPlanar(const TensorSource& source, const TensorInfo& tensor) {
  const int64_t n = tensor.shape[0], k = tensor.shape[1];
  Matrix matrix = AllocateMatrix(PanelFormat::kF32, n, k);
  const size_t width = static_cast<size_t>(k);
  const uint64_t row_bytes = RowBytes(tensor.dtype, width);
  pool_.For(PanelCount(n), [&](int64_t begin, int64_t end, int) {
    std::vector<uint8_t> scratch;
    std::vector<float> planar(width), rows(kPanel * width);
    for (int64_t p = begin; p < end; ++p) {
      const size_t count = static_cast<size_t>(std::min<int64_t>(kPanel, n - p * kPanel));
      for (size_t r = 0; r < count; ++r) {
        const uint64_t row = static_cast<uint64_t>(p) * kPanel + r;
        DecodeRow(tensor.dtype, source.Bytes(tensor, row * row_bytes, row_bytes, scratch).data(), planar);
        PlanarToInterleaved(planar, std::span(rows).subspan(r * width, width));
      }
      PackPanel(Dtype::kF32, {reinterpret_cast<const uint8_t*>(rows.data()), count * width * sizeof(float)},
                p, matrix);
    }
  });
  source.Forget(tensor, 0, tensor.bytes);
  Report(tensor.bytes);
  return matrix;
}

void WeightLoader::Pack(const TensorSource& source, const TensorInfo& tensor, Matrix& matrix) {
  const uint64_t row_bytes = RowBytes(tensor.dtype, static_cast<uint64_t>(matrix.k));
  const uint64_t panel_bytes = kPanel * row_bytes;
  const int64_t piece = static_cast<int64_t>(std::max<uint64_t>(1, kPieceBytes / panel_bytes));
  pool_.For(PanelCount(matrix.n), [&](int64_t begin, int64_t end, int) {
    std::vector<uint8_t> scratch;
    for (int64_t first = begin; first < end; first += piece) {
      const int64_t last = std::min(end, first + piece);
      const uint64_t offset = static_cast<uint64_t>(first) * panel_bytes;
      const uint64_t length =
          std::min(tensor.bytes - offset, static_cast<uint64_t>(last - first) * panel_bytes);
      source.Prefault(tensor, offset, length);
      for (int64_t p = first; p < last; ++p) {
        const uint64_t rows = static_cast<uint64_t>(std::min<int64_t>(kPanel, matrix.n - p * kPanel));
        PackPanel(tensor.dtype,
                  source.Bytes(tensor, static_cast<uint64_t>(p) * panel_bytes, rows * row_bytes, scratch), p,
                  matrix);
      }
      source.Forget(tensor, offset, length);
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
