// Tensors that lie in mapped files or in memory: what safetensors and GGUF have in common once their header
// is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "io/tensor_source.h"

namespace linnet {

// The largest number of elements a tensor may claim; sizes in bytes then stay far from overflow.
inline constexpr uint64_t kMaxElements = uint64_t{1} << 48;
inline constexpr size_t kMaxDimensions = 8;

class FileTensors : public TensorSource {
 public:
  FileTensors() = default;
  FileTensors(FileTensors&&) = default;
  FileTensors& operator=(FileTensors&&) = default;

  std::span<const TensorInfo> tensors() const override { return tensors_; }
  const TensorInfo* Find(std::string_view name) const override;
  std::span<const uint8_t> Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                 std::vector<uint8_t>& scratch) const override;
  void Prefault(const TensorInfo& tensor, uint64_t offset, uint64_t length) const override;
  void Forget(const TensorInfo& tensor, uint64_t offset, uint64_t length) const override;

  Status CheckUnchanged() const override;

  // Sum of the sizes of all files, headers included.
  uint64_t file_bytes() const;
  std::vector<std::filesystem::path> paths() const override;

 protected:
  // Keeps the file mapped and returns its bytes. A part is a file, or memory that outlives this object.
  Result<std::span<const uint8_t>> AddFile(const std::filesystem::path& path);
  void AddMemory(std::span<const uint8_t> bytes);

  // Adds a tensor of the part added last, whose data begin `begin` bytes after the start of that part and may
  // not lie before `data_begin`. REQUIRES: info.bytes is what TensorBytes() says.
  Status AddTensor(TensorInfo info, uint64_t data_begin, uint64_t begin);

  // After the last tensor of a part: no name twice, no two tensors on the same bytes.
  Status FinishPart();

 private:
  struct Part {
    MappedFile file;  // empty when the part is memory
    std::span<const uint8_t> bytes;
    size_t first_tensor = 0;
  };
  struct Place {
    size_t part = 0;
    uint64_t begin = 0;
  };

  std::vector<Part> parts_;
  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;  // one a tensor
  std::unordered_map<std::string, size_t> index_;
};

// Bytes of a tensor of this shape. Errors (without the tensor's name): too many dimensions or elements, a row
// that does not consist of whole blocks.
Result<uint64_t> TensorBytes(Dtype dtype, std::span<const int64_t> shape);

// The same of a matrix packed in panels of sixteen rows. Further errors: no matrix, a format that cannot be
// packed.
Result<uint64_t> PackedBytes(Dtype dtype, std::span<const int64_t> shape);

// "[3840, 4096]"
std::string ShapeText(std::span<const int64_t> shape);

}  // namespace linnet
