#include <arm_neon.h>

#include "kernels/kernels.h"

namespace linnet {
namespace {

#include "kernels/neon_lanes.inc"

struct DotNeon {
  static constexpr const char* kName = "neoni8mm";
  static constexpr int kEightBitShift = 0;
  static constexpr int kWideGroup = 8;
  static constexpr bool kRowSums = true;

  template <bool kEightBit>
  static int32x4_t DotPart(int32x4_t acc, uint8x16_t w, int8x16_t q) {
    return vusdotq_s32(acc, w, q);
  }

  // Products of two outputs by two rows, over eight inputs. sum[p][v] holds outputs 2 v and 2 v + 1, for each
  // of them rows 2 p and 2 p + 1.
  template <bool kEightBit, int kGroups>
  LINNET_INLINE static void RowSums(const uint8_t* bytes, const int8_t* x, const int32_t* start,
                                    Int32Lanes* total) {
    int32x4_t sum[2][8];
    Repeat<2>([&]<int p>() LINNET_INLINE {
      const int32x2_t pair = vld1_s32(start + 2 * p);
      Repeat<8>([&]<int v>() LINNET_INLINE { sum[p][v] = vcombine_s32(pair, pair); });
    });
    Repeat<kGroups / 2>([&]<int g>() LINNET_INLINE {
      const int8x16_t q[2] = {vld1q_s8(x + 32 * g), vld1q_s8(x + 32 * g + 16)};
      Repeat<8>([&]<int v>() LINNET_INLINE {
        const uint8x16_t w = vld1q_u8(bytes + 128 * g + 16 * v);
        Repeat<2>([&]<int p>() LINNET_INLINE { sum[p][v] = vusmmlaq_s32(sum[p][v], w, q[p]); });
      });
    });
    Repeat<2>([&]<int p>() LINNET_INLINE {
      Repeat<4>([&]<int i>() LINNET_INLINE {
        total[2 * p].part[i] = vuzp1q_s32(sum[p][2 * i], sum[p][2 * i + 1]);
        total[2 * p + 1].part[i] = vuzp2q_s32(sum[p][2 * i], sum[p][2 * i + 1]);
      });
    });
  }

  static constexpr int kPeakProducts = 128;
  static int32x4_t PeakPart(int32x4_t acc, uint8x16_t w, int8x16_t q) { return vusmmlaq_s32(acc, w, q); }
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

const KernelTable* NeonI8mmKernels() { return &kTable; }

}  // namespace linnet
