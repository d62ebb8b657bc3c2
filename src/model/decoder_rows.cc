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
    const auto same = std::ranges::find(visible_, plan.window, &Visibility::window);
    layer_visible_.push_back(static_cast<size_t>(same - visible_.begin()));
    if (same == visible_.end()) visible_.push_back({plan.window, {}});
  }
}

void Decoder::Reserve(int64_t rows) {
  int64_t query = 0, kv = 0, head_dim = 0;
  for (const LayerPlan& plan : config_.layers) {
    query = std::max(query, config_.num_attention_heads * plan.head_dim);
    kv = std::max(kv, plan.kv_heads * plan.head_dim);
    head_dim = std::max(head_dim, plan.head_dim);
  }
  context_.Reserve(rows, std::max({query, config_.hidden_size, config_.WidestFeedForward()}),
                   config_.num_attention_heads, head_dim);
  if (rows <= rows_) return;
  rows_ = 0;
  const auto take = [&](int64_t width) { return AlignedBuffer<float>(static_cast<size_t>(rows * width)); };
  x_ = take(config_.hidden_size);
  a_ = take(config_.hidden_size);
  branch_ = take(std::max(2 * (query + kv), 2 * config_.WidestFeedForward()));
  for (RopeTable& table : tables_) {
    table.cos = take(table.plan.rotated_pairs);
    table.sin = take(table.plan.rotated_pairs);
  }
  for (Visibility& visible : visible_) visible.keys.resize(static_cast<size_t>(rows));
  pieces_.reserve(static_cast<size_t>(rows));
  rows_ = rows;
}

uint64_t Decoder::bytes() const {
  uint64_t total = context_.bytes();
  for (const auto* buffer : {&x_, &a_, &branch_}) total += buffer->bytes();
  for (const RopeTable& table : tables_) total += table.cos.bytes() + table.sin.bytes();
  return total;
}

void Decoder::PlanRows(const Step& step) {
  for (const Step::Sequence& s : step.sequences_) s.rows.cache->BeginRows(s.count());
  for (RopeTable& table : tables_) {
    FillRopeTable(table.inverse_frequencies, step.positions_, Cos(table), Sin(table));
  }
  for (Visibility& visible : visible_) FindVisible(step, visible);
}

Rows Decoder::Cos(RopeTable& table) const {
  return MakeRows(table.cos.data(), batch_rows_, table.plan.rotated_pairs);
}

Rows Decoder::Sin(RopeTable& table) const {
  return MakeRows(table.sin.data(), batch_rows_, table.plan.rotated_pairs);
}

// The mask rules (docs/model.md, "Masks"), each an interval of keys:
//            full layers        sliding layers
//   rule A   causal             window and (causal or same block)
//   rule B   causal or block    (causal and window) or same block
void Decoder::FindVisible(const Step& step, Visibility& visible) const {
  const int64_t window = visible.window;
  for (const Step::Sequence& s : step.sequences_) {
    for (int64_t r = 0; r < s.count(); ++r) {
      const int64_t position = s.start + r;
      KeyRange keys{window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, position};
      const KeyRange block = s.rows.blocks.empty() ? KeyRange{0, -1} : s.rows.blocks[static_cast<size_t>(r)];
      const bool in_block = block.first <= position && position <= block.last;
      if (in_block && (window > 0 || s.rows.mask_rule == MaskRule::kB)) {
        keys.last = block.last;
        if (s.rows.mask_rule == MaskRule::kB) keys.first = std::min(keys.first, block.first);
      }
      visible.keys[static_cast<size_t>(s.first + r)] = keys;
    }
  }
}

// The rows of a long sequence are appended some at a time, each of which attend before the next, so that the
// rings of sliding layers need no room for a whole call. Short sequences take part in the first round only.
void Decoder::AppendAndAttend(int64_t l, const Step& step, const AttentionRows& rows) {
  const Visibility& visible = visible_[layer_visible_[static_cast<size_t>(l)]];
  pieces_.clear();
  for (const Step::Sequence& s : step.sequences_) pieces_.push_back({&s.rows.cache->layer(l), s.first, 0});
  while (NextPieces(step, visible.window)) {
    WritePieces(l, step, rows);
    Attention(context_, {rows.q, visible.keys, config_.attention_scale}, pieces_, rows.out);
  }
}

// Moves every sequence's piece on; false when all have come to their end.
bool Decoder::NextPieces(const Step& step, int64_t window) {
  bool any = false;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const Step::Sequence& s = step.sequences_[i];
    const int64_t begin = pieces_[i].first + pieces_[i].rows - s.first;
    const int64_t most = window > 0 ? s.rows.cache->rows_at_once() : s.count();
    const int64_t end = s.rows.blocks.empty() ? std::min(begin + most, s.count())
                                              : WholeBlocksEnd(s.rows.blocks, s.start, begin, most);
    pieces_[i].first = s.first + begin;
    pieces_[i].rows = end - begin;
    any = any || end > begin;
  }
  return any;
}

void Decoder::WritePieces(int64_t l, const Step& step, const AttentionRows& rows) {
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const Step::Sequence& s = step.sequences_[i];
      const int64_t last = std::min(end, pieces_[i].first + pieces_[i].rows);
      for (int64_t t = std::max(begin, pieces_[i].first); t < last; ++t) {
        s.rows.cache->layer(l).Write(s.start + t - s.first, rows.k.row(t), rows.v.row(t));
      }
    }
  };
  context_.pool().For(rows.k.rows, range, 8 * rows.k.rows * rows.k.width);
}

}  // namespace linnet
