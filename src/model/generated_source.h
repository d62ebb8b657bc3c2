// Weights that no file holds: tensors of a configuration whose values are computed as they are read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "io/tensor_source.h"
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

// The rule of docs/parity.md, "Weights from a hash": float32 tensors defined by their names.
std::unique_ptr<TensorSource> HashedWeights(const ModelConfig& config);

// Elements [first, first + out.size()) of the hash sequence of a name: base + scale * u, u in [-1, 1).
void HashedValues(std::string_view name, uint64_t first, float base, float scale, std::span<float> out);

// The hash of a name that the sequence begins with, and the mixing of one of its steps.
uint64_t HashName(std::string_view name);
uint64_t Mix(uint64_t z);

}  // namespace linnet
