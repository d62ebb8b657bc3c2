// Tensors that are computed from those of another source, when they are asked for: matrices that lie in
// several tensors of their file, as quantised checkpoints store them, become ordinary ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/tensor_source.h"

namespace linnet {

// The rows of one matrix. Thread-safe.
class MatrixRows {
 public:
  virtual ~MatrixRows() = default;
  // Writes rows [first, first + count) in the matrix's number format.
  virtual void Read(int64_t first, int64_t count, uint8_t* out) const = 0;
};

class DerivedTensors : public TensorSource {
 public:
  explicit DerivedTensors(std::unique_ptr<TensorSource> base) : base_(std::move(base)) {}

  // A tensor of the base as it is; false if there is one of its name.
  bool Keep(const TensorInfo& tensor);
  // A matrix; `parts` are the tensors of the base that it is computed from.
  bool Add(TensorInfo info, std::unique_ptr<MatrixRows> rows, std::vector<const TensorInfo*> parts);

  std::span<const TensorInfo> tensors() const override { return tensors_; }
  const TensorInfo* Find(std::string_view name) const override;
  std::span<const uint8_t> Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                 std::vector<uint8_t>& scratch) const override;
  std::vector<std::filesystem::path> paths() const override { return base_->paths(); }
  Status CheckUnchanged() const override { return base_->CheckUnchanged(); }
  void Prefault(const TensorInfo& tensor, uint64_t offset, uint64_t length) const override;
  void Forget(const TensorInfo& tensor, uint64_t offset, uint64_t length) const override;

 private:
  struct Origin {
    std::unique_ptr<MatrixRows> rows;  // nullptr: parts[0] as it is
    std::vector<const TensorInfo*> parts;
  };

  bool Insert(TensorInfo info, Origin origin);
  const Origin& OriginOf(const TensorInfo& tensor) const;
  // Calls `act` with what of the parts belongs to a range of a tensor. A part that does not run along the
  // rows is left out: its bytes are wanted for all of them.
  template <typename Act>
  void ForParts(const TensorInfo& tensor, uint64_t offset, uint64_t length, Act act) const;

  std::unique_ptr<TensorSource> base_;
  std::vector<TensorInfo> tensors_;
  std::vector<Origin> origins_;  // one a tensor
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace linnet
