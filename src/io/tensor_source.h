// Where named tensors come from: a safetensors file or a set of shards, a GGUF file, or a generator of
// synthetic weights. Read-only and thread-safe after it has been opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "tensor/dtype.h"

namespace linnet {

struct TensorInfo {
  std::string name;  // as the file spells it
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t>
      shape;              // row-major, outermost first: [out, in] for a matrix, whatever the file's own order
  uint64_t bytes = 0;     // checked against the real file length when the source was opened
  bool computed = false;  // from several tensors of its file (io/derived_tensors.h)
  bool packed = false;    // a matrix in the kernels' own layout, for use in place: not rows

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;

  virtual std::span<const TensorInfo> tensors() const = 0;
  // nullptr if there is none of that name.
  virtual const TensorInfo* Find(std::string_view name) const = 0;

  // The bytes [offset, offset + length) of a tensor's data. A mapped source returns a view of the file and
  // leaves `scratch` alone; a generator fills `scratch` and returns a view of it. REQUIRES: the range lies in
  // the tensor.
  virtual std::span<const uint8_t> Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                         std::vector<uint8_t>& scratch) const = 0;

  // The files it reads; none for memory and generators.
  virtual std::vector<std::filesystem::path> paths() const { return {}; }

  // Whether its files are still those that were opened. Error: kBadFile.
  virtual Status CheckUnchanged() const { return {}; }

  // The caller will read these bytes next: their pages may come.
  virtual void Prefault(const TensorInfo& /*tensor*/, uint64_t /*offset*/, uint64_t /*length*/) const {}

  // The caller has copied these bytes and will not come back: their pages may go.
  virtual void Forget(const TensorInfo& /*tensor*/, uint64_t /*offset*/, uint64_t /*length*/) const {}
};

}  // namespace linnet
