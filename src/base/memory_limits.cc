#include "base/memory_limits.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <unistd.h>

#include "base/system_files.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using Kind = MemoryLimit::Kind;

// Version 1 writes "no limit" as the largest number of whole pages.
constexpr int64_t kNoLimit = int64_t{1} << 62;

uint64_t Left(int64_t limit, int64_t held) {
  return static_cast<uint64_t>(std::max<int64_t>(0, limit - std::max<int64_t>(0, held)));
}

// The sum of some lines of a file; those that are missing are nothing.
template <typename... Names>
int64_t SumAt(const fs::path& path, const Names&... names) {
  return (NumberAt(path, names).value_or(0) + ...);
}

void AddMachine(const fs::path& root, std::vector<MemoryLimit>& limits) {
  const fs::path file = root / "proc/meminfo";
  constexpr int64_t kKilobyte = 1024;
  const std::optional<int64_t> total = NumberAt(file, "MemTotal:");
  if (!total) {
#ifdef __APPLE__
    // What is free is no number that this system gives: file pages and compressed ones go when asked for.
    const uint64_t pages = static_cast<uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
    const uint64_t bytes = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    if (bytes > 0) limits.push_back({Kind::kMachine, "the machine's memory", bytes, bytes});
#endif
    return;
  }
  std::optional<int64_t> available = NumberAt(file, "MemAvailable:");
  if (!available) {  // before Linux 3.14
    available = SumAt(file, "MemFree:", "Active(file):", "Inactive(file):", "SReclaimable:");
  }
  limits.push_back({Kind::kMachine, "the machine's memory", static_cast<uint64_t>(*total * kKilobyte),
                    Left(*available * kKilobyte, 0)});
}

void AddGroup(const ControlGroup& group, const char* file, std::vector<MemoryLimit>& limits) {
  const bool one = group.version == 1;
  const std::optional<int64_t> limit = NumberIn(group.folder / file);
  if (!limit || *limit < 0 || *limit >= kNoLimit) return;
  const int64_t used =
      NumberIn(group.folder / (one ? "memory.usage_in_bytes" : "memory.current")).value_or(0);
  const fs::path stat = group.folder / "memory.stat";
  const int64_t reclaimable = one ? SumAt(stat, "total_inactive_file", "total_active_file")
                                  : SumAt(stat, "inactive_file", "active_file", "slab_reclaimable");
  limits.push_back({Kind::kControlGroup, "control group " + group.name + ", " + file,
                    static_cast<uint64_t>(*limit), Left(*limit, used - reclaimable)});
}

void AddUlimit(const fs::path& root, const char* line, const char* used, const char* name,
               std::vector<MemoryLimit>& limits) {
  const std::optional<int64_t> limit = NumberAt(root / "proc/self/limits", line);  // none for "unlimited"
  if (!limit || *limit < 0) return;
  const int64_t held = NumberAt(root / "proc/self/status", used).value_or(0) * 1024;
  limits.push_back({Kind::kAddressSpace, name, static_cast<uint64_t>(*limit), Left(*limit, held)});
}

}  // namespace

std::vector<MemoryLimit> ReadMemoryLimits(const fs::path& root) {
  std::vector<MemoryLimit> limits;
  AddMachine(root, limits);
  ForEachControlGroup(root, "memory", [&](const ControlGroup& group) {
    if (group.version == 1) return AddGroup(group, "memory.limit_in_bytes", limits);
    AddGroup(group, "memory.max", limits);
    AddGroup(group, "memory.high", limits);
  });
  AddUlimit(root, "Max address space", "VmSize:", "ulimit -v", limits);
  AddUlimit(root, "Max data size", "VmData:", "ulimit -d", limits);
  return limits;
}

}  // namespace linnet
