#include "kernels/dispatch.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "base/cpu_info.h"

#if defined(__x86_64__) && !defined(LINNET_SCALAR_ONLY)
#define LINNET_X86_TABLES
#elif defined(__aarch64__) && !defined(LINNET_SCALAR_ONLY)
#define LINNET_ARM_TABLES
#endif

namespace linnet {
namespace {

struct Choice {
  const KernelTable* table = nullptr;
  std::string names;  // of all that can run, where LINNET_ISA is none of them
};

#if defined(LINNET_X86_TABLES)
const KernelTable* Avx512Bf16Kernels() {
  static const KernelTable table = [] {
    KernelTable made = *Avx512VnniKernels();
    made.name = "avx512bf16";
    made.cache = *Avx512Bf16CacheKernels();
    return made;
  }();
  return &table;
}

// Pair products a second: the best of a few tries of some ten microseconds.
double PairRate(const KernelTable& table) {
  constexpr int64_t kIterations = 1 << 12;
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const double products = static_cast<double>(table.cache.pair_peak(kIterations));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, products / seconds.count());
  }
  return best;
}

// Some processors have the instruction and take several times as long for it as for two multiply-adds.
bool PairsOfBf16Pay() { return PairRate(*Avx512Bf16Kernels()) > 1.2 * PairRate(*Avx512VnniKernels()); }
#endif

Choice Choose() {
  const std::vector<const KernelTable*> supported = SupportedKernels();
  const char* wanted = std::getenv("LINNET_ISA");
  if (wanted == nullptr || *wanted == '\0') return {supported.front(), ""};
  std::string names;
  for (const KernelTable* table : supported) {
    if (std::string_view(table->name) == wanted) return {table, ""};
    names += names.empty() ? table->name : std::string(", ") + table->name;
  }
  return {supported.front(), names};
}

const Choice& TheChoice() {
  static const Choice choice = Choose();
  return choice;
}

}  // namespace

std::vector<const KernelTable*> SupportedKernels() {
  std::vector<const KernelTable*> tables;
#if defined(LINNET_X86_TABLES)
  const CpuInfo& cpu = GetCpuInfo();
  if (cpu.avx512_vnni) tables.push_back(Avx512VnniKernels());
  if (cpu.avx512_bf16) {
    static const bool pays = PairsOfBf16Pay();
    tables.insert(pays ? tables.begin() : tables.end(), Avx512Bf16Kernels());
  }
  if (cpu.avx_vnni) tables.push_back(AvxVnniKernels());
  if (cpu.avx512) tables.push_back(Avx512Kernels());
  if (cpu.avx2) tables.push_back(Avx2Kernels());
#elif defined(LINNET_ARM_TABLES)
  const CpuInfo& cpu = GetCpuInfo();
  if (cpu.neon_i8mm) tables.push_back(NeonI8mmKernels());
  if (cpu.neon_dot) tables.push_back(NeonDotKernels());
#endif
  tables.push_back(ScalarKernels());
  return tables;
}

const KernelTable& Kernels() { return *TheChoice().table; }

Ahead AheadFor(int64_t rows) {
  // AMD's own prefetchers follow the streams of a product that waits for memory; asking far beyond them costs
  // a fifth of the rate. Of more rows the arithmetic keeps them from looking ahead.
  constexpr int64_t kMemoryBoundRows = 3;
  if (GetCpuInfo().amd && rows <= kMemoryBoundRows) return {1024, 1024, 2};
  return {kMostAhead, 640, 4};
}

Status CheckIsa() {
  const std::string& names = TheChoice().names;
  if (names.empty()) return {};
  return Fail(
      ErrorCode::kInvalidArgument,
      std::string("LINNET_ISA is '") + std::getenv("LINNET_ISA") + "', which this processor cannot run",
      "set it to one of " + names + ", or leave it out");
}

}  // namespace linnet
