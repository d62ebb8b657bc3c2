#include "media/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"

namespace linnet {
namespace {

// Output samples computed together: one register's worth of bytes.
constexpr int64_t kLanes = 16;
// Rows of a horizontal block: 16 rows of 3 channels are three groups of lanes.
constexpr int64_t kBlockRows = 16;
constexpr int64_t kBlockLanes = 3 * kBlockRows;

// The weights of one output.
struct Weights {
  const int16_t* values;
  int count, bits;
};

// Weights of one pass: output i is the sum of count[i] inputs from first[i] on.
struct Taps {
  int64_t stride = 0;  // weights a row
  int bits = 0;        // fraction bits of the weights
  std::vector<int64_t> first;
  std::vector<int> count;
  std::vector<int16_t> weights;  // (outputs, stride)

  Weights of(int64_t output) const {
    return {&weights[static_cast<size_t>(output * stride)], count[static_cast<size_t>(output)], bits};
  }
};

double Cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
  return 0.0;
}

// The reference's table; the order of the float64 operations decides the rounding of the weights.
Taps MakeTaps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = scale >= 1.0 ? 2.0 * scale : 2.0;
  const double inverse = scale >= 1.0 ? 1.0 / scale : 1.0;
  Taps taps;
  const int64_t longest = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.stride = std::min(longest, in);
  taps.first.resize(static_cast<size_t>(out));
  taps.count.resize(static_cast<size_t>(out));
  std::vector<double> exact(static_cast<size_t>(out * taps.stride));
  double largest = 0.0;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = scale * (static_cast<double>(i) + 0.5);
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const int64_t end = std::min(static_cast<int64_t>(centre + support + 0.5), in);
    const int64_t count = std::clamp<int64_t>(end - first, 0, taps.stride);
    double* row = &exact[static_cast<size_t>(i * taps.stride)];
    double total = 0.0;
    for (int64_t j = 0; j < count; ++j) {
      row[j] = Cubic((static_cast<double>(j + first) - centre + 0.5) * inverse);
      total += row[j];
    }
    for (int64_t j = 0; j < count; ++j) {
      row[j] /= total;
      largest = std::max(largest, row[j]);
    }
    taps.first[static_cast<size_t>(i)] = first;
    taps.count[static_cast<size_t>(i)] = static_cast<int>(count);
  }
  while (taps.bits < 22 && static_cast<int>(0.5 + largest * (1 << (taps.bits + 1))) < 32768) ++taps.bits;
  taps.weights.resize(exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    const double scaled = exact[i] * (1 << taps.bits);
    taps.weights[i] =
        static_cast<int16_t>(exact[i] < 0 ? static_cast<int>(-0.5 + scaled) : static_cast<int>(0.5 + scaled));
  }
  return taps;
}

// out[l] = clamp((half + sum_j weights[j] * in[j * stride + l]) >> bits), l = 0..kLanes-1. The products are
// written as 16 x 16 -> 32 bits, which compilers turn into the short multiplications every vector unit has.
inline void WeightedSum(const uint8_t* in, int64_t stride, const Weights& weights, uint8_t* out) {
  const int bits = weights.bits;
  int32_t sum[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) sum[l] = 1 << (bits - 1);
  for (int j = 0; j < weights.count; ++j) {
    const int16_t weight = weights.values[j];
    const uint8_t* row = in + j * stride;
    for (int64_t l = 0; l < kLanes; ++l) {
      sum[l] += static_cast<int32_t>(static_cast<int16_t>(row[l])) * static_cast<int32_t>(weight);
    }
  }
  for (int64_t l = 0; l < kLanes; ++l) out[l] = static_cast<uint8_t>(std::clamp(sum[l] >> bits, 0, 255));
}

// Rows `rows` x `in_width` of RGB become `out_width` wide. Sixteen rows at a time are turned so that one
// column of them is contiguous; the same weight then applies to all lanes.
void HorizontalPass(const uint8_t* in, int64_t rows, int64_t in_width, int64_t out_width, uint8_t* out) {
  const Taps taps = MakeTaps(in_width, out_width);
  std::vector<uint8_t> turned(static_cast<size_t>(in_width * kBlockLanes));
  uint8_t result[kBlockLanes];
  for (int64_t y = 0; y < rows; y += kBlockRows) {
    const int64_t block = std::min(kBlockRows, rows - y);
    for (int64_t r = 0; r < block; ++r) {
      const uint8_t* row = in + 3 * (y + r) * in_width;
      for (int64_t x = 0; x < in_width; ++x)
        std::memcpy(&turned[static_cast<size_t>(x * kBlockLanes + 3 * r)], row + 3 * x, 3);
    }
    for (int64_t x = 0; x < out_width; ++x) {
      const uint8_t* columns = &turned[static_cast<size_t>(taps.first[static_cast<size_t>(x)] * kBlockLanes)];
      const Weights weights = taps.of(x);
      for (int64_t l = 0; l < kBlockLanes; l += kLanes) {
        WeightedSum(columns + l, kBlockLanes, weights, result + l);
      }
      for (int64_t r = 0; r < block; ++r) std::memcpy(out + 3 * ((y + r) * out_width + x), result + 3 * r, 3);
    }
  }
}

void VerticalPass(const uint8_t* in, int64_t in_height, int64_t out_height, int64_t row_bytes, uint8_t* out) {
  const Taps taps = MakeTaps(in_height, out_height);
  for (int64_t y = 0; y < out_height; ++y) {
    const uint8_t* rows = in + taps.first[static_cast<size_t>(y)] * row_bytes;
    const Weights weights = taps.of(y);
    uint8_t* row = out + y * row_bytes;
    int64_t l = 0;
    for (; l + kLanes <= row_bytes; l += kLanes) WeightedSum(rows + l, row_bytes, weights, row + l);
    for (; l < row_bytes; ++l) {
      int32_t sum = 1 << (taps.bits - 1);
      for (int j = 0; j < weights.count; ++j) sum += rows[j * row_bytes + l] * weights.values[j];
      row[l] = static_cast<uint8_t>(std::clamp(sum >> taps.bits, 0, 255));
    }
  }
}

}  // namespace

Picture Resize(const Picture& picture, int64_t height, int64_t width) {
  LINNET_CHECK(height > 0 && width > 0 && picture.height > 0 && picture.width > 0);
  LINNET_CHECK(picture.rgb.size() == static_cast<size_t>(3 * picture.width * picture.height));
  Picture result;
  result.width = width;
  result.height = height;
  result.format = picture.format;
  result.note = picture.note;
  const std::vector<uint8_t>* from = &picture.rgb;
  std::vector<uint8_t> wide;  // after the horizontal pass, (picture.height, width, 3)
  if (width != picture.width) {
    wide.resize(static_cast<size_t>(3 * picture.height * width));
    HorizontalPass(from->data(), picture.height, picture.width, width, wide.data());
    from = &wide;
  }
  if (height == picture.height) {
    result.rgb = from == &wide ? std::move(wide) : *from;
    return result;
  }
  result.rgb.resize(static_cast<size_t>(3 * height * width));
  VerticalPass(from->data(), picture.height, height, 3 * width, result.rgb.data());
  return result;
}

}  // namespace linnet
