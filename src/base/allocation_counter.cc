#include "base/allocation_counter.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::atomic<int64_t> allocations{0}, counted{0}, failing{0};
std::atomic<size_t> counted_from{SIZE_MAX};

// Whether this one is to fail.
bool Count(std::size_t bytes) {
  ++allocations;
  return bytes >= counted_from && ++counted == failing;
}

void* New(std::size_t bytes) { return Count(bytes) ? nullptr : std::malloc(bytes == 0 ? 1 : bytes); }

}  // namespace

namespace linnet {

int64_t AllocationCount() { return allocations; }

void FailAllocation(int64_t n, size_t bytes) {
  counted_from = SIZE_MAX;
  counted = 0;
  failing = n;
  counted_from = bytes;
}

int64_t CountedSince() { return counted; }

}  // namespace linnet

void* operator new(std::size_t size) {
  if (void* p = New(size)) return p;
  throw std::bad_alloc();
}
// The form that std::stable_sort uses for its buffer: what is freed by our delete must come from our new.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return New(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" {

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return Count(size) ? nullptr : memalign(alignment, size);
}

void* mmap(void* address, std::size_t length, int protection, int flags, int file, off_t offset) noexcept {
  if (Count(length)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  // NOLINTNEXTLINE: the system call itself
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, file, offset));
}

}  // extern "C"
#endif
