#include "ops/context.h"

#include <algorithm>

#include "ops/attention.h"
#include "ops/matmul.h"

namespace linnet {

void OpContext::Reserve(int64_t rows, int64_t width, int64_t heads, int64_t head_dim) {
  width = (width + kActBlock - 1) / kActBlock * kActBlock;
  if (rows <= rows_ && width <= width_ && heads <= heads_ && head_dim <= head_dim_) return;
  rows_ = std::max(rows, rows_);
  width_ = std::max(width, width_);
  heads_ = std::max(heads, heads_);
  head_dim_ = std::max(head_dim, head_dim_);
  const size_t values = static_cast<size_t>(rows_ * width_);
  q_ = AlignedBuffer<int8_t>(values);
  scale_ = AlignedBuffer<float>(values / kActBlock);
  scaled_sum_ = AlignedBuffer<float>(values / kActBlock);
  sum_ = AlignedBuffer<int32_t>(values / kPanel);
  const size_t padded = static_cast<size_t>((rows_ + kMaxWideRows) * width_);
  tile_q_ = AlignedBuffer<int8_t>(padded);
  tile_scale_ = AlignedBuffer<float>(padded / kActBlock);
  tile_scaled_sum_ = AlignedBuffer<float>(padded / kActBlock);
  tile_sum_ = AlignedBuffer<int32_t>(padded / kPanel);
  const int64_t scratch = std::max(MatMulScratchFloats(), AttentionScratchFloats(heads_, head_dim_));
  thread_scratch_.clear();
  for (int t = 0; t < pool_.threads(); ++t) thread_scratch_.emplace_back(static_cast<size_t>(scratch));
  partials_ = AlignedBuffer<float>(static_cast<size_t>(AttentionPartialFloats(heads_, head_dim_)));
}

uint64_t OpContext::bytes() const {
  uint64_t total = q_.bytes() + scale_.bytes() + scaled_sum_.bytes() + sum_.bytes() + partials_.bytes();
  total += tile_q_.bytes() + tile_scale_.bytes() + tile_scaled_sum_.bytes() + tile_sum_.bytes();
  for (const AlignedBuffer<float>& buffer : thread_scratch_) total += buffer.bytes();
  return total;
}

QuantisedRows OpContext::Quantised(int64_t width) const {
  return {q_.data(), scale_.data(), sum_.data(), scaled_sum_.data(), width};
}

RowTiles OpContext::Tiles(int64_t width) const {
  return {tile_q_.data(), tile_scale_.data(), tile_sum_.data(), tile_scaled_sum_.data(), width / kActBlock};
}

}  // namespace linnet
