#include "base/cpu_info.h"

#include <algorithm>
#include <fstream>
#include <vector>

#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sched.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/cpu_topology.h"
#include "linnet/options.h"

namespace linnet {
namespace {

#if defined(__x86_64__)
void ReadFeatures(CpuInfo& info) {
  __builtin_cpu_init();
  info.avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  info.avx512 = info.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  info.avx512_vnni = info.avx512 && __builtin_cpu_supports("avx512vnni");
  info.avx512_bf16 = info.avx512_vnni && __builtin_cpu_supports("avx512bf16");
  info.amd = __builtin_cpu_is("amd");
  info.avx_vnni = info.avx2 && __builtin_cpu_supports("avxvnni");
}
#elif defined(__aarch64__) && defined(__APPLE__)
bool HasFeature(const char* name) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value == 1;
}

void ReadFeatures(CpuInfo& info) {
  info.neon_dot = HasFeature("hw.optional.arm.FEAT_DotProd");
  info.neon_i8mm = info.neon_dot && HasFeature("hw.optional.arm.FEAT_I8MM");
}
#elif defined(__aarch64__) && defined(__linux__)
void ReadFeatures(CpuInfo& info) {
  info.neon_dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  info.neon_i8mm = info.neon_dot && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}
#else
void ReadFeatures(CpuInfo&) {}
#endif

#ifdef __APPLE__
int ReadNumber(const char* name) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

void ReadProcessors(CpuInfo& info) {
  info.processors = std::max(1, ReadNumber("hw.logicalcpu"));
  const int fast = ReadNumber("hw.perflevel0.physicalcpu");  // absent where all cores are of one kind
  info.cores = std::max(1, fast > 0 ? fast : ReadNumber("hw.physicalcpu"));
}
#else
void ReadProcessors(CpuInfo& info) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return;  // more processors than the set holds
  std::vector<int> allowed;
  for (int p = 0; p < CPU_SETSIZE; ++p) {
    if (CPU_ISSET(p, &set)) allowed.push_back(p);
  }
  info.processors = std::max(1, static_cast<int>(allowed.size()));
  info.cores = UsefulThreads("/", allowed);
}
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
  ReadProcessors(info);
  info.name = ReadName();
  return info;
}

}  // namespace

const CpuInfo& GetCpuInfo() {
  static const CpuInfo info = Read();
  return info;
}

Result<int> ThreadCount(int wanted) {
  if (wanted == 0) return GetCpuInfo().cores;
  if (wanted > 0 && wanted <= kMaxThreads) return wanted;
  return Fail(ErrorCode::kInvalidArgument, std::to_string(wanted) + " threads cannot be had",
              "give 1 to " + std::to_string(kMaxThreads) + ", or 0 for one a fast physical core");
}

}  // namespace linnet
