// What the search promises: lattices come back, no error is larger than that of the plain encoder, and
// nothing that a file may hold breaks it. Its errors beside ggml's are compared in src/eval/formats_test.cc.
#include "tensor/block_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/bf16.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

constexpr Dtype kSearched[] = {Dtype::kQ4_0, Dtype::kQ4_1, Dtype::kQ5_0,  Dtype::kQ5_1,
                               Dtype::kQ8_0, Dtype::kQ2K,  Dtype::kQ3K,   Dtype::kQ4K,
                               Dtype::kQ5K,  Dtype::kQ6K,  Dtype::kIq4Nl, Dtype::kIq4Xs};

std::vector<float> Searched(Dtype dtype, std::span<const float> values,
                            std::span<const float> importance = {}) {
  std::vector<uint8_t> blocks(RowBytes(dtype, values.size()));
  SearchRow(dtype, values, importance, blocks.data());
  std::vector<float> decoded(values.size());
  DecodeRow(dtype, blocks.data(), decoded);
  return decoded;
}

std::vector<float> NormalValues(size_t count, float deviation, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

double ErrorOf(std::span<const float> x, std::span<const float> y, std::span<const float> importance = {}) {
  double off = 0, all = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double w = importance.empty() ? 1.0 : importance[i];
    off += w * (x[i] - y[i]) * (x[i] - y[i]);
    all += w * x[i] * x[i];
  }
  return off / all;
}

// Weights as training for four bits leaves them: whole multiples of a bf16 scale, stored in bf16.
struct Trained {
  std::vector<float> weights, lattice;  // as stored, and before they were
  std::vector<float> steps;             // one a block
};

// Blocks with a value that is 0.02 of a step off the lattice.
size_t BlocksOff(const Trained& trained, std::span<const float> back) {
  size_t off = 0;
  for (size_t b = 0; b < trained.steps.size(); ++b) {
    float largest = 0;
    for (size_t i = 32 * b; i < 32 * b + 32; ++i) {
      largest = std::max(largest, std::fabs(trained.lattice[i] - back[i]));
    }
    off += largest > 0.02f * trained.steps[b] ? 1 : 0;
  }
  return off;
}

Trained TrainedWeights(size_t blocks, float divisor) {
  Trained trained{NormalValues(32 * blocks, 0.02f, 5), std::vector<float>(32 * blocks), {}};
  for (size_t b = 0; b < blocks; ++b) {
    float* x = &trained.weights[32 * b];
    float most = 0;
    for (size_t i = 0; i < 32; ++i) most = std::max(most, std::fabs(x[i]));
    const float step = trained.steps.emplace_back(Bf16ToFloat(FloatToBf16(most / divisor)));
    for (size_t i = 0; i < 32; ++i) {
      const float q = std::clamp(std::nearbyint(x[i] / step), -8.0f, 7.0f);
      trained.lattice[32 * b + i] = q * step;
      x[i] = Bf16ToFloat(FloatToBf16(q * step));
    }
  }
  return trained;
}

TEST(BlockSearchTest, WeightsTrainedForFourBitsComeBackWhateverTheImportance) {
  constexpr size_t kBlocks = 8192;
  std::vector<float> importance = NormalValues(32 * kBlocks, 1.0f, 9);
  for (float& value : importance) value = std::exp(2 * value);
  for (const float divisor : {7.0f, 7.5f, 8.0f}) {
    const Trained trained = TrainedWeights(kBlocks, divisor);
    for (const Dtype dtype : {Dtype::kQ4_0, Dtype::kQ5_0, Dtype::kQ8_0}) {
      for (const bool weighted : {false, true}) {
        const std::vector<float> back = Searched(
            dtype, trained.weights, weighted ? std::span<const float>(importance) : std::span<const float>());
        EXPECT_LE(ErrorOf(trained.weights, back), 2e-6) << divisor;
        EXPECT_LE(BlocksOff(trained, back), kBlocks / 5000)
            << GetDtypeInfo(dtype).name << " trained with max / " << divisor;
      }
    }
  }
}

constexpr GroupFormat kGroupFormats[] = {{4, 32, false}, {4, 128, false}, {4, 32, true}, {4, 64, true},
                                         {4, 128, true}, {8, 32, true},   {8, 64, true}, {8, 128, true}};

// By what is stored, as a reader takes it.
std::vector<float> FromGroups(const GroupFormat& format, std::span<const float> values,
                              std::span<const float> importance = {}) {
  SearchedRow row(format, values.size());
  row.Search(values, importance);
  const size_t group = static_cast<size_t>(format.group);
  std::vector<uint8_t> levels(values.size() * static_cast<size_t>(format.bits) / 8);
  std::vector<uint16_t> steps(values.size() / group), offsets(format.offset ? steps.size() : 0);
  row.StoreGroups(levels.data(), steps.data(), offsets.data());
  std::vector<float> back(values.size()), decoded(values.size());
  for (size_t i = 0; i < back.size(); ++i) {
    const int level = format.bits == 8 ? levels[i] : levels[i / 2] >> (4 * (i % 2)) & 15;
    const float step = Bf16ToFloat(steps[i / group]);
    back[i] = format.offset ? step * static_cast<float>(level) + Bf16ToFloat(offsets[i / group])
                            : step * static_cast<float>(level - (1 << (format.bits - 1)));
  }
  row.Decode(decoded);
  EXPECT_EQ(decoded, back);
  return back;
}

TEST(GroupSearchTest, WeightsTrainedForFourBitsComeBack) {
  for (const float divisor : {7.0f, 7.5f, 8.0f}) {
    const Trained trained = TrainedWeights(2048, divisor);
    for (const GroupFormat& format : kGroupFormats) {
      if (format.group != 32) continue;
      const std::vector<float> back = FromGroups(format, trained.weights);
      // Steps are of the type that they were trained with, so what the file has rounded comes back too.
      EXPECT_EQ(back, trained.lattice) << format.bits << " max / " << divisor;
    }
  }
}

// Ends of a group, as MLX and compressed-tensors take them without a search.
std::vector<float> FromEnds(const GroupFormat& format, std::span<const float> values) {
  std::vector<float> back;
  const float most = static_cast<float>((1 << format.bits) - 1);
  for (size_t begin = 0; begin < values.size(); begin += static_cast<size_t>(format.group)) {
    const auto group = values.subspan(begin, static_cast<size_t>(format.group));
    const auto [min, max] = std::minmax_element(group.begin(), group.end());
    const float largest = std::max(-*min, *max);
    const float step = format.offset ? (*max - *min) / most : 2 * largest / most;
    const float offset = format.offset ? *min : -step * (most + 1) / 2;
    for (const float x : group) {
      back.push_back(std::clamp(std::nearbyint((x - offset) / step), 0.0f, most) * step + offset);
    }
  }
  return back;
}

TEST(GroupSearchTest, LosesLessThanTheEndsOfAGroup) {
  const std::vector<float> values = NormalValues(128 * 64, 0.02f, 11);
  std::vector<float> importance = NormalValues(values.size(), 1.0f, 12);
  for (float& value : importance) value = std::exp(2 * value);
  for (const GroupFormat& format : kGroupFormats) {
    const double plain = ErrorOf(values, FromEnds(format, values));
    EXPECT_LT(ErrorOf(values, FromGroups(format, values)), plain) << format.bits << " " << format.group;
    EXPECT_LT(ErrorOf(values, FromGroups(format, values, importance), importance),
              ErrorOf(values, FromGroups(format, values), importance))
        << format.bits << " " << format.group;
  }
}

TEST(GroupSearchTest, NothingBreaksIt) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  for (const GroupFormat& format : kGroupFormats) {
    for (const float value : {0.0f, 1.0f, -1.0f, 1e-40f, 3e38f, inf, nan}) {
      std::vector<float> values(128, value);
      values[5] = -value;
      for (const float back : FromGroups(format, values)) EXPECT_TRUE(std::isfinite(back)) << value;
    }
    const std::vector<float> same(128, 0.75f);
    EXPECT_LE(ErrorOf(same, FromGroups(format, same)), 0x1p-16) << "bfloat16's own rounding";
    SearchedRow row(format, 128);
    row.Search(NormalValues(128, 1.0f, 3), {});
    const float chosen = row.Choose(7, 0.25f);
    std::vector<float> decoded(128);
    row.Decode(decoded);
    EXPECT_EQ(decoded[7], chosen);
  }
}

TEST(BlockSearchTest, WhatAFormatHoldsComesBack) {
  for (const Dtype dtype : {Dtype::kQ4_0, Dtype::kQ8_0, Dtype::kIq4Nl, Dtype::kQ4_1, Dtype::kQ5_1}) {
    const std::vector<float> values = Searched(dtype, NormalValues(32 * 64, 0.02f, 4));
    const std::vector<float> again = Searched(dtype, values);
    EXPECT_LE(ErrorOf(values, again), 1e-7) << GetDtypeInfo(dtype).name;
  }
}

TEST(BlockSearchTest, LosesLessThanThePlainEncoder) {
  const std::vector<float> values = NormalValues(256 * 64, 0.02f, 1);
  for (const Dtype dtype : {Dtype::kQ4_0, Dtype::kQ8_0}) {
    std::vector<uint8_t> blocks(RowBytes(dtype, values.size()));
    EncodeRow(dtype, values, blocks.data());
    std::vector<float> plain(values.size());
    DecodeRow(dtype, blocks.data(), plain);
    const double before = ErrorOf(values, plain), now = ErrorOf(values, Searched(dtype, values));
    EXPECT_LT(now, before * (dtype == Dtype::kQ4_0 ? 0.92 : 1.0));
  }
}

// Errors of normal values: more bits lose less, and none loses more than its bits explain.
TEST(BlockSearchTest, EveryFormatLosesWhatItsBitsSay) {
  const std::vector<float> values = NormalValues(256 * 64, 0.02f, 2);
  const struct {
    Dtype dtype;
    double most;
  } bounds[] = {{Dtype::kQ2K, 0.08},    {Dtype::kQ3K, 0.026},    {Dtype::kQ4_0, 0.0075},
                {Dtype::kQ4_1, 0.0063}, {Dtype::kIq4Nl, 0.0065}, {Dtype::kIq4Xs, 0.0068},
                {Dtype::kQ4K, 0.0068},  {Dtype::kQ5_0, 0.0019},  {Dtype::kQ5_1, 0.0016},
                {Dtype::kQ5K, 0.0017},  {Dtype::kQ6K, 0.0005},   {Dtype::kQ8_0, 3e-5}};
  for (const auto& bound : bounds) {
    EXPECT_LE(ErrorOf(values, Searched(bound.dtype, values)), bound.most) << GetDtypeInfo(bound.dtype).name;
  }
}

TEST(BlockSearchTest, ImportanceMovesTheErrorToWhereItCostsLess) {
  const std::vector<float> values = NormalValues(256 * 16, 0.02f, 6);
  std::vector<float> importance(values.size(), 1.0f);
  for (size_t i = 0; i < importance.size(); i += 4) importance[i] = 100.0f;
  for (const Dtype dtype : kSearched) {
    const double with = ErrorOf(values, Searched(dtype, values, importance), importance);
    const double without = ErrorOf(values, Searched(dtype, values), importance);
    EXPECT_LT(with, 0.9 * without) << GetDtypeInfo(dtype).name;
    // All alike is the same as none, and importance of nothing says nothing.
    EXPECT_EQ(Searched(dtype, values, std::vector<float>(values.size(), 1.0f)), Searched(dtype, values));
    EXPECT_EQ(Searched(dtype, values, std::vector<float>(values.size(), 0.0f)), Searched(dtype, values));
  }
}

TEST(BlockSearchTest, NothingThatAFileMayHoldBreaksIt) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<std::vector<float>> rows(6, std::vector<float>(256, 0.0f));
  rows[1][7] = kInfinity, rows[1][8] = -kInfinity, rows[1][9] = std::nanf(""), rows[1][10] = 1.0f;
  for (float& value : rows[2]) value = 3e38f;
  for (float& value : rows[3]) value = 1e-42f;
  for (float& value : rows[4]) value = 0.25f;
  for (size_t i = 0; i < 256; ++i) rows[5][i] = i % 2 == 0 ? 1e-7f : -2e-7f;
  for (const Dtype dtype : kSearched) {
    const std::string_view name = GetDtypeInfo(dtype).name;
    EXPECT_EQ(Searched(dtype, rows[0]), rows[0]) << name;
    for (const std::vector<float>& row : rows) {
      for (const float value : Searched(dtype, row)) ASSERT_TRUE(std::isfinite(value)) << name;
    }
    EXPECT_NEAR(Searched(dtype, rows[1])[10], 1.0f, 0.01f) << name;
    for (const float value : Searched(dtype, rows[4])) EXPECT_NEAR(value, 0.25f, 0.001f) << name;
    // Alone in a row or beside others: the same bits.
    std::vector<float> two = rows[1];
    two.insert(two.end(), rows[5].begin(), rows[5].end());
    const std::vector<float> both = Searched(dtype, two), second = Searched(dtype, rows[5]);
    EXPECT_TRUE(std::equal(second.begin(), second.end(), both.begin() + 256)) << name;
  }
}

TEST(BlockSearchTest, LevelsOfASearchedRowCanBecomeOthers) {
  const std::vector<float> values = NormalValues(512, 0.02f, 12), wanted = NormalValues(512, 0.02f, 13);
  for (const Dtype dtype : kSearched) {
    const std::string_view name = GetDtypeInfo(dtype).name;
    std::vector<uint8_t> plain(RowBytes(dtype, 512)), blocks(plain.size());
    SearchRow(dtype, values, {}, plain.data());
    SearchedRow row(dtype, 512);
    row.Search(values, {});
    row.Store(blocks.data());
    EXPECT_EQ(plain, blocks) << name;
    std::vector<float> chosen(512), decoded(512), again(512);
    for (size_t i = 0; i < 512; ++i) chosen[i] = row.Choose(i, wanted[i]);
    row.Store(blocks.data());
    DecodeRow(dtype, blocks.data(), decoded);
    for (size_t i = 0; i < 512; ++i) {
      EXPECT_EQ(chosen[i], decoded[i]) << name << " " << i;
      again[i] = row.Choose(i, chosen[i]);
    }
    EXPECT_EQ(again, chosen) << name;
    EXPECT_LT(ErrorOf(wanted, chosen), dtype == Dtype::kQ2K ? 0.4 : 0.2) << name;
  }
}

TEST(BlockSearchTest, FormatsWithoutASearchAreKnown) {
  for (const Dtype dtype : kSearched) EXPECT_TRUE(CanSearch(dtype));
  EXPECT_FALSE(CanSearch(Dtype::kBf16));
  EXPECT_FALSE(CanSearch(Dtype::kIq2S));
}

}  // namespace
}  // namespace linnet
