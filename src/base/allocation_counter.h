// For tests only: a program linked with linnet_allocation_counter counts its calls of operator new.
#pragma once

#include <cstdint>

namespace linnet {

// Calls of operator new by this thread so far.
int64_t AllocationCount();

}  // namespace linnet
