#include <arm_neon.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

#include "kernels/neon_lanes.inc"

// The products take both sides as signed. Bytes of up to seven bits are the same either way; eight-bit ones,
// stored with 128 added, get their sign back, so that nothing is left to subtract.
struct DotNeon {
  static constexpr const char* kName = "neondot";
  static constexpr int kEightBitShift = 128;
  static constexpr int kWideGroup = 4;
  static constexpr bool kRowSums = true;

  template <bool kEightBit>
  static int8x16_t Signed(uint8x16_t w) {
    return vreinterpretq_s8_u8(kEightBit ? veorq_u8(w, vdupq_n_u8(128)) : w);
  }
  template <bool kEightBit>
  static int32x4_t DotPart(int32x4_t acc, uint8x16_t w, int8x16_t q) {
    return vdotq_s32(acc, Signed<kEightBit>(w), q);
  }

  // One load holds a group of inputs of four rows; the products pick theirs by its place.
  template <bool kEightBit, int kGroups>
  LINNET_INLINE static void RowSums(const uint8_t* bytes, const int8_t* x, const int32_t* start,
                                    Int32Lanes* total) {
    Repeat<4>([&]<int r>() LINNET_INLINE {
      Repeat<4>([&]<int i>() LINNET_INLINE { total[r].part[i] = vdupq_n_s32(start[r]); });
    });
    Repeat<kGroups>([&]<int g>() LINNET_INLINE {
      const int8x16_t q = vld1q_s8(x + 16 * g);
      Repeat<4>([&]<int i>() LINNET_INLINE {
        const int8x16_t w = Signed<kEightBit>(vld1q_u8(bytes + 64 * g + 16 * i));
        Repeat<4>([&]<int r>()
                      LINNET_INLINE { total[r].part[i] = vdotq_laneq_s32(total[r].part[i], w, q, r); });
      });
    });
  }

  static constexpr int kPeakProducts = 64;
  static int32x4_t PeakPart(int32x4_t acc, uint8x16_t w, int8x16_t q) { return DotPart<false>(acc, w, q); }
};

#include "kernels/isa_neon.inc"

#include "kernels/lanes.inc"
#include "kernels/elementwise.inc"
#include "kernels/panel_formats.inc"
#include "kernels/limits.inc"
#include "kernels/pairs_fma.inc"
#include "kernels/cache.inc"
#include "kernels/products.inc"

}  // namespace

const KernelTable* NeonDotKernels() { return &kTable; }

}  // namespace linnet
