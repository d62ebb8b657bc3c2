// The products with the cache by the instruction for pairs of bfloat16; all else is AVX-512 VNNI's.
#include <immintrin.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

struct Dot512 {
  template <bool kEightBit>
  static __m512i Dot(__m512i acc, __m512i w, const int8_t* x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof(word));
    return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(word));
  }
};

#include "kernels/isa_avx512.inc"

#include "kernels/lanes.inc"

struct Pairs {
  using Element = uint16_t;
  using Weights = __m512i;
  using Inputs = __m512i;

  static uint16_t FromBits(uint32_t bits) { return static_cast<uint16_t>(bits >> 16); }
  static Weights Load(const uint16_t* w) { return _mm512_loadu_si512(w); }
  static Inputs Broadcast(const uint16_t* x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof(word));
    return _mm512_set1_epi32(word);
  }
  static F Add(F acc, Weights w, Inputs x) {
    return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(x));
  }
};

#include "kernels/cache.inc"

}  // namespace

const CacheKernels* Avx512Bf16CacheKernels() { return &kCacheKernels; }

}  // namespace linnet
