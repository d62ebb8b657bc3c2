// Writes a safetensors file, or one of several with an index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "io/tensor_file_writer.h"
#include "tensor/dtype.h"

namespace linnet {

class SafetensorsWriter : public TensorFileWriter {
 public:
  // `format`: what the metadata say, "pt" or "mlx".
  SafetensorsWriter(std::filesystem::path path, std::string format);

  // REQUIRES: the type has a name in safetensors.
  void AddTensor(std::string_view name, Dtype dtype, std::span<const int64_t> shape);

  std::string Header() const override;

 private:
  std::string format_;
};

}  // namespace linnet
