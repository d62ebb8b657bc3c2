// Writes a GGUF v3 file: metadata and tensor headers first, then the tensors' bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"
#include "io/tensor_file_writer.h"
#include "linnet/error.h"
#include "tensor/dtype.h"

namespace linnet {

class GgufWriter : public TensorFileWriter {
 public:
  explicit GgufWriter(std::filesystem::path path);

  void AddU16(std::string_view key, uint16_t value);
  void AddU32(std::string_view key, uint32_t value);
  void AddI32(std::string_view key, int32_t value);
  void AddF32(std::string_view key, float value);
  void AddBool(std::string_view key, bool value);
  void AddString(std::string_view key, std::string_view value);
  void AddI32s(std::string_view key, std::span<const int32_t> values);
  void AddF32s(std::string_view key, std::span<const float> values);
  void AddBools(std::string_view key, const std::vector<bool>& values);
  void AddStrings(std::string_view key, std::span<const std::string> values);
  // A value as another file stores it.
  void AddValue(std::string_view key, const GgufValue& value);

  // `shape` is outermost first. REQUIRES: the row length is a multiple of the format's block; what is
  // `packed` is a matrix, and AddPackedLayout has been called.
  void AddTensor(std::string_view name, Dtype dtype, std::span<const int64_t> shape, bool packed = false);
  // The file may hold packed matrices (docs/formats.md).
  void AddPackedLayout();

  std::string Header() const override;

 private:
  void Key(std::string_view key, GgufType type);
  void ArrayKey(std::string_view key, GgufType type, uint64_t count);

  std::string metadata_;  // encoded
  uint64_t keys_ = 0;
};

}  // namespace linnet
