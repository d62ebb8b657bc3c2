// Writes a GGUF v3 file: metadata and tensor headers first, then the tensors' bytes in the same order. The
// file appears under its name only when it is complete: until then it is PartPath(NAME) beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf.h"
#include "linnet/error.h"
#include "tensor/dtype.h"

namespace linnet {

// Where a file lies until it is complete: beside it, under a name that no other process takes.
std::filesystem::path PartPath(std::filesystem::path path);

class GgufWriter {
 public:
  explicit GgufWriter(std::filesystem::path path);
  ~GgufWriter();  // removes an unfinished file
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

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

  // What the file will hold.
  uint64_t Size() const;

  // Writes everything but the tensors' bytes; nothing can be added afterwards.
  Status Begin();
  // The next bytes of the tensors, in the order they were added; a tensor may come in pieces.
  Status Write(std::span<const uint8_t> bytes);
  // REQUIRES: every tensor has been written whole. Returns the size of the file.
  Result<uint64_t> Finish();

 private:
  struct Tensor {
    std::string name;
    Dtype dtype;
    std::vector<int64_t> shape;
    uint64_t bytes;
    bool packed;
  };
  void Key(std::string_view key, GgufType type);
  void ArrayKey(std::string_view key, GgufType type, uint64_t count);
  std::string Header() const;
  uint64_t Padded(uint64_t bytes) const { return (bytes + alignment_ - 1) / alignment_ * alignment_; }
  void Pad();
  std::unexpected<Error> WriteError() const;

  std::filesystem::path path_, part_;
  std::string metadata_;  // encoded
  uint64_t keys_ = 0;
  uint64_t alignment_ = kGgufAlignment;
  std::vector<Tensor> tensors_;
  std::ofstream file_;
  uint64_t written_ = 0;
  size_t current_ = 0;          // the tensor at hand
  uint64_t current_bytes_ = 0;  // of it written so far
  bool begun_ = false, finished_ = false;
};

}  // namespace linnet
