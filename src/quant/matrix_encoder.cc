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
template <typename Format>
std::vector<SearchedRow> SearchRows(const Format& format, std::span<const float> values, size_t width,
                                    const InputKnowledge& inputs) {
  std::vector<SearchedRow> searched;
  for (size_t first = 0; first < values.size(); first += width) {
    searched.emplace_back(format, width).Search(values.subspan(first, width), inputs.importance);
  }
  if (inputs.feedback != nullptr) {
    std::vector<float> left(values.begin(), values.end());
    inputs.feedback->Round(searched, left);
  }
  return searched;
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

// A few rows at a time on all threads: `encode` takes the first of them, their values, and where the values
// go that they decode to.
void MatrixEncoder::ForRows(
    std::span<const float> values, size_t width,
    const std::function<void(size_t, std::span<const float>, std::span<float>)>& encode,
    const LossShape& shape, EncodingLoss& loss) {
  const size_t rows = values.size() / width;
  losses_.assign(rows, {});
  scratch_.resize(static_cast<size_t>(pool_.threads()));
  for (std::vector<float>& decoded : scratch_) decoded.resize(kRowsTogether * width);
  pool_.For(static_cast<int64_t>(rows), [&](int64_t begin, int64_t end, int thread) {
    std::vector<float>& decoded = scratch_[static_cast<size_t>(thread)];
    for (size_t first = static_cast<size_t>(begin); first < static_cast<size_t>(end);
         first += kRowsTogether) {
      const size_t count = std::min(kRowsTogether, static_cast<size_t>(end) - first);
      const std::span<const float> from = values.subspan(first * width, count * width);
      encode(first, from, std::span(decoded).first(from.size()));
      for (size_t r = 0; r < count; ++r) {
        losses_[first + r] =
            LossOf(from.subspan(r * width, width), std::span(decoded).subspan(r * width, width),
                   shape.importance, shape.block);
      }
    }
  });
  for (const EncodingLoss& of_row : losses_) loss.Add(of_row);
}

std::span<const uint8_t> MatrixEncoder::Encode(Dtype dtype, std::span<const float> values, int64_t row,
                                               const InputKnowledge& inputs, EncodingLoss& loss) {
  const size_t width = static_cast<size_t>(row), row_bytes = RowBytes(dtype, width);
  const size_t block = static_cast<size_t>(GetDtypeInfo(dtype).block_elements);
  const bool search = CanSearch(dtype);
  encoded_.resize(values.size() / width * row_bytes);
  const auto encode = [&](size_t first, std::span<const float> from, std::span<float> decoded) {
    uint8_t* to = encoded_.data() + first * row_bytes;
    if (search) {
      const std::vector<SearchedRow> rows = SearchRows(dtype, from, width, inputs);
      for (size_t r = 0; r < rows.size(); ++r) rows[r].Store(to + r * row_bytes);
    } else {
      EncodeRow(dtype, from, to);
    }
    DecodeRow(dtype, to, decoded);
  };
  ForRows(values, width, encode, {inputs.importance, block > 1 ? block : width}, loss);
  return encoded_;
}

EncodedGroups MatrixEncoder::EncodeGroups(const GroupFormat& format, std::span<const float> values,
                                          int64_t row, const InputKnowledge& inputs, EncodingLoss& loss) {
  const size_t width = static_cast<size_t>(row), rows = values.size() / width;
  const size_t groups = width / static_cast<size_t>(format.group);
  const size_t row_bytes = width * static_cast<size_t>(format.bits) / 8;
  encoded_.resize(rows * row_bytes);
  steps_.resize(rows * groups);
  offsets_.resize(format.offset ? rows * groups : 0);
  const auto encode = [&](size_t first, std::span<const float> from, std::span<float> decoded) {
    const std::vector<SearchedRow> searched = SearchRows(format, from, width, inputs);
    for (size_t r = 0; r < searched.size(); ++r) {
      const size_t at = (first + r) * groups;
      searched[r].StoreGroups(encoded_.data() + (first + r) * row_bytes, steps_.data() + at,
                              format.offset ? offsets_.data() + at : nullptr);
      searched[r].Decode(decoded.subspan(r * width, width));
    }
  };
  ForRows(values, width, encode, {inputs.importance, static_cast<size_t>(format.group)}, loss);
  return {encoded_, steps_, offsets_};
}

}  // namespace linnet
