// Private to src/model: reads single tensors of a source and packs them, with progress over all that were
// announced. Shared by the weights of the model and those of its drafter.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "io/tensor_source.h"
#include "linnet/error.h"
#include "model/config.h"
#include "model/tensor_names.h"
#include "model/weights.h"

namespace linnet {

// How a matrix is held: packed by the loader, or in place, as a file has it.
struct HeldMatrix {
  PanelFormat format = PanelFormat::kF32;
  bool in_place = false;
};
// Nothing for whole numbers.
std::optional<HeldMatrix> HowHeld(const TensorInfo& tensor, Role role, bool dequantise);

// Adds what the tensors will take once they are read. Those that are missing take nothing.
void AddPlanned(const TensorSource& source, const std::vector<ExpectedTensor>& tensors, bool dequantise,
                WeightBytes& bytes);

class WeightLoader {
 public:
  // The arguments must outlive the loader.
  WeightLoader(const ModelConfig& config, ThreadPool& pool, const WeightLoading& loading)
      : config_(config), pool_(pool), loading_(loading) {}

  // Announces tensors for the progress. REQUIRES of all reads: CheckTensors has seen the tensor.
  void Expect(const TensorSource& source, const std::vector<ExpectedTensor>& tensors);

  Result<Matrix> ReadMatrix(const TensorSource& source, Role role, int layer = -1);
  Result<Vector> ReadVector(const TensorSource& source, Role role, int layer = -1);
  // A norm weight of the decoder, with its 1 added where the configuration says so.
  Result<Vector> ReadNorm(const TensorSource& source, Role role, int layer = -1);
  // All decoder layers: what layer_tensors.h says that each has.
  Result<std::vector<LayerWeights>> ReadLayers(const TensorSource& source);

 private:
  // A packed matrix in place; with `dequantise`, unpacked.
  Result<Matrix> ReadPacked(const TensorSource& source, const TensorInfo& tensor, Role role);
  void Unpack(const Matrix& packed, Matrix& floats);
  // The matrix whose columns GGUF keeps in another order, as float32.
  Matrix PackPlanar(const TensorSource& source, const TensorInfo& tensor);
  void Pack(const TensorSource& source, const TensorInfo& tensor, Matrix& matrix);
  void Report(uint64_t bytes);

  const ModelConfig& config_;
  ThreadPool& pool_;
  const WeightLoading& loading_;
  uint64_t total_ = 0, done_ = 0;
};

}  // namespace linnet
