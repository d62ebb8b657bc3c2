// Weights that no file holds: the exact shape of a model with made-up numbers, for measuring speed and
// memory, and the hash-defined weights of reference cases whose weights are too large to store.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensor_source.h"
#include "linnet/error.h"
#include "model/config.h"
#include "model/tensor_names.h"

namespace linnet {

// Tensors of a configuration under their Hugging Face names; `fill` writes bytes [offset, offset +
// out.size()) of a tensor and is called from several threads.
class GeneratedSource : public TensorSource {
 public:
  using FormatOf = std::function<Dtype(const ExpectedTensor&)>;
  using Fill = std::function<void(const TensorInfo&, uint64_t offset, std::span<uint8_t> out)>;

  GeneratedSource(const ModelConfig& config, const FormatOf& format, Fill fill);
  GeneratedSource(const DrafterConfig& config, const FormatOf& format, Fill fill);

  std::span<const TensorInfo> tensors() const override { return tensors_; }
  const TensorInfo* Find(std::string_view name) const override;
  std::span<const uint8_t> Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                 std::vector<uint8_t>& scratch) const override;

 private:
  void Add(const std::vector<ExpectedTensor>& expected, std::string_view prefix, const FormatOf& format);

  std::vector<TensorInfo> tensors_;
  Fill fill_;
};

struct SyntheticModel {
  ModelConfig config;
  std::unique_ptr<TensorSource> source;
  uint64_t file_bytes = 0;  // what a file of these tensors would hold
};

// `spec` is SHAPE[@LAYERS]:FORMAT, for instance "12b:q4_0", "12b@6:q4_k_m". Shapes: 12b. Formats: every
// format of tensor/dtype.h for all matrices (q4_0 with the embedding in q6_k, as the published files have it)
// and q4_k_m, the usual mix. `multimodal` adds the vision and audio embedders.
Result<SyntheticModel> MakeSynthetic(std::string_view spec, bool multimodal);

struct SyntheticDrafter {
  DrafterConfig config;
  std::unique_ptr<TensorSource> source;
};

// The drafter of the published size for the same spec; every matrix in the spec's format, as the published
// files have it (q4_k for q4_k_m).
Result<SyntheticDrafter> MakeSyntheticDrafter(std::string_view spec);

// The rule of docs/parity.md, "Weights from a hash": float32 tensors defined by their names.
std::unique_ptr<TensorSource> HashedWeights(const ModelConfig& config);

// Elements [first, first + out.size()) of the hash sequence of a name: base + scale * u, u in [-1, 1).
void HashedValues(std::string_view name, uint64_t first, float base, float scale, std::span<float> out);

}  // namespace linnet
