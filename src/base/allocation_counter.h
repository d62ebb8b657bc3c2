// For tests only: a program linked with linnet_allocation_counter counts what it takes from the allocator and
// from the operating system, on all threads, and can let one of these fail.
#pragma once

#include <cstddef>
#include <cstdint>

namespace linnet {

// Calls of operator new, aligned_alloc and mmap so far, by any thread. Under a sanitizer, which has an mmap
// of its own, only operator new and aligned_alloc.
int64_t AllocationCount();

// Lets the n-th allocation from now on that takes at least `bytes` fail, once; n = 0: none. Allocations are
// counted from this call on.
void FailAllocation(int64_t n, size_t bytes);
// How many of at least that size there have been since.
int64_t CountedSince();

}  // namespace linnet
