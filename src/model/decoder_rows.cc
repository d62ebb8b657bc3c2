// What surrounds the forward pass: workspace, positions, masks and caches.
#include <algorithm>
#include <cmath>

#include "base/bf16.h"
#include "base/check.h"
#include "model/decoder.h"
#include "ops/rope.h"

namespace linnet {
namespace {

bool SamePlan(const RopePlan& a, const RopePlan& b) {
  return a.theta == b.theta && a.linear_factor == b.linear_factor && a.rotated_pairs == b.rotated_pairs;
}

}  // namespace

int64_t WholeBlocksEnd(std::span<const KeyRange> blocks, int64_t start, int64_t begin, int64_t rows) {
  const int64_t n = static_cast<int64_t>(blocks.size());
  const int64_t end = std::min(n, begin + rows);
  if (end == n) return end;
  const KeyRange& last = blocks[static_cast<size_t>(end - 1)];
  if (last.first > last.last || last.last == start + end - 1) return end;
  const int64_t block_begin = last.first - start;
  return block_begin > begin ? block_begin : last.last - start + 1;
}

Decoder::Decoder(const ModelConfig& config, const Weights& weights, OpContext& context)
    : config_(config), weights_(weights), context_(context) {
  embed_scale_ = static_cast<float>(std::sqrt(static_cast<double>(config.hidden_size)));
  if (config.embed_scale_bf16) embed_scale_ = Bf16ToFloat(FloatToBf16(embed_scale_));
  for (const LayerPlan& plan : config.layers) {
    size_t t = 0;
    while (t < tables_.size() &&
           !(tables_[t].head_dim == plan.head_dim && SamePlan(tables_[t].plan, plan.rope)))
      ++t;
    if (t == tables_.size()) {
      RopeTable table;
      table.plan = plan.rope;
      table.head_dim = plan.head_dim;
      table.inverse_frequencies = InverseFrequencies(plan.rope.theta, plan.rope.linear_factor, plan.head_dim,
                                                     plan.rope.rotated_pairs);
      tables_.push_back(std::move(table));
    }
    layer_table_.push_back(t);
  }
}

bool DecoderOutput::Reserve(const ModelConfig& config, int64_t rows) {
  const size_t floats = static_cast<size_t>(rows * (config.hidden_size + config.vocab_size));
  if (floats <= memory_.size()) return false;
  hidden = logits = {};
  memory_ = {};
  memory_ = AlignedBuffer<float>(floats);
  return true;
}

void Decoder::Reserve(int64_t rows) {
  int64_t query = 0, kv = 0, head_dim = 0;
  for (const LayerPlan& plan : config_.layers) {
    query = std::max(query, config_.num_attention_heads * plan.head_dim);
    kv = std::max(kv, plan.kv_heads * plan.head_dim);
    head_dim = std::max(head_dim, plan.head_dim);
  }
  context_.Reserve(rows, std::max({query, config_.hidden_size, config_.intermediate_size}),
                   config_.num_attention_heads, head_dim);
  if (rows <= rows_) return;
  rows_ = 0;
  const auto take = [&](int64_t width) { return AlignedBuffer<float>(static_cast<size_t>(rows * width)); };
  x_ = take(config_.hidden_size);
  a_ = take(config_.hidden_size);
  branch_ = take(std::max(2 * (query + kv), 2 * config_.intermediate_size));
  for (RopeTable& table : tables_) {
    table.cos = take(table.plan.rotated_pairs);
    table.sin = take(table.plan.rotated_pairs);
  }
  positions_.resize(static_cast<size_t>(rows));
  visible_.resize(static_cast<size_t>(rows));
  rows_ = rows;
}

uint64_t Decoder::bytes() const {
  uint64_t total = context_.bytes();
  for (const auto* buffer : {&x_, &a_, &branch_}) total += buffer->bytes();
  for (const RopeTable& table : tables_) total += table.cos.bytes() + table.sin.bytes();
  return total;
}

void Decoder::PlanRows(const Batch& batch) {
  size_t t = 0;
  for (const Sequence& sequence : batch.sequences) {
    for (int64_t r = 0; r < sequence.rows; ++r) positions_[t++] = sequence.cache->length() + r;
    sequence.cache->BeginRows(sequence.rows);
  }
  LINNET_CHECK(static_cast<int64_t>(t) == batch_rows_);
  for (const RopeTable& table : tables_) {
    FillRopeTable(table.inverse_frequencies, {positions_.data(), t}, Cos(table), Sin(table));
  }
}

Rows Decoder::Cos(const RopeTable& table) const {
  return MakeRows(const_cast<float*>(table.cos.data()), batch_rows_, table.plan.rotated_pairs);
}

Rows Decoder::Sin(const RopeTable& table) const {
  return MakeRows(const_cast<float*>(table.sin.data()), batch_rows_, table.plan.rotated_pairs);
}

// The mask rules (docs/model.md, "Masks"), each an interval of keys:
//            full layers        sliding layers
//   rule A   causal             window and (causal or same block)
//   rule B   causal or block    (causal and window) or same block
void Decoder::VisibleKeys(const LayerPlan& plan, const Batch& batch) {
  size_t t = 0;
  for (const Sequence& sequence : batch.sequences) {
    for (int64_t r = 0; r < sequence.rows; ++r, ++t) {
      const int64_t position = positions_[t];
      KeyRange keys{plan.window > 0 ? std::max<int64_t>(0, position - plan.window + 1) : 0, position};
      const bool in_block = !sequence.blocks.empty() &&
                            sequence.blocks[static_cast<size_t>(r)].first <= position &&
                            position <= sequence.blocks[static_cast<size_t>(r)].last;
      if (in_block && (plan.window > 0 || batch.mask_rule == MaskRule::kB)) {
        const KeyRange& block = sequence.blocks[static_cast<size_t>(r)];
        keys.last = block.last;
        if (batch.mask_rule == MaskRule::kB) keys.first = std::min(keys.first, block.first);
      }
      visible_[t] = keys;
    }
  }
}

// A sequence's rows are appended some at a time, each of which attend before the next, so that the rings of
// sliding layers need no room for a whole call.
void Decoder::AppendAndAttend(int64_t l, const Batch& batch, const AttentionRows& rows) {
  VisibleKeys(config_.layers[static_cast<size_t>(l)], batch);
  int64_t first = 0;
  for (const Sequence& sequence : batch.sequences) {
    KvStore& store = sequence.cache->layer(l);
    const int64_t start = positions_[static_cast<size_t>(first)], most = sequence.cache->rows_at_once();
    for (int64_t begin = 0, end = 0; begin < sequence.rows; begin = end) {
      end = sequence.blocks.empty() ? std::min(begin + most, sequence.rows)
                                    : WholeBlocksEnd(sequence.blocks, start, begin, most);
      const int64_t at = first + begin, count = end - begin;
      store.Write(context_, start + begin, rows.k.Slice(at, count), rows.v.Slice(at, count));
      const auto visible = std::span(visible_).subspan(static_cast<size_t>(at), static_cast<size_t>(count));
      Attention(context_, {rows.q.Slice(at, count), visible, config_.attention_scale}, store,
                rows.out.Slice(at, count));
    }
    first += sequence.rows;
  }
}

}  // namespace linnet
