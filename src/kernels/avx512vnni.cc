#include <immintrin.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

struct Dot512 {
  static constexpr const char* kName = "avx512vnni";

  template <bool kEightBit>
  static __m512i Dot(__m512i acc, __m512i w, const int8_t* x) {
    int32_t word;
    __builtin_memcpy(&word, x, sizeof(word));
    return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(word));
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

const KernelTable* Avx512VnniKernels() { return &kTable; }

}  // namespace linnet
