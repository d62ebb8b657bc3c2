// An array that many hold and nobody changes: copies and slices share its memory, which is freed with the
// last of them.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"

namespace linnet {

template <typename T>
class SharedArray {
 public:
  SharedArray() = default;
  SharedArray(std::vector<T> values) : size_(values.size()) {  // NOLINT: a vector is one
    const auto owner = std::make_shared<const std::vector<T>>(std::move(values));
    data_ = std::shared_ptr<const T>(owner, owner->data());
  }

  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }

  // REQUIRES: it lies inside.
  SharedArray Slice(size_t first, size_t count) const {
    LINNET_CHECK(first <= size_ && count <= size_ - first);
    SharedArray slice;
    slice.data_ = std::shared_ptr<const T>(data_, data() + first);
    slice.size_ = count;
    return slice;
  }

 private:
  std::shared_ptr<const T> data_;
  size_t size_ = 0;
};

}  // namespace linnet
