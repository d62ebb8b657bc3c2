// What the experiments with AVX-512 VNNI share: they are not part of the program, so they speak to the
// processor directly.
#pragma once

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/repeat.inc"

namespace linnet {

using F = __m512;
using I = __m512i;

LINNET_INLINE inline I BroadcastWord(const void* p) {
  int32_t word;
  std::memcpy(&word, p, sizeof(word));
  return _mm512_set1_epi32(word);
}

template <typename Work>
double BestSeconds(int repeat, const Work& work) {
  double best = 1e9;
  for (int i = 0; i < repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// 10^12 multiply-adds a second of one thread, from registers.
inline double PeakTmacs() {
  constexpr int kChains = 12;
  constexpr int64_t kIterations = 1 << 20;
  I total[kChains], w = _mm512_set1_epi32(0x01020304), x = _mm512_set1_epi32(0x01ff02fe);
  asm("" : "+v"(w), "+v"(x));
  Repeat<kChains>([&]<int c>() LINNET_INLINE { total[c] = _mm512_set1_epi32(c); });
  const double seconds = BestSeconds(5, [&] {
    for (int64_t i = 0; i < kIterations; ++i) {
      Repeat<kChains>([&]<int c>() LINNET_INLINE { total[c] = _mm512_dpbusd_epi32(total[c], w, x); });
    }
    Repeat<kChains>([&]<int c>() LINNET_INLINE { asm volatile("" : "+v"(total[c])); });
  });
  return static_cast<double>(kIterations * kChains * 64) / seconds / 1e12;
}

// Memory in huge pages, filled with small numbers that are sane as bytes and as floats.
template <typename T>
T* HugeMemory(size_t count, T value) {
  constexpr size_t kHuge = size_t{2} << 20;
  const size_t bytes = (count * sizeof(T) + kHuge - 1) / kHuge * kHuge;
  T* data = static_cast<T*>(std::aligned_alloc(kHuge, bytes));
  ::madvise(data, bytes, MADV_HUGEPAGE);
  std::fill_n(data, count, value);
  return data;
}

}  // namespace linnet
