#include "base/aligned.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>
#include <unistd.h>

namespace linnet {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Below this the allocator's own recycling is worth more than fresh pages.
constexpr size_t kMapFrom = size_t{1} << 20;

// Starts at a huge page where there is one to fill: otherwise half of a matrix of a few megabytes would lie
// in small pages, and reading it would wait for the tables of pages.
void* MapZeroed(size_t bytes) {
  const size_t spare = bytes >= kHugePage ? kHugePage : 0;
  void* mapped = ::mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  if (spare == 0) return mapped;
  uint8_t* const start = static_cast<uint8_t*>(mapped);
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
  const size_t used = (bytes + page - 1) / page * page;
  if (head > 0) ::munmap(start, head);
  if (spare + bytes > head + used) ::munmap(start + head + used, spare + bytes - head - used);
  ::madvise(start + head, bytes, MADV_HUGEPAGE);
  return start + head;
}

}  // namespace

void* AllocateZeroed(size_t bytes) {
  if (bytes >= kMapFrom) return MapZeroed(bytes);
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded);
  if (data == nullptr) throw std::bad_alloc();
  return std::memset(data, 0, rounded);
}

void FreeZeroed(void* data, size_t bytes) {
  if (bytes >= kMapFrom) {
    ::munmap(data, bytes);
  } else {
    std::free(data);
  }
}

void DiscardToZero(void* data, size_t bytes) {
  if (bytes == 0) return;
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data), end = begin + bytes;
  const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first >= last || ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0) {
    std::memset(data, 0, bytes);
    return;
  }
  std::memset(data, 0, first - begin);
  std::memset(reinterpret_cast<void*>(last), 0, end - last);
}

}  // namespace linnet
