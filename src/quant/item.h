// Private to the converter: what a model's tensors become in an output.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/tensor_source.h"
#include "tensor/block_search.h"

namespace linnet {

// A tensor of an output file.
struct ItemPart {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;
};

// A tensor of the model and where its numbers come from.
struct Item {
  std::string name;  // in GGUF, whatever is written
  Dtype dtype;
  std::vector<int64_t> shape;
  const TensorSource* source = nullptr;
  const TensorInfo* tensor = nullptr;  // copied or re-encoded row by row
  std::vector<float> values;           // or these, for what is small or reordered
  bool matrix = false;                 // whose format is chosen
  bool packed = false;                 // written in the kernels' layout

  // Of a matrix of a directory: levels, steps and, where there are any, offsets are tensors of their own, and
  // `shape_part` says that the shape is one more.
  std::optional<GroupFormat> groups;
  bool shape_part = false;
  std::vector<ItemPart> parts;  // of a directory, in this order

  uint64_t elements() const {
    uint64_t n = 1;
    for (const int64_t size : shape) n *= static_cast<uint64_t>(size);
    return n;
  }
};

}  // namespace linnet
