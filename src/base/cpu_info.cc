#include "base/cpu_info.h"

#include <algorithm>
#include <fstream>

#include <sched.h>

namespace linnet {
namespace {

#if defined(__x86_64__)
void ReadFeatures(CpuInfo& info) {
  __builtin_cpu_init();
  info.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  info.avx512 = info.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  info.avx512_vnni = info.avx512 && __builtin_cpu_supports("avx512vnni");
  info.avx_vnni = info.avx2 && __builtin_cpu_supports("avxvnni");
}
#else
void ReadFeatures(CpuInfo&) {}
#endif

std::string ReadName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

CpuInfo Read() {
  CpuInfo info;
  ReadFeatures(info);
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) info.cores = std::max(1, CPU_COUNT(&set));
  info.name = ReadName();
  return info;
}

}  // namespace

const CpuInfo& GetCpuInfo() {
  static const CpuInfo info = Read();
  return info;
}

}  // namespace linnet
