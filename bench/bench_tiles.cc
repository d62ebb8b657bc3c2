// Register tiles of the wide product: vectors of sixteen outputs x rows, with and without asking for the next
// rows ahead. One thread, as a share of its int8 peak: "hot" with everything in the first-level cache,
// "stream" with 504 rows of K inputs coming from further away, as in a prefill.
#include <fmt/format.h>

#include "bench_vnni.h"

namespace linnet {
namespace {

constexpr int64_t kRows = 504, kMostK = 15360, kChunk = 15;

struct Tile {
  const uint8_t* bytes;  // (kChunk, panels, 8, 64)
  const float* scales;
  int64_t blocks;
  const int8_t* q;
  const float* row_scale;
  const int32_t* start;
  float* sums;
};

template <int kPanels, int kTileRows, bool kAhead>
__attribute__((noinline)) void Multiply(const Tile& a) {
  constexpr int kSums = kPanels * kTileRows;
  const uint8_t* bytes = a.bytes;
  const float *scales = a.scales, *row_scale = a.row_scale;
  const int8_t* q = a.q;
  const int32_t* start = a.start;
  F acc[kSums];
  Repeat<kSums>([&]<int i>() LINNET_INLINE { acc[i] = _mm512_loadu_ps(a.sums + 16 * i); });
  for (int64_t b = 0; b < a.blocks; ++b) {
    I total[kSums];
    Repeat<kTileRows>([&]<int r>() LINNET_INLINE {
      const I value = _mm512_set1_epi32(start[r]);
      Repeat<kPanels>([&]<int p>() LINNET_INLINE { total[p * kTileRows + r] = value; });
    });
    Repeat<8>([&]<int g>() LINNET_INLINE {
      I w[kPanels];
      Repeat<kPanels>([&]<int p>() LINNET_INLINE { w[p] = _mm512_load_si512(bytes + 512 * p + 64 * g); });
      Repeat<kTileRows>([&]<int r>() LINNET_INLINE {
        const I x = BroadcastWord(q + (g * kTileRows + r) * 4);
        Repeat<kPanels>([&]<int p>() LINNET_INLINE {
          total[p * kTileRows + r] = _mm512_dpbusd_epi32(total[p * kTileRows + r], w[p], x);
        });
      });
    });
    if constexpr (kAhead) {
      Repeat<(32 * kTileRows + 63) / 64>(
          [&]<int line>() LINNET_INLINE { __builtin_prefetch(q + 32 * kTileRows + 64 * line, 0, 3); });
    }
    Repeat<kPanels>([&]<int p>() LINNET_INLINE {
      const F weight_scale = _mm512_load_ps(scales + 16 * p);
      Repeat<kTileRows>([&]<int r>() LINNET_INLINE {
        F& sum = acc[p * kTileRows + r];
        const F scale = _mm512_mul_ps(weight_scale, _mm512_set1_ps(row_scale[r]));
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[p * kTileRows + r]), scale, sum);
      });
    });
    bytes += 512 * kPanels;
    scales += 16 * kPanels;
    q += 32 * kTileRows;
    row_scale += kTileRows;
    start += kTileRows;
  }
  Repeat<kSums>([&]<int i>() LINNET_INLINE { _mm512_storeu_ps(a.sums + 16 * i, acc[i]); });
}

struct Memory {
  uint8_t* bytes = HugeMemory<uint8_t>(1 << 20, 1);
  float* scales = HugeMemory<float>(1 << 18, 0.01f);
  int8_t* q = HugeMemory<int8_t>(kRows * kMostK + 4096, 1);
  float* row_scale = HugeMemory<float>(kRows * kMostK / 32, 0.02f);
  int32_t* start = HugeMemory<int32_t>(kRows * kMostK / 32, -8);
  float* sums = HugeMemory<float>(1 << 20, 0.0f);
};

template <int kPanels, int kTileRows, bool kAhead>
void Measure(const Memory& m, double peak) {
  constexpr int kHot = 2000;
  constexpr double kMacs = 8.0 * kPanels * kTileRows * 64;
  const auto hot = BestSeconds(7, [&] {
    for (int i = 0; i < kHot; ++i) {
      Multiply<kPanels, kTileRows, kAhead>({m.bytes, m.scales, kChunk, m.q, m.row_scale, m.start, m.sums});
    }
  });
  fmt::print("{} x {:2}{}: hot {:4.1f} %", kPanels, kTileRows, kAhead ? ", ahead" : "       ",
             100 * kHot * kChunk * kMacs / hot / 1e12 / peak);
  for (const int64_t k : {int64_t{3840}, kMostK}) {
    const int64_t blocks = k / 32, tiles = kRows / kTileRows;
    const auto stream = BestSeconds(7, [&] {
      for (int64_t b = 0; b < blocks; b += kChunk) {
        for (int64_t t = 0; t < tiles; ++t) {
          const int64_t at = (t * blocks + b) * kTileRows;
          Multiply<kPanels, kTileRows, kAhead>({m.bytes, m.scales, kChunk, m.q + at * 32, m.row_scale + at,
                                                m.start + at, m.sums + t * kPanels * kTileRows * 16});
        }
      }
    });
    fmt::print(", stream of K {} {:4.1f} %", k,
               100 * static_cast<double>(blocks * tiles) * kMacs / stream / 1e12 / peak);
  }
  fmt::print("\n");
}

}  // namespace
}  // namespace linnet

int main() {
  using namespace linnet;
  if (!__builtin_cpu_supports("avx512vnni")) return fmt::print("this processor has no AVX-512 VNNI\n"), 0;
  const Memory memory;
  const double peak = PeakTmacs();
  fmt::print("int8 peak of one thread {:.3f} T multiply-adds/s\n", peak);
  Measure<3, 4, false>(memory, peak);
  Measure<3, 4, true>(memory, peak);
  Measure<2, 6, false>(memory, peak);
  Measure<2, 6, true>(memory, peak);
  Measure<1, 12, true>(memory, peak);
  Measure<4, 3, true>(memory, peak);
}
