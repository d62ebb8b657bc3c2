#include <immintrin.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

struct Dot256 {
  static constexpr const char* kName = "avx2";

  template <bool kEightBit>
  static __m256i DotLanes(__m256i acc, __m256i w, __m256i q) {
    if constexpr (kEightBit) {
      // The 16-bit pair sums of vpmaddubsw would saturate: products of 16-bit numbers instead, even and odd
      // bytes apart.
      const __m256i even = _mm256_madd_epi16(_mm256_and_si256(w, _mm256_set1_epi16(255)),
                                             _mm256_srai_epi16(_mm256_slli_epi16(q, 8), 8));
      const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(w, 8), _mm256_srai_epi16(q, 8));
      return _mm256_add_epi32(acc, _mm256_add_epi32(even, odd));
    } else {
      return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, q), _mm256_set1_epi16(1)));
    }
  }
};

#include "kernels/isa_avx2.inc"

#include "kernels/lanes.inc"
#include "kernels/elementwise.inc"
#include "kernels/panel_formats.inc"
#include "kernels/limits.inc"
#include "kernels/pairs_fma.inc"
#include "kernels/cache.inc"
#include "kernels/products.inc"

}  // namespace

const KernelTable* Avx2Kernels() { return &kTable; }

}  // namespace linnet
