// Every table against double precision and, bit for bit, against the scalar table.
#include "kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/dispatch.h"

namespace linnet {
namespace {

std::vector<float> Random(size_t n, uint32_t seed, float scale = 1.0f) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

// Vector lengths around every boundary of sixteen lanes, and a misaligned start.
const int64_t kLengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 100, 255, 256, 640, 3840};

class KernelTables : public testing::TestWithParam<const KernelTable*> {};

TEST_P(KernelTables, NormsMatchDoublePrecisionAndScalarBits) {
  for (const int64_t n : kLengths) {
    const std::vector<float> x = Random(static_cast<size_t>(n) + 1, 1),
                             w = Random(static_cast<size_t>(n) + 1, 2);
    const std::vector<float> b = Random(static_cast<size_t>(n) + 1, 3);
    std::vector<float> y(static_cast<size_t>(n)), reference(y.size());
    GetParam()->rms_norm(x.data() + 1, w.data() + 1, 1e-6f, n, y.data());
    ScalarKernels()->rms_norm(x.data() + 1, w.data() + 1, 1e-6f, n, reference.data());
    EXPECT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4)) << n;
    double square = 0, sum = 0;
    for (int64_t i = 0; i < n; ++i) square += double{x[i + 1]} * x[i + 1], sum += x[i + 1];
    const double factor = 1.0 / std::sqrt(square / n + 1e-6);
    for (int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(y[i], x[i + 1] * factor * w[i + 1], 2e-6 * (1 + std::fabs(y[i])));

    GetParam()->layer_norm(x.data() + 1, {w.data() + 1, b.data() + 1}, 1e-5f, n, y.data());
    ScalarKernels()->layer_norm(x.data() + 1, {w.data() + 1, b.data() + 1}, 1e-5f, n, reference.data());
    EXPECT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4)) << n;
    const double mean = sum / n;
    double variance = 0;
    for (int64_t i = 0; i < n; ++i) variance += (x[i + 1] - mean) * (x[i + 1] - mean) / n;
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_NEAR(y[i], (x[i + 1] - mean) / std::sqrt(variance + 1e-5) * w[i + 1] + b[i + 1], 1e-5) << n;
    }
  }
}

TEST_P(KernelTables, GeluAndSoftcapMatchDoublePrecision) {
  std::vector<float> z;
  for (float v = -30.0f; v <= 30.0f; v += 0.0137f) z.push_back(v);
  for (const float v : {0.0f, -0.0f, 1e-8f, -1e-8f, 1e4f, -1e4f, 88.0f, -88.0f}) z.push_back(v);
  const std::vector<float> up(z.size(), 1.0f);
  std::vector<float> y(z.size()), reference(z.size());
  const int64_t n = static_cast<int64_t>(z.size());
  GetParam()->gelu_mul(z.data(), up.data(), n, y.data());
  ScalarKernels()->gelu_mul(z.data(), up.data(), n, reference.data());
  EXPECT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4));
  for (size_t i = 0; i < z.size(); ++i) {
    const double x = z[i];
    const double expected = x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    // Rounding the exponent's argument u costs u * 2^-24 relative.
    const double u = 2 * std::sqrt(2 / M_PI) * std::fabs(x + 0.044715 * x * x * x);
    EXPECT_NEAR(y[i], expected, (1e-6 + 2e-7 * u) * std::fabs(expected) + 1e-30) << x;
  }
  std::vector<float> capped = z;
  GetParam()->softcap(capped.data(), 30.0f, n);
  for (size_t i = 0; i < z.size(); ++i) {
    const double expected = 30.0 * std::tanh(double{z[i]} / 30.0);
    EXPECT_NEAR(capped[i], expected, 4e-7 * std::fabs(expected) + 1e-30) << z[i];
  }
}

TEST_P(KernelTables, SoftmaxBlocksAddUpToASoftmax) {
  const std::vector<float> scores = Random(256, 5, 12.0f);
  std::vector<float> sums(256, 0.0f);
  float m = -std::numeric_limits<float>::infinity(), l = 0.0f;
  for (int64_t block = 0; block < 256; block += 64) {
    std::vector<float> s(scores.begin() + block, scores.begin() + block + 64);
    if (block == 64) s[3] = -std::numeric_limits<float>::infinity();
    const float factor = GetParam()->softmax_block(s.data(), 64, &m, &l);
    for (int64_t i = 0; i < block; ++i) sums[static_cast<size_t>(i)] *= factor;
    for (int64_t i = 0; i < 64; ++i) sums[static_cast<size_t>(block + i)] = s[static_cast<size_t>(i)];
  }
  double total = 0;
  for (size_t i = 0; i < 256; ++i) total += i == 67 ? 0.0 : std::exp(double{scores[i]} - m);
  EXPECT_NEAR(l, total, 1e-5 * total);
  EXPECT_EQ(sums[67], 0.0f);
  for (size_t i = 0; i < 256; ++i) {
    if (i == 67) continue;
    const double expected = std::exp(double{scores[i]} - m);
    // Rounding the difference of two scores costs its size times 2^-24.
    EXPECT_NEAR(sums[i], expected, (1e-6 + 2e-7 * std::fabs(double{scores[i]} - m)) * expected + 1e-37);
  }
}

TEST_P(KernelTables, QuantisedRowsKeepTheirValuesWithinHalfAStep) {
  std::vector<float> x = Random(640, 7);
  for (int i = 0; i < 32; ++i) x[64 + static_cast<size_t>(i)] = 0.0f;
  x[100] = 1e30f;
  struct Lanes {
    std::vector<int8_t> q = std::vector<int8_t>(640 * 3);
    std::vector<float> scale = std::vector<float>(20 * 3), scaled_sum = scale;
    std::vector<int32_t> start = std::vector<int32_t>(20 * 3), half_start = std::vector<int32_t>(40 * 3);
    bool operator==(const Lanes&) const = default;
  };
  constexpr int64_t kRows = 3, kLane = 1;  // the middle one of three
  const auto quantise = [&](const KernelTable& table) {
    Lanes out;
    table.quantise_row(x.data(), 640,
                       {out.q.data() + 4 * kLane, out.scale.data() + kLane, out.start.data() + kLane,
                        out.half_start.data() + kLane, out.scaled_sum.data() + kLane, kRows, kGroup});
    return out;
  };
  const Lanes lanes = quantise(*GetParam());
  EXPECT_EQ(lanes, quantise(*ScalarKernels()));
  for (size_t b = 0; b < 20; ++b) {
    const float scale = lanes.scale[b * kRows + kLane];
    int sums[2] = {0, 0};
    for (size_t i = 0; i < 32; ++i) {
      const int q = lanes.q[((b * 8 + i / 4) * kRows + kLane) * 4 + i % 4];
      EXPECT_LE(std::fabs(static_cast<float>(q) * scale - x[32 * b + i]), scale * 0.501f);
      sums[i / 16] += q;
    }
    EXPECT_EQ(lanes.start[b * kRows + kLane], -8 * (sums[0] + sums[1]));
    EXPECT_EQ(lanes.half_start[2 * b * kRows + kLane], -8 * sums[0]);
    EXPECT_EQ(lanes.half_start[(2 * b + 1) * kRows + kLane], -8 * sums[1]);
    EXPECT_EQ(lanes.scaled_sum[b * kRows + kLane], scale * static_cast<float>(sums[0] + sums[1]));
    EXPECT_EQ(lanes.scale[b * kRows], 0.0f);  // the other rows' lanes stay as they were
  }
  EXPECT_EQ(lanes.scale[2 * kRows + kLane], 0.0f);
}

TEST_P(KernelTables, LimitsCountTheirProducts) {
  alignas(64) static uint8_t data[2 * kReadUnit] = {1, 2, 3, 250, 251};
  EXPECT_GE(GetParam()->int8_peak(1), 64);
  EXPECT_EQ(GetParam()->int8_peak(3), 3 * GetParam()->int8_peak(1));
  EXPECT_GE(GetParam()->int8_fed(data, 1), 64);
  EXPECT_EQ(GetParam()->int8_fed(data, 3), 3 * GetParam()->int8_fed(data, 1));
  const Ahead ahead{kMostAhead, 640, 4};
  EXPECT_EQ(GetParam()->read(data, sizeof(data), ahead), ScalarKernels()->read(data, sizeof(data), ahead));
}

TEST_P(KernelTables, FloatProductsMatchDoublePrecisionAndScalarBits) {
  for (const int64_t outputs : {1, 15, 16, 17, 40, 130, 200}) {
    for (const int64_t rows : {1, 2, 3, 5, 6, 7, 13}) {
      const int64_t k = 37;
      const int64_t panels = (outputs + 15) / 16;
      const std::vector<float> w = Random(static_cast<size_t>(panels * 16 * k), 11);
      const std::vector<float> x = Random(static_cast<size_t>(rows * k), 12);
      std::vector<float> y(static_cast<size_t>(rows * outputs), 0.5f), reference = y;
      FloatProduct a{w.data(), k * 16, 16, x.data(), k, y.data(), outputs, k, outputs, rows, true};
      GetParam()->formats[0].product(a);
      a.y = reference.data();
      ScalarKernels()->formats[0].product(a);
      ASSERT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4)) << outputs << " x " << rows;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < outputs; ++o) {
          double sum = 0.5, size = 0.5;
          for (int64_t i = 0; i < k; ++i) {
            const double term = double{w[static_cast<size_t>(o / 16 * k * 16 + i * 16 + o % 16)]} *
                                x[static_cast<size_t>(r * k + i)];
            sum += term;
            size += std::fabs(term);
          }
          EXPECT_NEAR(y[static_cast<size_t>(r * outputs + o)], sum, 1e-6 * size);
        }
      }
    }
  }
}

TEST_P(KernelTables, DotProductsMatchDoublePrecisionAndScalarBits) {
  for (const int64_t k : {1, 15, 16, 37, 512}) {
    for (const int64_t rows : {1, 2, 5, 16, 33}) {
      const int64_t outputs = 7, stride = k + 3;
      const std::vector<float> w = Random(static_cast<size_t>(outputs * stride), 21);
      const std::vector<float> x = Random(static_cast<size_t>(rows * k), 22);
      std::vector<float> y(static_cast<size_t>(rows * outputs)), reference = y;
      DotProduct a{w.data(), stride, x.data(), k, y.data(), outputs, k, outputs, rows};
      GetParam()->formats[0].dot(a);
      a.y = reference.data();
      ScalarKernels()->formats[0].dot(a);
      ASSERT_EQ(0, std::memcmp(y.data(), reference.data(), y.size() * 4)) << k << " x " << rows;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < outputs; ++o) {
          double sum = 0, size = 0;
          for (int64_t i = 0; i < k; ++i) {
            const double term =
                double{w[static_cast<size_t>(o * stride + i)]} * x[static_cast<size_t>(r * k + i)];
            sum += term;
            size += std::fabs(term);
          }
          EXPECT_NEAR(y[static_cast<size_t>(r * outputs + o)], sum, 1e-6 * size);
        }
      }
    }
  }
}

// How far ahead weights are asked for and how many panels run side by side does not show in the bits.
TEST_P(KernelTables, OneRowGivesTheSameBitsHoweverItReads) {
  constexpr int64_t kK = 512, kBlocks = kK / kActBlock, kOutputs = 16 * 9 + 5, kPanels = 10;
  std::mt19937 rng(31);
  std::vector<int8_t> q(kK);
  for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng() % 255) - 127);
  std::vector<float> scale = Random(kBlocks, 32), scaled_sum(kBlocks);
  std::vector<int32_t> start(kBlocks), half_start(2 * kBlocks);
  for (size_t i = 0; i < kK; ++i) {
    start[i / 32] -= 8 * q[i];
    half_start[i / 16] -= 8 * q[i];
    scaled_sum[i / 32] += scale[i / 32] * q[i];
  }
  const RowTiles x{q.data(), scale.data(), start.data(), half_start.data(), scaled_sum.data(), kBlocks};
  for (int f = static_cast<int>(kFirstBlockFormat); f < kPanelFormatCount; ++f) {
    const int64_t panel_bytes = kK / GetParam()->formats[f].block_k * GetParam()->formats[f].block_bytes;
    std::vector<uint8_t> panels(static_cast<size_t>(panel_bytes * kPanels));
    for (uint8_t& b : panels) b = static_cast<uint8_t>(0x20 + rng() % 16);  // small factors in any place
    const auto multiply = [&](const KernelTable& table, const Ahead& ahead) {
      std::vector<float> y(kOutputs);
      table.formats[f].few({panels.data(), panel_bytes, x, y.data(), kOutputs, kOutputs, 1, ahead});
      return y;
    };
    const std::vector<float> expected = multiply(*ScalarKernels(), {0, 0, 2});
    EXPECT_EQ(multiply(*GetParam(), {kMostAhead, 640, 4}), expected) << f;
    EXPECT_EQ(multiply(*GetParam(), {1024, 1024, 2}), expected) << f;
  }
}

// Tables that this processor cannot run have no tests above; here they are named.
class BuiltTables : public testing::TestWithParam<std::string> {};

TEST_P(BuiltTables, RunHere) {
  for (const KernelTable* table : SupportedKernels()) {
    if (table->name == GetParam()) return;
  }
  GTEST_SKIP() << "this processor cannot run the kernels " << GetParam();
}

std::vector<std::string> BuiltNames() {
  std::istringstream names(LINNET_TABLES);
  return {std::istream_iterator<std::string>(names), {}};
}

INSTANTIATE_TEST_SUITE_P(All, BuiltTables, testing::ValuesIn(BuiltNames()),
                         [](const auto& info) { return info.param; });

INSTANTIATE_TEST_SUITE_P(All, KernelTables, testing::ValuesIn(SupportedKernels()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace linnet
