// Products of packed weights: against double precision on the decoded weights, and bit for bit across row
// counts, thread counts and instruction sets.
#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/bf16.h"
#include "kernels/dispatch.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

const Dtype kDtypes[] = {Dtype::kF32,  Dtype::kF16,   Dtype::kBf16,  Dtype::kQ4_0,  Dtype::kQ4_1,
                         Dtype::kQ5_0, Dtype::kQ5_1,  Dtype::kQ8_0,  Dtype::kQ4K,   Dtype::kQ5K,
                         Dtype::kQ6K,  Dtype::kIq4Nl, Dtype::kIq4Xs, Dtype::kMxfp4, Dtype::kNvfp4};

// Where the float16 factors of a block stand.
std::vector<int> ScaleOffsets(Dtype dtype) {
  switch (dtype) {
    case Dtype::kQ4_1:
    case Dtype::kQ5_1:
    case Dtype::kQ4K:
    case Dtype::kQ5K:
      return {0, 2};
    case Dtype::kQ6K:
      return {208};
    case Dtype::kMxfp4:
    case Dtype::kNvfp4:
      return {};
    default:
      return {0};
  }
}

// The bytes that factors of one byte are chosen from, and how many a block begins with.
struct ByteFactors {
  uint8_t lowest, values;
  size_t count;
};
ByteFactors ByteFactorsOf(Dtype dtype) {
  if (dtype == Dtype::kMxfp4) return {114, 8, 1};  // 2^-13 to 2^-6
  if (dtype == Dtype::kNvfp4) return {0, 24, 4};   // subnormal and small
  return {0, 1, 0};
}

// Random bits in every quant, sane factors.
std::vector<uint8_t> RandomBlocks(Dtype dtype, int64_t n, int64_t k, uint32_t seed) {
  std::mt19937 rng(seed);
  const DtypeInfo& info = GetDtypeInfo(dtype);
  std::vector<uint8_t> bytes(static_cast<size_t>(n) * RowBytes(dtype, static_cast<uint64_t>(k)));
  if (info.block_elements == 1) {
    std::normal_distribution<float> normal;
    std::vector<float> row(static_cast<size_t>(n * k));
    for (float& v : row) v = normal(rng);
    EncodeRow(dtype, row, bytes.data());
    return bytes;
  }
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng());
  for (size_t block = 0; block < bytes.size(); block += static_cast<size_t>(info.block_bytes)) {
    for (const int offset : ScaleOffsets(dtype)) {
      const uint16_t half = FloatToHalf((static_cast<float>(rng() % 1000) - 500.0f) / 20000.0f);
      std::memcpy(&bytes[block + static_cast<size_t>(offset)], &half, 2);
    }
    const ByteFactors factors = ByteFactorsOf(dtype);
    for (size_t i = 0; i < factors.count; ++i) {
      bytes[block + i] = static_cast<uint8_t>(factors.lowest + rng() % factors.values);
    }
  }
  return bytes;
}

Matrix Pack(Dtype dtype, const std::vector<uint8_t>& bytes, int64_t n, int64_t k) {
  Matrix matrix = AllocateMatrix(*PanelFormatOf(dtype), n, k);
  const int64_t row = static_cast<int64_t>(RowBytes(dtype, static_cast<uint64_t>(k)));
  for (int64_t p = 0; p < PanelCount(n); ++p) {
    const int64_t rows = std::min<int64_t>(kPanel, n - p * kPanel);
    PackPanel(dtype, {bytes.data() + p * kPanel * row, static_cast<size_t>(rows * row)}, p, matrix);
  }
  return matrix;
}

std::vector<float> Multiply(const Matrix& w, std::vector<float> x, int64_t rows, int threads,
                            const KernelTable& table) {
  ThreadPool pool(threads);
  OpContext context(pool, table);
  context.Reserve({rows, w.k, 4, 64});
  std::vector<float> y(static_cast<size_t>(rows * w.n));
  MatMul(context, w, MakeRows(x.data(), rows, w.k), MakeRows(y.data(), rows, w.n));
  return y;
}

TEST(HeldFormats, RowsOfFormatsWithoutKernelsKeepTheirValues) {
  const int64_t n = 21, k = 512;
  for (int i = 0; i < kDtypeCount; ++i) {
    const DtypeInfo& info = GetDtypeInfo(static_cast<Dtype>(i));
    if (info.held == info.dtype) continue;
    std::vector<uint8_t> bytes(static_cast<size_t>(n) * RowBytes(info.dtype, static_cast<uint64_t>(k)));
    std::mt19937 rng(5);
    // Small bytes, so that no factor is beyond what a float holds, wherever it lies in the block.
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng() % 60);
    const Matrix w = Pack(info.dtype, bytes, n, k);
    EXPECT_EQ(w.format, *PanelFormatOf(info.held));
    std::vector<float> expected(static_cast<size_t>(k)), row(expected.size());
    for (int64_t r = 0; r < n; ++r) {
      DecodeRow(info.dtype,
                bytes.data() + static_cast<size_t>(r) * RowBytes(info.dtype, static_cast<uint64_t>(k)),
                expected);
      UnpackRow(w, r, row);
      ASSERT_EQ(row, expected) << info.name << " row " << r;
    }
  }
}

class Formats : public testing::TestWithParam<Dtype> {};

TEST_P(Formats, UnpackedRowsAreTheDecodedRows) {
  const int64_t n = 21, k = 512;
  const std::vector<uint8_t> bytes = RandomBlocks(GetParam(), n, k, 3);
  const Matrix w = Pack(GetParam(), bytes, n, k);
  std::vector<float> expected(static_cast<size_t>(k)), row(expected.size());
  for (int64_t r = 0; r < n; ++r) {
    DecodeRow(GetParam(),
              bytes.data() + static_cast<size_t>(r) * RowBytes(GetParam(), static_cast<uint64_t>(k)),
              expected);
    UnpackRow(w, r, row);
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(row[i], expected[i]) << r << " " << i;
  }
}

TEST_P(Formats, TheTableOfFormatsKnowsTheSizeOfPanels) {
  const FormatKernels& kernels = ScalarKernels()->formats[static_cast<int>(*PanelFormatOf(GetParam()))];
  const DtypeInfo& info = GetDtypeInfo(GetParam());
  EXPECT_EQ(kernels.block_k, info.block_elements);
  EXPECT_EQ(PanelBytes(*PanelFormatOf(GetParam()), 512), 512 / info.block_elements * info.panel_bytes);
}

TEST_P(Formats, RowsThatAreNotThereArePackedAsZeros) {
  const int64_t k = 512, n = 3;
  const std::vector<uint8_t> bytes = RandomBlocks(GetParam(), n, k, 6);
  std::vector<uint8_t> padded(bytes);
  padded.resize(kPanel * bytes.size() / n);
  const Matrix few = Pack(GetParam(), bytes, n, k), all = Pack(GetParam(), padded, kPanel, k);
  EXPECT_EQ(0, std::memcmp(few.panels.data(), all.panels.data(), all.panels.size()));
}

TEST_P(Formats, DecodedRowsBecomeFloatPanels) {
  const int64_t n = 21, k = 512;
  const std::vector<uint8_t> bytes = RandomBlocks(GetParam(), n, k, 7);
  const uint64_t row = RowBytes(GetParam(), static_cast<uint64_t>(k));
  Matrix w = AllocateMatrix(PanelFormat::kF32, n, k);
  PackPanel(GetParam(), {bytes.data(), 16 * row}, 0, w);
  PackPanel(GetParam(), {bytes.data() + 16 * row, 5 * row}, 1, w);
  std::vector<float> expected(static_cast<size_t>(k)), unpacked(expected.size());
  for (int64_t r = 0; r < n; ++r) {
    DecodeRow(GetParam(), bytes.data() + static_cast<size_t>(r) * row, expected);
    UnpackRow(w, r, unpacked);
    EXPECT_EQ(unpacked, expected) << r;
  }
}

TEST(PlainFormats, RowsOfAnyLengthArePacked) {
  const int64_t n = 18, k = 37;
  for (const Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBf16}) {
    const std::vector<uint8_t> bytes = RandomBlocks(dtype, n, k, 8);
    const Matrix w = Pack(dtype, bytes, n, k);
    std::vector<float> expected(static_cast<size_t>(k)), row(expected.size());
    for (int64_t r = 0; r < n; ++r) {
      DecodeRow(dtype, bytes.data() + static_cast<size_t>(r) * RowBytes(dtype, static_cast<uint64_t>(k)),
                expected);
      UnpackRow(w, r, row);
      EXPECT_EQ(row, expected) << r;
    }
  }
}

TEST_P(Formats, ProductsMatchDoublePrecision) {
  const int64_t n = 69, k = 768, rows = 11;
  const std::vector<uint8_t> bytes = RandomBlocks(GetParam(), n, k, 4);
  const Matrix w = Pack(GetParam(), bytes, n, k);
  std::mt19937 rng(9);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(rows * k));
  for (float& v : x) v = normal(rng);
  const std::vector<float> y = Multiply(w, x, rows, 2, Kernels());
  std::vector<float> weight(static_cast<size_t>(k));
  for (int64_t o = 0; o < n; ++o) {
    UnpackRow(w, o, weight);
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0, squares = 0, size = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double term = double{weight[static_cast<size_t>(i)]} * x[static_cast<size_t>(r * k + i)];
        sum += term;
        size += std::fabs(term);
        squares += double{weight[static_cast<size_t>(i)]} * weight[static_cast<size_t>(i)];
      }
      // Eight-bit activations: an error of at most half a step a value, steps of about 3 / 127, random signs.
      const double bound = w.blocks() ? 6 * std::sqrt(squares) * (3.5 / 127 / 2) : 1e-6 * size;
      EXPECT_NEAR(y[static_cast<size_t>(r * n + o)], sum, bound) << o << " " << r;
    }
  }
}

std::vector<float> RandomRows(int64_t rows, int64_t k) {
  std::mt19937 rng(10);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(rows * k));
  for (float& v : x) v = normal(rng);
  return x;
}

TEST_P(Formats, ARowDoesNotKnowItsBatchNorThreadsNorInstructionSet) {
  const int64_t n = 181, k = 1280, rows = 19;  // runs of several groups of panels, several chunks of K
  const Matrix w = Pack(GetParam(), RandomBlocks(GetParam(), n, k, 5), n, k);
  const std::vector<float> x = RandomRows(rows, k);
  const std::vector<float> all = Multiply(w, x, rows, 1, *ScalarKernels());
  for (const KernelTable* table : SupportedKernels()) {
    EXPECT_EQ(Multiply(w, x, rows, 1, *table), all) << table->name;
    EXPECT_EQ(Multiply(w, x, rows, 3, *table), all) << table->name;
    for (const int64_t count : {1, 2, 3, 5, 8, 9}) {
      const int64_t first = rows - count;
      const std::vector<float> part(x.begin() + first * k, x.end());
      const std::vector<float> y = Multiply(w, part, count, 2, *table);
      EXPECT_EQ(0, std::memcmp(y.data(), all.data() + first * n, y.size() * 4))
          << table->name << " " << count;
    }
  }
}

TEST_P(Formats, EveryNumberOfRowsGivesTheBitsOfSingleRows) {
  const int64_t n = 53, most = 520, most_scalar = 24;
  const int64_t k = std::max<int64_t>(64, GetDtypeInfo(GetParam()).block_elements);
  const Matrix w = Pack(GetParam(), RandomBlocks(GetParam(), n, k, 6), n, k);
  std::vector<float> x = RandomRows(most, k), y(static_cast<size_t>(most * n)), single(y.size());
  std::vector<int64_t> counts{100, 201, most};
  for (int64_t count = 1; count <= 70; ++count) counts.push_back(count);
  for (const KernelTable* table : SupportedKernels()) {
    ThreadPool pool(2);
    OpContext context(pool, *table);
    context.Reserve({most, k, 4, 64});
    const auto multiply = [&](int64_t first, int64_t count, std::vector<float>& out) {
      MatMul(context, w, MakeRows(x.data() + first * k, count, k), MakeRows(out.data(), count, n));
    };
    if (table == SupportedKernels().front()) {
      std::vector<float> row(static_cast<size_t>(n));
      for (int64_t r = 0; r < most; ++r) {
        multiply(r, 1, row);
        std::copy(row.begin(), row.end(), single.begin() + r * n);
      }
    }
    for (const int64_t count : counts) {
      if (table == ScalarKernels() && count > most_scalar) continue;  // slow
      std::fill(y.begin(), y.end(), 0.25f);
      multiply(most - count, count, y);
      const auto end = y.begin() + count * n;
      ASSERT_TRUE(std::equal(y.begin(), end, single.begin() + (most - count) * n))
          << table->name << " " << count;
      ASSERT_TRUE(std::all_of(end, y.end(), [](float v) { return v == 0.25f; }))
          << table->name << " " << count;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Formats, testing::ValuesIn(kDtypes),
                         [](const auto& info) { return std::string(GetDtypeInfo(info.param).name); });

}  // namespace
}  // namespace linnet
