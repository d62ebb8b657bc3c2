// Products with the cache: every table against double precision and, bit for bit, against the scalar table.
#include "kernels/cache_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/bf16.h"
#include "kernels/dispatch.h"

namespace linnet {
namespace {

std::vector<float> Random(int64_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = normal(rng);
  return x;
}

int64_t Tiles(int64_t rows) { return (rows + kInputRows - 1) / kInputRows; }

class CacheTables : public testing::TestWithParam<const KernelTable*> {
 protected:
  const CacheKernels& tested() const { return GetParam()->cache; }
  const CacheKernels& scalar() const { return ScalarKernels()->cache; }
};

struct PairCase {
  int64_t groups, outputs, rows;
  std::vector<uint16_t> w;  // (panels, groups, 16, 2), and a vector more
  std::vector<float> x;     // (rows, 2 groups), beside numbers below the smallest normal one

  PairCase(int64_t g, int64_t o, int64_t r) : groups(g), outputs(o), rows(r), x(Random(r * 2 * g, 2)) {
    for (const float v : Random(((o + 15) / 16 * g + 1) * 32, 1)) w.push_back(FloatToBf16(v));
    x[0] = 1e-39f;
  }
  float Weight(int64_t output, int64_t input) const {
    return Bf16ToFloat(
        w[static_cast<size_t>(((output / 16 * groups + input / 2) * 16 + output % 16) * 2 + input % 2)]);
  }
  std::vector<float> Multiply(const CacheKernels& cache, bool accumulate) const {
    std::vector<float> packed(static_cast<size_t>(Tiles(rows) * groups * kInputRows * 2));
    std::vector<float> y(static_cast<size_t>(rows * outputs), 0.5f);
    const int64_t stride = groups * kInputRows * 2;
    for (int64_t r = 0; r < rows; ++r) {
      cache.pack_pairs(&x[static_cast<size_t>(r * 2 * groups)], 2 * groups, {packed.data(), stride, r});
    }
    cache.pair_product({{w.data(), groups * 32, 32, groups, outputs},
                        {packed.data(), stride},
                        y.data(),
                        outputs,
                        rows,
                        accumulate,
                        {w.data(), 100}});
    return y;
  }
};

TEST_P(CacheTables, PairProductsMatchDoublePrecisionAndScalarBits) {
  for (const int64_t groups : {1, 3, 32}) {
    for (const int64_t outputs : {1, 16, 20, 64, 130, 512}) {
      for (const int64_t rows : {1, 2, 3, 7, 8, 11, 33}) {
        const PairCase c(groups, outputs, rows);
        const std::vector<float> y = c.Multiply(tested(), true), reference = c.Multiply(scalar(), true);
        ASSERT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4))
            << groups << ", " << outputs << " x " << rows;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t o = 0; o < outputs; ++o) {
            double sum = 0.5, size = 0.5;
            for (int64_t i = 0; i < 2 * groups; ++i) {
              const double term = double{c.Weight(o, i)} *
                                  Bf16ToFloat(FloatToBf16(c.x[static_cast<size_t>(r * 2 * groups + i)]));
              sum += term, size += std::fabs(term);
            }
            ASSERT_NEAR(y[static_cast<size_t>(r * outputs + o)], sum, 1e-6 * size);
          }
        }
      }
    }
  }
  const PairCase c(5, 48, 9);
  EXPECT_NEAR(c.Multiply(tested(), true)[7], c.Multiply(tested(), false)[7] + 0.5f, 1e-5);
}

struct ByteCase {
  int64_t groups, outputs, rows;
  std::vector<uint8_t> w;  // (panels, groups, 16, 4), and a vector more
  std::vector<int8_t> x;   // (tiles, groups, kInputRows, 4)
  std::vector<float> row_scale, output_scale;
  std::vector<int32_t> row_sum;

  ByteCase(int64_t g, int64_t o, int64_t r)
      : groups(g),
        outputs(o),
        rows(r),
        w(static_cast<size_t>(((o + 15) / 16 * g + 1) * 64)),
        x(static_cast<size_t>(Tiles(r) * g * kInputRows * 4)),
        row_scale(Random(r, 3)),
        output_scale(Random(o + 16, 4)) {
    std::mt19937 rng(5);
    for (uint8_t& b : w) b = static_cast<uint8_t>(1 + rng() % 255);
    for (int8_t& b : x) b = static_cast<int8_t>(static_cast<int>(rng() % 255) - 127);
    for (int64_t row = 0; row < r; ++row) {
      row_sum.push_back(0);
      for (int64_t i = 0; i < 4 * g; ++i) row_sum.back() += Input(row, i);
    }
  }
  int Weight(int64_t output, int64_t input) const {
    return w[static_cast<size_t>(((output / 16 * groups + input / 4) * 16 + output % 16) * 4 + input % 4)] -
           128;
  }
  int Input(int64_t row, int64_t i) const {
    return x[static_cast<size_t>(((row / kInputRows * groups + i / 4) * kInputRows + row % kInputRows) * 4 +
                                 i % 4)];
  }
  std::vector<float> Multiply(const CacheKernels& cache, const float* scales) const {
    std::vector<float> y(static_cast<size_t>(rows * outputs), 0.5f);
    cache.byte_product({{w.data(), groups * 64, 64, groups, outputs},
                        {x.data(), groups * kInputRows * 4},
                        row_scale.data(),
                        row_sum.data(),
                        scales,
                        y.data(),
                        outputs,
                        rows,
                        true,
                        {w.data(), 1000}});
    return y;
  }
};

TEST_P(CacheTables, ByteProductsAreExactAndMatchScalarBits) {
  for (const int64_t groups : {1, 5, 128}) {
    for (const int64_t outputs : {1, 16, 20, 64, 130, 512}) {
      for (const int64_t rows : {1, 2, 3, 7, 8, 11, 33}) {
        const ByteCase c(groups, outputs, rows);
        for (const float* scales : {static_cast<const float*>(nullptr), c.output_scale.data()}) {
          const std::vector<float> y = c.Multiply(tested(), scales), reference = c.Multiply(scalar(), scales);
          ASSERT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4))
              << groups << ", " << outputs << " x " << rows;
          for (int64_t i = 0; i < rows * outputs; ++i) {
            const int64_t r = i / outputs, o = i % outputs;
            int64_t sum = 0;
            for (int64_t k = 0; k < 4 * groups; ++k) sum += int64_t{c.Weight(o, k)} * c.Input(r, k);
            const double scale =
                double{c.row_scale[static_cast<size_t>(r)]} * (scales == nullptr ? 1.0 : double{scales[o]});
            ASSERT_NEAR(y[static_cast<size_t>(i)], 0.5 + static_cast<double>(sum) * scale,
                        2e-7 * (1 + std::fabs(static_cast<double>(sum) * scale)));
          }
        }
      }
    }
  }
}

TEST_P(CacheTables, RowsBecomeKeys) {
  for (const int64_t k : {4, 20, 64, 512}) {
    for (const int64_t positions : {16, 48}) {
      const int64_t width = k + 8;
      std::vector<uint16_t> rows(static_cast<size_t>(positions * width)),
          keys(static_cast<size_t>(positions * k + 1));
      for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint16_t>(i * 40503);
      tested().regroup_pairs({rows.data(), width, positions, k}, keys.data());
      std::vector<uint8_t> byte_rows(rows.size()), byte_keys(keys.size());
      for (size_t i = 0; i < rows.size(); ++i) byte_rows[i] = static_cast<uint8_t>(i * 197 + i / 256);
      tested().regroup_bytes({byte_rows.data(), width, positions, k}, byte_keys.data());
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t e = 0; e < k; ++e) {
          const auto key = [&](int64_t group) {
            return static_cast<size_t>(p / 16 * k * 16 + (e / group * 16 + p % 16) * group + e % group);
          };
          const auto row = [&](int64_t group) {
            return static_cast<size_t>((p / group * width + e) * group + p % group);
          };
          ASSERT_EQ(keys[key(2)], rows[row(2)]);
          ASSERT_EQ(byte_keys[key(4)], byte_rows[row(4)]);
        }
      }
      EXPECT_EQ(keys.back(), 0);  // no more than that is written
      EXPECT_EQ(byte_keys.back(), 0);
    }
  }
}

// Keys of six elements: not all of them come in fours.
TEST_P(CacheTables, RowsOfAnOddNumberOfPairsBecomeKeys) {
  std::vector<uint16_t> rows(16 * 10), keys(16 * 6);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint16_t>(i * 40503);
  tested().regroup_pairs({rows.data(), 10, 16, 6}, keys.data());
  for (size_t p = 0; p < 16; ++p) {
    for (size_t e = 0; e < 6; ++e)
      ASSERT_EQ(keys[(e / 2 * 16 + p) * 2 + e % 2], rows[(p / 2 * 10 + e) * 2 + p % 2]);
  }
}

struct Split {
  std::vector<int8_t> q = std::vector<int8_t>(2 * kInputRows * 512);
  std::vector<float> scale = std::vector<float>(2 * kInputRows);
  std::vector<int32_t> sum = std::vector<int32_t>(2 * kInputRows);
  bool operator==(const Split&) const = default;
};

Split SplitOf(const CacheKernels& cache, const std::vector<float>& x, int64_t row) {
  Split out;
  const int64_t n = static_cast<int64_t>(x.size());
  const size_t r = static_cast<size_t>(row);
  cache.split_row(x.data(), n, {{out.q.data(), n * kInputRows, row}, kInputRows, &out.scale[r], &out.sum[r]});
  return out;
}

TEST_P(CacheTables, SplitRowsKeepFourteenBits) {
  for (const int64_t n : {4, 20, 256, 512}) {
    const std::vector<float> x = Random(n, 9);
    const Split split = SplitOf(tested(), x, 3);
    EXPECT_TRUE(split == SplitOf(scalar(), x, 3)) << n;
    int32_t high_sum = 0, low_sum = 0;
    float largest = 0;
    for (const float v : x) largest = std::max(largest, std::fabs(v));
    for (int64_t i = 0; i < n; ++i) {
      const size_t at = static_cast<size_t>((i / 4 * kInputRows + 3) * 4 + i % 4);
      const int high = split.q[at], low = split.q[static_cast<size_t>(n * kInputRows) + at];
      high_sum += high, low_sum += low;
      EXPECT_NEAR(high * split.scale[3] + low * split.scale[3 + kInputRows], x[static_cast<size_t>(i)],
                  largest / 32000);
    }
    EXPECT_EQ(split.sum[3], high_sum);
    EXPECT_EQ(split.sum[3 + kInputRows], low_sum);
  }
  const Split zero = SplitOf(tested(), std::vector<float>(32, 0.0f), 0);
  EXPECT_EQ(zero.scale[0], 0.0f);
  EXPECT_EQ(zero.sum[0], 0);
  // What is no number ends as some byte.
  static_cast<void>(SplitOf(tested(), std::vector<float>(32, NAN), 0));
}

TEST_P(CacheTables, WeightsKeepSevenBits) {
  std::vector<float> x = Random(64, 12), factor = Random(64, 13);
  for (float& v : x) v = std::fabs(v);
  for (float& v : factor) v = std::fabs(v);
  x[5] = 0.0f;
  const auto quantise = [&](const CacheKernels& cache) {
    std::pair<std::vector<int8_t>, std::pair<float, int32_t>> out{std::vector<int8_t>(64 * kInputRows), {}};
    out.second.first = cache.quantise_weights(x.data(), factor.data(), 64,
                                              {out.first.data(), 64 * kInputRows, 6}, &out.second.second);
    return out;
  };
  const auto [q, scale_and_sum] = quantise(tested());
  EXPECT_EQ(quantise(tested()), quantise(scalar()));
  int32_t sum = 0;
  for (size_t i = 0; i < 64; ++i) {
    const int byte = q[(i / 4 * kInputRows + 6) * 4 + i % 4];
    sum += byte;
    EXPECT_GE(byte, 0);
    EXPECT_NEAR(static_cast<float>(byte) * scale_and_sum.first, x[i] * factor[i],
                0.501f * scale_and_sum.first);
  }
  EXPECT_EQ(scale_and_sum.second, sum);
  x.assign(64, 0.0f);
  EXPECT_EQ(quantise(tested()).second.first, 0.0f);
}

// The sums of a part of the inputs and then of the others are those of all at once.
TEST_P(CacheTables, PairProductsGoOnWhereAPartEnded) {
  const int64_t groups = 12, stride = groups * kInputRows * 2, outputs = 80;
  for (const int64_t rows : {1, 3, 9}) {
    const PairCase c(groups, outputs, rows);
    std::vector<float> packed(static_cast<size_t>(Tiles(rows) * stride)),
        y(static_cast<size_t>(rows * outputs), 0.5f);
    for (int64_t r = 0; r < rows; ++r)
      tested().pack_pairs(&c.x[static_cast<size_t>(r * 2 * groups)], 2 * groups, {packed.data(), stride, r});
    PairProduct product{{c.w.data(), groups * 32, 32, 5, outputs},
                        {packed.data(), stride},
                        y.data(),
                        outputs,
                        rows,
                        true,
                        {}};
    tested().pair_product(product);
    product.w = {c.w.data() + 5 * 32, groups * 32, 32, groups - 5, outputs};
    product.x.first_group = 5;
    tested().pair_product(product);
    EXPECT_EQ(y, c.Multiply(tested(), true));
  }
}

TEST_P(CacheTables, PairPeakCountsItsProducts) {
  EXPECT_GE(tested().pair_peak(1), 32);
  EXPECT_EQ(tested().pair_peak(3), 3 * tested().pair_peak(1));
}

INSTANTIATE_TEST_SUITE_P(All, CacheTables, testing::ValuesIn(SupportedKernels()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace linnet
