#include <immintrin.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

struct Dot512 {
  static constexpr const char* kName = "avx512";

  template <bool kEightBit>
  static __m512i Dot(__m512i acc, __m512i w, const int8_t* x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof(word));
    const __m512i q = _mm512_set1_epi32(word);
    if constexpr (kEightBit) {
      // The 16-bit pair sums of vpmaddubsw would saturate: products of 16-bit numbers instead, even and odd
      // bytes apart.
      const __m512i even = _mm512_madd_epi16(_mm512_and_si512(w, _mm512_set1_epi16(255)),
                                             _mm512_srai_epi16(_mm512_slli_epi16(q, 8), 8));
      const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(w, 8), _mm512_srai_epi16(q, 8));
      return _mm512_add_epi32(acc, _mm512_add_epi32(even, odd));
    } else {
      return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(w, q), _mm512_set1_epi16(1)));
    }
  }
};

#include "kernels/isa_avx512.inc"

#include "kernels/lanes.inc"
#include "kernels/elementwise.inc"
#include "kernels/panel_formats.inc"
#include "kernels/limits.inc"
#include "kernels/pairs_fma.inc"
#include "kernels/cache.inc"
#include "kernels/products.inc"

}  // namespace

const KernelTable* Avx512Kernels() { return &kTable; }

}  // namespace linnet
