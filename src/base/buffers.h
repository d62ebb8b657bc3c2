// Buffers that their owner declares once: what they take before there is any, and their allocation, follow
// from the same list.
//
//   struct Workspace {
//     AlignedBuffer<float> x, scale;
//     void List(BufferList& list, int64_t rows) {
//       list.Add(x, rows * kWidth);
//       list.Add(scale, rows);
//     }
//   };
//   BytesOf(Workspace(), rows);       // before anything is there
//   Allocate(workspace, rows);
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/aligned.h"

namespace linnet {

class BufferList {
 public:
  // Without `allocate` the buffers stay as they are and only their sizes are added up.
  explicit BufferList(bool allocate) : allocate_(allocate) {}

  // Room for `count` elements. Allocating, a buffer that has it stays as it is, another one is freed before
  // the larger one is there. Throws std::bad_alloc.
  template <typename T>
  void Add(AlignedBuffer<T>& buffer, int64_t count) {
    bytes_ += static_cast<uint64_t>(count) * sizeof(T);
    if (!allocate_ || buffer.size() >= static_cast<size_t>(count)) return;
    buffer = AlignedBuffer<T>();
    buffer = AlignedBuffer<T>(static_cast<size_t>(count));
  }
  // The same for a list that grows up to `count` elements.
  template <typename T>
  void Add(std::vector<T>& list, int64_t count) {
    bytes_ += static_cast<uint64_t>(count) * sizeof(T);
    if (allocate_) list.reserve(static_cast<size_t>(count));
  }

  uint64_t bytes() const { return bytes_; }

 private:
  bool allocate_;
  uint64_t bytes_ = 0;
};

// What the buffers of `owner`, which may have none yet, take for this shape.
template <typename Owner, typename... Shape>
uint64_t BytesOf(Owner&& owner, const Shape&... shape) {
  BufferList list(false);
  owner.List(list, shape...);
  return list.bytes();
}

// Throws std::bad_alloc; another call goes on from there.
template <typename Owner, typename... Shape>
void Allocate(Owner& owner, const Shape&... shape) {
  BufferList list(true);
  owner.List(list, shape...);
}

}  // namespace linnet
