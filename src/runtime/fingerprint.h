// Which model computed something: what decides about the bits of keys and values, in one name that takes no
// reading of all weights.
#pragma once

#include <string>

#include "io/tensor_source.h"
#include "model/config.h"

namespace linnet {

// SHA-256 in hexadecimal of what the file says of the model, of its table of tensors, and of samples of their
// bytes: 64 of every tensor and of 256 places that are spread evenly. Empty: the weights come from no file.
struct ModelFingerprint {
  std::string text;        // of the weights of the language model
  std::string multimodal;  // of those that make tokens of media; empty: they lie in the same file, or are not

  bool operator==(const ModelFingerprint&) const = default;
};

// `multimodal` may be `text` or null. `dequantise`: weights are held as float32, which gives other bits.
ModelFingerprint FingerprintOf(const ModelConfig& config, const TensorSource& text,
                               const TensorSource* multimodal, bool dequantise);

}  // namespace linnet
