#include "quant/matrix_encoder.h"

#include <algorithm>

#include "tensor/block_format.h"
#include "tensor/block_search.h"

namespace linnet {
namespace {

// Of a block, relative: the rounding of its values to bfloat16.
constexpr double kExactError = 0x1p-16;

constexpr size_t kRowsTogether = 16;

EncodingLoss LossOf(std::span<const float> values, std::span<const float> decoded,
                    std::span<const float> importance, size_t block) {
  EncodingLoss loss;
  for (size_t begin = 0; begin < values.size(); begin += block) {
    double error = 0, total = 0;
    for (size_t i = begin; i < begin + block; ++i) {
      const double value = static_cast<double>(values[i]), off = value - static_cast<double>(decoded[i]);
      const double weight = importance.empty() ? 1.0 : static_cast<double>(importance[i]);
      error += off * off;
      total += value * value;
      loss.weighted_error += weight * off * off;
      loss.weighted_total += weight * value * value;
    }
    loss.error += error;
    loss.total += total;
    ++loss.blocks;
    loss.exact += error <= kExactError * total ? 1 : 0;
  }
  return loss;
}

// A few rows by search: what they share of the feedback is read once.
void SearchRows(Dtype dtype, std::span<const float> values, size_t width, const InputKnowledge& inputs,
                uint8_t* out) {
  const size_t rows = values.size() / width, row_bytes = RowBytes(dtype, width);
  std::vector<SearchedRow> searched;
  for (size_t r = 0; r < rows; ++r) {
    searched.emplace_back(dtype, width).Search(values.subspan(r * width, width), inputs.importance);
  }
  if (inputs.feedback != nullptr) {
    std::vector<float> left(values.begin(), values.end());
    inputs.feedback->Round(searched, left);
  }
  for (size_t r = 0; r < rows; ++r) searched[r].Store(out + r * row_bytes);
}

}  // namespace

bool CanWrite(Dtype dtype) { return CanEncode(dtype) || CanSearch(dtype); }

void EncodingLoss::Add(const EncodingLoss& other) {
  error += other.error;
  total += other.total;
  weighted_error += other.weighted_error;
  weighted_total += other.weighted_total;
  blocks += other.blocks;
  exact += other.exact;
}

std::span<const uint8_t> MatrixEncoder::Encode(Dtype dtype, std::span<const float> values, int64_t row,
                                               const InputKnowledge& inputs, EncodingLoss& loss) {
  const size_t width = static_cast<size_t>(row), rows = values.size() / width;
  const size_t row_bytes = RowBytes(dtype, width);
  const size_t block = static_cast<size_t>(GetDtypeInfo(dtype).block_elements);
  const bool search = CanSearch(dtype);
  encoded_.resize(rows * row_bytes);
  losses_.assign(rows, {});
  scratch_.resize(static_cast<size_t>(pool_.threads()));
  for (std::vector<float>& decoded : scratch_) decoded.resize(width);
  pool_.For(static_cast<int64_t>(rows), [&](int64_t begin, int64_t end, int thread) {
    std::vector<float>& decoded = scratch_[static_cast<size_t>(thread)];
    for (size_t first = static_cast<size_t>(begin); first < static_cast<size_t>(end);
         first += kRowsTogether) {
      const size_t count = std::min(kRowsTogether, static_cast<size_t>(end) - first);
      const std::span<const float> from = values.subspan(first * width, count * width);
      uint8_t* to = encoded_.data() + first * row_bytes;
      if (search) {
        SearchRows(dtype, from, width, inputs, to);
      } else {
        EncodeRow(dtype, from, to);
      }
      for (size_t r = 0; r < count; ++r) {
        DecodeRow(dtype, to + r * row_bytes, decoded);
        losses_[first + r] =
            LossOf(from.subspan(r * width, width), decoded, inputs.importance, block > 1 ? block : width);
      }
    }
  });
  for (const EncodingLoss& of_row : losses_) loss.Add(of_row);
  return encoded_;
}

}  // namespace linnet
