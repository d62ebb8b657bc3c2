#include "base/aligned.h"

#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

namespace linnet {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Below this the allocator's own recycling is worth more than fresh pages.
constexpr size_t kMapFrom = size_t{1} << 20;

}  // namespace

void* AllocateZeroed(size_t bytes) {
  if (bytes >= kMapFrom) {
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return nullptr;
    if (bytes >= kHugePage) ::madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded);
  if (data != nullptr) std::memset(data, 0, rounded);
  return data;
}

void FreeZeroed(void* data, size_t bytes) {
  if (bytes >= kMapFrom) {
    ::munmap(data, bytes);
  } else {
    std::free(data);
  }
}

}  // namespace linnet
