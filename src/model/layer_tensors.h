// What belongs to a decoder layer: one row for each of its weights. Expected tensors, their names, the loader
// and every sum over a layer's weights follow from this table, and so do the converter and synthetic models.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "model/config.h"
#include "model/tensor_names.h"
#include "model/weights.h"

namespace linnet {

struct LayerTensor {
  // The key of dimensions of decoder.cc; kHE and kKE are products.
  enum class Dim : uint8_t { kNone, kOne, kD, kF, kE, kHE, kKE };
  // Which layers have it: all, those with keys of their own, those of them whose values are not the raw keys,
  // those of a model that stores a factor for each.
  enum class In : uint8_t { kAll, kOwnKeys, kOwnValues, kScaled };
  using MatrixPlace = Matrix LayerWeights::*;
  using NormPlace = Vector LayerWeights::*;
  using ScalarPlace = float LayerWeights::*;

  Role role;
  const char* hf;            // behind "layers.N."
  const char* gguf;          // behind "blk.N."
  std::array<Dim, 2> shape;  // of a matrix: outputs, inputs
  In in;
  std::variant<MatrixPlace, NormPlace, ScalarPlace> place;

  bool IsIn(const ModelConfig& config, const LayerPlan& plan) const;
  std::vector<int64_t> ShapeIn(const ModelConfig& config, const LayerPlan& plan) const;
};

// In the order of files.
std::span<const LayerTensor> LayerTensors();

}  // namespace linnet
