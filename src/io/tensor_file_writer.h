// Writes a file of tensors: a header that says where each lies, then their bytes in the same order. The file
// appears under its name only when it is complete: until then it is PartPath(NAME) beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "tensor/dtype.h"

namespace linnet {

// Where a file lies until it is complete: beside it, under a name that no other process takes.
std::filesystem::path PartPath(std::filesystem::path path);

class TensorFileWriter {
 public:
  explicit TensorFileWriter(std::filesystem::path path);
  virtual ~TensorFileWriter();  // removes an unfinished file
  TensorFileWriter(const TensorFileWriter&) = delete;
  TensorFileWriter& operator=(const TensorFileWriter&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // What it is until it is complete.
  const std::filesystem::path& part() const { return part_; }
  // Other names for it. REQUIRES: it has not begun.
  void MoveTo(std::filesystem::path path, std::filesystem::path part);

  // What the file will hold.
  uint64_t Size() const;
  virtual std::string Header() const = 0;
  size_t tensors() const { return tensors_.size(); }
  // Where each tensor's bytes will lie, and where the file will end.
  std::vector<uint64_t> Offsets() const;
  uint64_t SizeOf(size_t tensor) const { return tensors_[tensor].bytes; }

  // Writes everything but the tensors' bytes; nothing can be added afterwards. With `done` the part holds
  // that already, and so many tensors: what is behind them goes.
  Status Begin(size_t done = 0);
  // The next bytes of the tensors, in the order they were added; a tensor may come in pieces.
  Status Write(std::span<const uint8_t> bytes);
  // What was written is with the system.
  Status Flush();
  // Whether every tensor has been written whole.
  bool complete() const { return current_ == tensors_.size(); }
  // REQUIRES: complete(). Returns the size of the file.
  Result<uint64_t> Finish();

 protected:
  struct Tensor {
    std::string name;
    Dtype dtype;
    std::vector<int64_t> shape;
    uint64_t bytes;
    bool packed = false;
  };

  uint64_t Padded(uint64_t bytes) const { return (bytes + alignment_ - 1) / alignment_ * alignment_; }

  std::vector<Tensor> tensors_;
  uint64_t alignment_ = 1;  // of the tensors' bytes, with zeros between them

 private:
  void Pad();
  std::unexpected<Error> WriteError() const;

  std::filesystem::path path_, part_;
  std::ofstream file_;
  uint64_t written_ = 0;
  size_t current_ = 0;          // the tensor at hand
  uint64_t current_bytes_ = 0;  // of it written so far
  bool begun_ = false, finished_ = false;
};

}  // namespace linnet
