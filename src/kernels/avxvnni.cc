#include <immintrin.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

struct Dot256 {
  static constexpr const char* kName = "avxvnni";

  template <bool kEightBit>
  static __m256i DotLanes(__m256i acc, __m256i w, __m256i q) {
    return _mm256_dpbusd_avx_epi32(acc, w, q);
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

const KernelTable* AvxVnniKernels() { return &kTable; }

}  // namespace linnet
