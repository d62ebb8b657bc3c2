// How much memory this process can still have, by each limit that is set on it.
#pragma once

#include <filesystem>
#include <vector>

#include "linnet/memory_plan.h"

namespace linnet {

// Those of the machine (what others hold is gone, the file cache is not), of every control group that this
// process is in (memory.max and memory.high, or memory.limit_in_bytes) and of `ulimit -v` and `-d`. What a
// group holds counts without the pages of files that the system would take back. `root` is "/", or a made-up
// tree in tests. Where the system says nothing, there is no limit.
std::vector<MemoryLimit> ReadMemoryLimits(const std::filesystem::path& root);

}  // namespace linnet
