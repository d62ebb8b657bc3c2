// How few rows of Q4_0 should ask for their weights: how far ahead, into which cache, and how many panels
// side by side. Two threads, 283 MB of packed weights of K = 3840, as GB/s beside a plain read and beside the
// program's own kernel.
#include <fmt/format.h>

#include "bench_vnni.h"
#include "kernels/dispatch.h"

namespace linnet {
namespace {

constexpr int64_t kBlocks = 3840 / 32, kPanelBytes = kBlocks * 288, kPanels = 8192, kThreads = 2;

struct Rows {
  int8_t* q = HugeMemory<int8_t>(3840 * 8 + 4096, 1);
  float* scale = HugeMemory<float>(kBlocks * 8, 0.01f);
  int32_t* start = HugeMemory<int32_t>(kBlocks * 16, -8);
};

// kFar bytes ahead into the second-level cache, kNear into the first; 0 = not at all. All of a block's lines
// at once.
template <int kSide, int kRows, int kFar, int kNear>
__attribute__((noinline)) void Few(const uint8_t* w, const Rows& rows, float* y) {
  F acc[kSide * kRows];
  Repeat<kSide * kRows>([&]<int i>() LINNET_INLINE { acc[i] = _mm512_setzero_ps(); });
  const I low = _mm512_set1_epi8(15);
  const int8_t* q = rows.q;
  for (int64_t b = 0; b < kBlocks; ++b, q += 32 * kRows, w += 288) {
    Repeat<kSide>([&]<int p>() LINNET_INLINE {
      const uint8_t* block = w + p * kPanelBytes;
      Repeat<5>([&]<int line>() LINNET_INLINE {
        if constexpr (kFar > 0) __builtin_prefetch(block + kFar + 64 * line, 0, 2);
        if constexpr (kNear > 0) __builtin_prefetch(block + kNear + 64 * line, 0, 3);
      });
      I total[kRows];
      Repeat<kRows>([&]<int r>() LINNET_INLINE { total[r] = _mm512_set1_epi32(rows.start[b * kRows + r]); });
      Repeat<8>([&]<int g>() LINNET_INLINE {
        const I packed = _mm512_loadu_si512(block + 32 + 64 * (g % 4));
        const I bytes = _mm512_and_si512(g < 4 ? packed : _mm512_srli_epi16(packed, 4), low);
        Repeat<kRows>([&]<int r>() LINNET_INLINE {
          total[r] = _mm512_dpbusd_epi32(total[r], bytes, BroadcastWord(q + (g * kRows + r) * 4));
        });
      });
      const F scale = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(block)));
      Repeat<kRows>([&]<int r>() LINNET_INLINE {
        F& sum = acc[p * kRows + r];
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[r]),
                              _mm512_mul_ps(scale, _mm512_set1_ps(rows.scale[b * kRows + r])), sum);
      });
    });
  }
  Repeat<kSide * kRows>([&]<int i>() LINNET_INLINE { _mm512_storeu_ps(y + 16 * i, acc[i]); });
}

// GB/s of both threads, each on its half of the panels.
template <typename Work>
double Rate(const Work& work) {
  const double seconds = BestSeconds(5, [&] {
    std::vector<std::jthread> threads;
    for (int64_t t = 0; t < kThreads; ++t) threads.emplace_back([&, t] { work(t, kPanels / kThreads * t); });
  });
  return static_cast<double>(kPanels * kPanelBytes) / seconds / 1e9;
}

template <int kSide, int kRows, int kFar, int kNear>
void Measure(const uint8_t* w, const Rows* rows, float* y) {
  const double rate = Rate([&](int64_t t, int64_t first) {
    for (int64_t p = first; p < first + kPanels / kThreads; p += kSide) {
      Few<kSide, kRows, kFar, kNear>(w + p * kPanelBytes, rows[t], y + t * 4096);
    }
  });
  fmt::print("rows {}, {} side by side, ahead {:5} and {:4}: {:4.1f} GB/s\n", kRows, kSide, kFar, kNear,
             rate);
}

void MeasureKernel(const uint8_t* w, const Rows* rows, float* y) {
  const KernelTable& kernels = Kernels();
  for (const int64_t count : {1, 5, 8}) {
    const double rate = Rate([&](int64_t t, int64_t first) {
      const Rows& r = rows[t];
      kernels.formats[static_cast<int>(PanelFormat::kQ4_0)].few(
          {w + first * kPanelBytes,
           kPanelBytes,
           {r.q, r.scale, r.start, r.start, r.scale, kBlocks},
           y + first * 16,
           kPanels * 16,
           kPanels / kThreads * 16,
           count,
           AheadFor(count)});
    });
    fmt::print("rows {}, the kernel of {}: {:4.1f} GB/s\n", count, kernels.name, rate);
  }
}

}  // namespace
}  // namespace linnet

int main() {
  using namespace linnet;
  if (!__builtin_cpu_supports("avx512vnni")) return fmt::print("this processor has no AVX-512 VNNI\n"), 0;
  const uint8_t* w = HugeMemory<uint8_t>(kPanels * kPanelBytes + 65536, 1);
  const Rows rows[kThreads] = {};
  float* y = HugeMemory<float>(kPanels * 16 * 8, 0.0f);
  fmt::print("plain reading: {:4.1f} GB/s\n", Rate([&](int64_t, int64_t first) {
               const int64_t bytes = kPanels / kThreads * kPanelBytes / kReadUnit * kReadUnit;
               static_cast<void>(Kernels().read(w + first * kPanelBytes, bytes, AheadFor(1)));
             }));
  Measure<1, 1, 0, 0>(w, rows, y);
  Measure<4, 1, 0, 0>(w, rows, y);
  Measure<1, 1, 4096, 640>(w, rows, y);
  Measure<4, 1, 4096, 640>(w, rows, y);
  Measure<2, 1, 1024, 1024>(w, rows, y);
  Measure<4, 1, 1024, 1024>(w, rows, y);
  Measure<1, 5, 0, 0>(w, rows, y);
  Measure<1, 5, 0, 2048>(w, rows, y);
  Measure<1, 5, 4096, 0>(w, rows, y);
  Measure<1, 5, 2048, 640>(w, rows, y);
  Measure<1, 5, 4096, 640>(w, rows, y);
  Measure<1, 5, 16384, 640>(w, rows, y);
  Measure<2, 5, 4096, 640>(w, rows, y);
  Measure<1, 8, 0, 0>(w, rows, y);
  Measure<1, 8, 4096, 0>(w, rows, y);
  Measure<1, 8, 1024, 1024>(w, rows, y);
  Measure<1, 8, 2048, 2048>(w, rows, y);
  Measure<1, 8, 4096, 640>(w, rows, y);
  Measure<2, 8, 4096, 640>(w, rows, y);
  MeasureKernel(w, rows, y);
}
