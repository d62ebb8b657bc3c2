// Zeroed, cache-line aligned memory for weights, caches and workspaces. Large buffers come straight from the
// system (pages appear when first touched, huge pages are asked for), so a plan and the resident size agree.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace linnet {

inline constexpr size_t kAlignment = 64;

// REQUIRES: bytes > 0. Throws std::bad_alloc when the system has no memory; memory_guard.h makes an error of
// that.
void* AllocateZeroed(size_t bytes);
void FreeZeroed(void* data, size_t bytes);
// Makes a part of such memory zeros again, and gives what whole pages of the system it has back.
void DiscardToZero(void* data, size_t bytes);

// A fixed-size array of trivially copyable T. Never grows: growth is the owner's explicit decision.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t count)
      : data_(count == 0 ? nullptr : static_cast<T*>(AllocateZeroed(count * sizeof(T)))), size_(count) {}
  AlignedBuffer(AlignedBuffer&& other) noexcept { *this = std::move(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer() {
    if (data_ != nullptr) FreeZeroed(data_, size_ * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  operator std::span<T>() { return {data_, size_}; }
  operator std::span<const T>() const { return {data_, size_}; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace linnet
