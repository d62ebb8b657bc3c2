#include "tensor/block_search.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "base/check.h"
#include "tensor/block_format.h"
#include "tensor/search_fit.h"
#include "tensor/whole_block.h"

namespace linnet {

// What a format's blocks are made of.
struct SearchShape {
  Dtype dtype;
  int group;               // elements that share a step
  float lo, hi;            // levels
  StepRange range;         // of formats without an offset
  int scale_lo, scale_hi;  // whole numbers that a block's factor is multiplied by; both 0: it has none
  int min_hi = 0;          // the same of offsets
  StepType stored = StepType::kHalf;
};

namespace {

constexpr std::array<int8_t, 512> NearestIq4() {
  std::array<int8_t, 512> nearest{};
  for (size_t i = 0, level = 0; i < 512; ++i) {
    // The middle of [i / 2 - 128, i / 2 - 127.5), times four.
    const int value = 2 * static_cast<int>(i) - 512 + 1;
    while (level < 15 && 2 * (kIq4Levels[level] + kIq4Levels[level + 1]) < value) ++level;
    nearest[i] = kIq4Levels[level];
  }
  return nearest;
}
constexpr std::array<int8_t, 512> kNearestIq4 = NearestIq4();

constexpr SearchShape kShapes[] = {
    {Dtype::kQ4_0, 32, -8, 7, {5.5f, 9.5f, 14}, 0, 0},
    {Dtype::kQ5_0, 32, -16, 15, {11.5f, 17.5f, 12}, 0, 0},
    {Dtype::kQ8_0, 32, -127, 127, {123.0f, 127.5f, 4}, 0, 0},
    {Dtype::kIq4Nl, 32, -127, 113, {80.0f, 150.0f, 14}, 0, 0},
    {Dtype::kQ4_1, 32, 0, 15, {}, 0, 0},
    {Dtype::kQ5_1, 32, 0, 31, {}, 0, 0},
    {Dtype::kQ3K, 16, -4, 3, {2.2f, 5.0f, 14}, -32, 31},
    {Dtype::kQ6K, 16, -32, 31, {27.0f, 33.0f, 9}, -128, 127},
    {Dtype::kIq4Xs, 32, -127, 113, {80.0f, 150.0f, 14}, -32, 31},
    {Dtype::kQ2K, 16, 0, 3, {}, 0, 15, 15},
    {Dtype::kQ4K, 32, 0, 15, {}, 0, 63, 63},
    {Dtype::kQ5K, 32, 0, 31, {}, 0, 63, 63},
};

const SearchShape* ShapeOf(Dtype dtype) {
  for (const SearchShape& shape : kShapes) {
    if (shape.dtype == dtype) return &shape;
  }
  return nullptr;
}

bool IsTable(const SearchShape& shape) {
  return shape.dtype == Dtype::kIq4Nl || shape.dtype == Dtype::kIq4Xs;
}

// Of levels up to 255 the byte without its sign.
int8_t ByteOf(float level) { return static_cast<int8_t>(static_cast<int>(level)); }

// The factors of a block of several groups, and what they lose.
struct Factors {
  float d = 0, m = 0, error = INFINITY;
  std::array<int, 16> scales{}, mins{};
};

int Within(float value, int lo, int hi) {
  return static_cast<int>(std::lround(std::clamp(value, static_cast<float>(lo), static_cast<float>(hi))));
}

// The search for blocks whose groups have n elements.
template <size_t n, typename Levels>
class BlockSearch {
 public:
  BlockSearch(const SearchShape& shape, Levels levels) : shape_(shape), levels_(levels) {}

  void Search(const float* x, const float* w, WholeBlock& out) const {
    shape_.scale_hi == 0 ? Single(x, w, out) : Several(x, w, out);
  }

 private:
  static constexpr size_t kGroups = kMostBlockElements / n;

  // One group with factors of its own.
  void Single(const float* x, const float* w, WholeBlock& out) const {
    Fit fit;
    if (shape_.lo < 0) {
      fit = FitStep<n>(x, w, shape_.range, levels_, shape_.stored);
    } else {
      fit = FitAffine<n>(x, w, {shape_.hi, false, shape_.stored});
    }
    out.d = fit.step;
    out.m = fit.offset;
    Round(x, fit.step, fit.offset, out.quants.data());
  }

  void Several(const float* x, const float* w, WholeBlock& out) const {
    const bool affine = shape_.min_hi > 0;
    std::array<Fit, 16> fits;
    for (size_t g = 0; g < kGroups; ++g) {
      const float *gx = x + g * n, *gw = w + g * n;
      fits[g] = affine ? FitAffine<n>(gx, gw, {shape_.hi, true, StepType::kFree})
                       : FitStep<n>(gx, gw, shape_.range, levels_, StepType::kFree);
    }
    const Factors best = affine ? AffineFactors(x, w, fits) : StepFactors(x, w, fits);
    out.d = best.d;
    out.m = best.m;
    for (size_t g = 0; g < kGroups; ++g) {
      for (size_t i = g * n / 16; i < (g + 1) * n / 16; ++i) {
        out.scales[i] = static_cast<int8_t>(best.scales[g]);
        out.mins[i] = static_cast<int8_t>(best.mins[g]);
      }
      Round(x + g * n, best.d * static_cast<float>(best.scales[g]),
            -(best.m * static_cast<float>(best.mins[g])), &out.quants[g * n]);
    }
  }

  void Round(const float* x, float step, float offset, int8_t* out) const {
    const float inverse = InverseOf(step);
    for (size_t i = 0; i < n; ++i) out[i] = ByteOf(levels_((x[i] - offset) * inverse));
  }

  // The best whole scales for the factor d, which becomes what least squares makes of them.
  Factors ScalesFor(const float* x, const float* w, const std::array<Fit, 16>& fits, float& d) const {
    Factors factors{d, 0, 0, {}, {}};
    double wxq = 0, wqq = 0;
    for (size_t g = 0; g < kGroups; ++g) {
      const float wanted = fits[g].step * InverseOf(d);
      const int below = Within(std::floor(wanted), shape_.scale_lo, shape_.scale_hi);
      FitSums best{0, 0, 0, INFINITY};
      for (int scale = below; scale <= std::min(below + 1, shape_.scale_hi); ++scale) {
        const FitSums sums = SumsOf<n>(x + g * n, w + g * n, d * static_cast<float>(scale), 0, levels_);
        if (sums.error >= best.error) continue;
        best = sums;
        factors.scales[g] = scale;
      }
      factors.error += best.error;
      wxq += static_cast<double>(factors.scales[g]) * best.wxq;
      wqq += static_cast<double>(factors.scales[g]) * factors.scales[g] * best.wqq;
    }
    d = wqq > 0 ? HalfOf(static_cast<float>(wxq / wqq)) : d;
    return factors;
  }

  // The group with the largest step gets the largest scales of either sign in turn.
  Factors StepFactors(const float* x, const float* w, const std::array<Fit, 16>& fits) const {
    float largest = 0;
    for (size_t g = 0; g < kGroups; ++g) {
      if (std::fabs(fits[g].step) > std::fabs(largest)) largest = fits[g].step;
    }
    Factors best;
    for (int i = 0; i < 8; ++i) {
      const int scale = i % 2 == 0 ? shape_.scale_lo + i / 2 : shape_.scale_hi - i / 2;
      float d = HalfOf(largest / static_cast<float>(scale));
      for (int round = 0; round < 3; ++round) {
        const Factors factors = ScalesFor(x, w, fits, d);
        if (factors.error < best.error) best = factors;
        if (d == factors.d) break;
      }
    }
    return best;
  }

  struct AffineSums {  // of a whole block, for least squares
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
  };

  // The same for scales and minima.
  Factors AffineScalesFor(const float* x, const float* w, const std::array<Fit, 16>& fits,
                          std::array<float, 2>& dm) const {
    Factors factors{dm[0], dm[1], 0, {}, {}};
    AffineSums all;
    for (size_t g = 0; g < kGroups; ++g) {
      const float *gx = x + g * n, *gw = w + g * n;
      const GroupSums plain = PlainSumsOf<n>(gx, gw);
      const int near = Within(fits[g].step * InverseOf(dm[0]), shape_.scale_lo, shape_.scale_hi);
      FitSums best{0, 0, 0, INFINITY};
      for (int scale = std::max(near - 1, 0); scale <= std::min(near + 1, shape_.scale_hi); ++scale) {
        const float step = dm[0] * static_cast<float>(scale);
        int min = Within(-fits[g].offset * InverseOf(dm[1]), 0, shape_.min_hi);
        for (int round = 0; round < 3; ++round) {
          const FitSums sums = SumsOf<n>(gx, gw, step, -(dm[1] * static_cast<float>(min)), levels_);
          if (sums.error < best.error) {
            best = sums;
            factors.scales[g] = scale;
            factors.mins[g] = min;
          }
          const float offset = plain.w > 0 ? (plain.wx - step * sums.wq) / plain.w : 0.0f;
          const int next = Within(-offset * InverseOf(dm[1]), 0, shape_.min_hi);
          if (next == min) break;
          min = next;
        }
      }
      factors.error += best.error;
      const double scale = factors.scales[g], min = -factors.mins[g];
      all.aa += scale * scale * best.wqq;
      all.ab += scale * min * best.wq;
      all.bb += min * min * plain.w;
      all.xa += scale * best.wxq;
      all.xb += min * plain.wx;
    }
    const double determinant = all.aa * all.bb - all.ab * all.ab;
    if (determinant > 1e-12 * all.aa * all.bb) {
      dm[0] = HalfOf(static_cast<float>((all.bb * all.xa - all.ab * all.xb) / determinant));
      dm[1] = HalfOf(static_cast<float>((all.aa * all.xb - all.ab * all.xa) / determinant));
    } else if (all.aa > 0) {
      dm[0] = HalfOf(static_cast<float>(all.xa / all.aa));
    }
    return factors;
  }

  Factors AffineFactors(const float* x, const float* w, const std::array<Fit, 16>& fits) const {
    float step = 0, offset = 0;
    for (size_t g = 0; g < kGroups; ++g) {
      step = std::max(step, fits[g].step);
      offset = std::max(offset, -fits[g].offset);
    }
    Factors best;
    for (int i = 0; i < 6; ++i) {
      std::array<float, 2> dm = {HalfOf(step / static_cast<float>(shape_.scale_hi - i % 3)),
                                 HalfOf(offset / static_cast<float>(shape_.min_hi - i / 3))};
      for (int round = 0; round < 3; ++round) {
        const Factors factors = AffineScalesFor(x, w, fits, dm);
        if (factors.error < best.error) best = factors;
        if (dm[0] == factors.d && dm[1] == factors.m) break;
      }
    }
    return best;
  }

  const SearchShape& shape_;
  Levels levels_;
};

// The rounding of a weight to bfloat16 is at most 2^-8 of it.
constexpr float kLatticeError = 0x1p-16f;

constexpr std::array<float, 128> kOnes = [] {
  std::array<float, 128> ones{};
  ones.fill(1.0f);
  return ones;
}();

// A group whose values are whole multiples of a step. The largest, which is one of the largest that
// four bits hold or, in a group without them, a smaller one, says which steps to try.
template <size_t n>
bool FindLattice(const float* x, WholeLevels levels, StepType stored, WholeBlock& out) {
  float largest = 0;
  for (size_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  const float bound = kLatticeError * PlainSumsOf<n>(x, kOnes.data()).wxx;
  for (const float multiple : {7.0f, -8.0f, 6.0f, 5.0f, 4.0f, 3.0f, 2.0f, 1.0f}) {
    const FitSums sums = SumsOf<n>(x, kOnes.data(), largest / multiple, 0, levels);
    if (sums.wqq == 0 || sums.error > 8 * bound) continue;
    out.d = RoundStep(sums.wxq / sums.wqq, stored);
    if (SumsOf<n>(x, kOnes.data(), out.d, 0, levels).error > bound) continue;
    for (size_t i = 0; i < n; ++i) out.quants[i] = ByteOf(levels(x[i] * InverseOf(out.d)));
    return true;
  }
  return false;
}

void SearchBlock(const SearchShape& shape, const float* x, const float* w, WholeBlock& out) {
  const WholeLevels levels{shape.lo, shape.hi};
  const bool lattice = shape.scale_hi == 0 && shape.lo < 0 && !IsTable(shape);
  if (lattice && FindLattice<32>(x, levels, shape.stored, out)) return;
  if (IsTable(shape)) {
    BlockSearch<32, TableLevels>(shape, {&kNearestIq4}).Search(x, w, out);
  } else if (shape.group == 32) {
    BlockSearch<32, WholeLevels>(shape, levels).Search(x, w, out);
  } else {
    BlockSearch<16, WholeLevels>(shape, levels).Search(x, w, out);
  }
}

// A group of a checkpoint. Its lattice has a sign, which the offset takes where levels have none.
template <size_t n>
void SearchGroup(const SearchShape& shape, const float* x, const float* w, WholeBlock& out) {
  const float half = shape.lo < 0 ? -shape.lo : (shape.hi + 1) / 2;
  if (!FindLattice<n>(x, {-half, half - 1}, shape.stored, out)) {
    return BlockSearch<n, WholeLevels>(shape, {shape.lo, shape.hi}).Search(x, w, out);
  }
  out.m = 0;
  if (shape.lo < 0) return;
  out.m = -half * out.d;
  for (size_t i = 0; i < n; ++i) out.quants[i] = ByteOf(static_cast<float>(out.quants[i]) + half);
}

void SearchGroups(const SearchShape& shape, const float* x, const float* w, WholeBlock& out) {
  if (shape.group == 32) return SearchGroup<32>(shape, x, w, out);
  return shape.group == 64 ? SearchGroup<64>(shape, x, w, out) : SearchGroup<128>(shape, x, w, out);
}

// Beyond the largest number of every format; squares of what is left can be summed.
constexpr float kLargest = 1e8f;

void SearchOneBlock(const SearchShape& shape, std::span<const float> values,
                    std::span<const float> importance, WholeBlock& out) {
  std::array<float, kMostBlockElements> x, w;
  w.fill(1.0f);
  float sum = 0;
  for (size_t j = 0; j < values.size(); ++j) {
    x[j] = std::isfinite(values[j]) ? std::clamp(values[j], -kLargest, kLargest) : 0.0f;
    if (!importance.empty()) sum += w[j] = importance[j];
  }
  if (!importance.empty() && !(sum > 0)) w.fill(1.0f);  // nobody knows
  (shape.stored == StepType::kBfloat16 ? SearchGroups : SearchBlock)(shape, x.data(), w.data(), out);
}

SearchShape ShapeOf(const GroupFormat& format) {
  const float half = static_cast<float>(1 << (format.bits - 1));
  SearchShape shape{Dtype::kU8, format.group, -half, half - 1, {0.7f * half, 1.2f * half, 14}, 0, 0};
  if (format.bits == 8) shape.range = {123.0f, 128.5f, 4};
  if (format.offset) {
    shape.lo = 0;
    shape.hi = 2 * half - 1;
  }
  shape.stored = StepType::kBfloat16;
  return shape;
}

}  // namespace

bool CanSearch(Dtype dtype) { return ShapeOf(dtype) != nullptr; }

uint64_t GroupFormat::RowBytes(uint64_t elements) const {
  return elements * static_cast<uint64_t>(bits) / 8 +
         (elements / static_cast<uint64_t>(group)) * sizeof(uint16_t) * (offset ? 2 : 1);
}

struct SearchedRow::Impl {
  // What levels of sixteen elements decode with.
  struct Steps {
    float step, offset, inverse;
  };

  SearchShape shape;
  size_t block;  // elements that are searched together
  std::vector<WholeBlock> blocks;
  std::vector<Steps> steps;
};

SearchedRow::SearchedRow(Dtype dtype, size_t size) {
  const SearchShape* shape = ShapeOf(dtype);
  LINNET_CHECK(shape != nullptr);
  Begin(*shape, static_cast<size_t>(GetDtypeInfo(dtype).block_elements), size);
}

SearchedRow::SearchedRow(const GroupFormat& format, size_t size) {
  LINNET_CHECK(format.bits == 4 || format.bits == 8);
  LINNET_CHECK(format.group == 32 || format.group == 64 || format.group == 128);
  Begin(ShapeOf(format), static_cast<size_t>(format.group), size);
}

void SearchedRow::Begin(const SearchShape& shape, size_t block, size_t size) {
  LINNET_CHECK(size % block == 0);
  impl_ = std::make_unique<Impl>(Impl{shape, block, {}, {}});
  impl_->blocks.resize(size / block);
  impl_->steps.resize(size / 16);
}

SearchedRow::~SearchedRow() = default;
SearchedRow::SearchedRow(SearchedRow&&) noexcept = default;

void SearchedRow::Search(std::span<const float> values, std::span<const float> importance) {
  Impl& row = *impl_;
  const size_t block = row.block;
  LINNET_CHECK(values.size() == row.blocks.size() * block);
  LINNET_CHECK(importance.empty() || importance.size() == values.size());
  const bool factors = row.shape.scale_hi > 0, mins = row.shape.min_hi > 0;
  for (size_t b = 0; b < row.blocks.size(); ++b) {
    WholeBlock& whole = row.blocks[b];
    SearchOneBlock(row.shape, values.subspan(b * block, block),
                   importance.empty() ? importance : importance.subspan(b * block, block), whole);
    if (!factors) whole.scales.fill(1);
    if (!mins) whole.mins.fill(row.shape.lo < 0 ? 0 : -1);
    for (size_t g = 0; g < block / 16; ++g) {
      const float step = whole.d * static_cast<float>(whole.scales[g]);
      row.steps[b * block / 16 + g] = {step, -(whole.m * static_cast<float>(whole.mins[g])), InverseOf(step)};
    }
  }
}

float SearchedRow::Choose(size_t i, float value) {
  Impl& row = *impl_;
  const Impl::Steps& steps = row.steps[i / 16];
  const float wanted = (value - steps.offset) * steps.inverse;
  const float level = IsTable(row.shape) ? TableLevels{&kNearestIq4}(wanted)
                                         : WholeLevels{row.shape.lo, row.shape.hi}(wanted);
  row.blocks[i / row.block].quants[i % row.block] = ByteOf(level);
  return steps.step * level + steps.offset;
}

void SearchedRow::Store(uint8_t* blocks) const {
  const PackBlock pack = BlockPacker(impl_->shape.dtype);
  LINNET_CHECK(pack != nullptr);
  for (const WholeBlock& whole : impl_->blocks) {
    pack(whole, 0, blocks);
    blocks += GetDtypeInfo(impl_->shape.dtype).block_bytes;
  }
}

void SearchedRow::StoreGroups(uint8_t* levels, uint16_t* steps, uint16_t* offsets) const {
  const SearchShape& shape = impl_->shape;
  LINNET_CHECK(shape.stored == StepType::kBfloat16);
  const bool nibbles = shape.hi < 16;
  const int lowest = static_cast<int>(shape.lo);
  for (const WholeBlock& whole : impl_->blocks) {
    *steps++ = FloatToBf16(whole.d);
    if (shape.lo == 0) *offsets++ = FloatToBf16(whole.m);
    for (size_t i = 0; i < impl_->block; i += nibbles ? 2 : 1) {
      const int level = whole.quants[i] - lowest, next = nibbles ? whole.quants[i + 1] - lowest : 0;
      *levels++ = static_cast<uint8_t>(level | next << 4);
    }
  }
}

void SearchedRow::Decode(std::span<float> values) const {
  const Impl& row = *impl_;
  const bool bytes = row.shape.hi > 127;
  for (size_t i = 0; i < values.size(); ++i) {
    const int8_t level = row.blocks[i / row.block].quants[i % row.block];
    const Impl::Steps& steps = row.steps[i / 16];
    values[i] = steps.step * static_cast<float>(bytes ? static_cast<uint8_t>(level) : level) + steps.offset;
  }
}

void SearchRow(Dtype dtype, std::span<const float> values, std::span<const float> importance,
               uint8_t* blocks) {
  SearchedRow row(dtype, values.size());
  row.Search(values, importance);
  row.Store(blocks);
}

}  // namespace linnet
