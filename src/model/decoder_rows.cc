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

// The widest layer's.
struct Widths {
  int64_t query = 0, kv = 0, head = 0;
};

Widths WidthsOf(const ModelConfig& config) {
  Widths widths;
  for (const LayerPlan& plan : config.layers) {
    widths.query = std::max(widths.query, config.num_attention_heads * plan.head_dim);
    widths.kv = std::max(widths.kv, plan.kv_heads * plan.head_dim);
    widths.head = std::max(widths.head, plan.head_dim);
  }
  return widths;
}

}  // namespace

Decoder::Decoder(const ModelConfig& config, const Weights& weights, OpContext& context)
    : config_(config), weights_(weights), context_(context), workspace_(config) {
  embed_scale_ = static_cast<float>(std::sqrt(static_cast<double>(config.hidden_size)));
  if (config.embed_scale_bf16) embed_scale_ = Bf16ToFloat(FloatToBf16(embed_scale_));
}

Decoder::Workspace::Workspace(const ModelConfig& config) {
  for (const LayerPlan& plan : config.layers) {
    size_t t = 0;
    while (t < tables.size() && !(tables[t].head_dim == plan.head_dim && SamePlan(tables[t].plan, plan.rope)))
      ++t;
    if (t == tables.size()) {
      RopeTable table;
      table.plan = plan.rope;
      table.head_dim = plan.head_dim;
      table.inverse_frequencies = InverseFrequencies(plan.rope.theta, plan.rope.linear_factor, plan.head_dim,
                                                     plan.rope.rotated_pairs);
      tables.push_back(std::move(table));
    }
    layer_table.push_back(t);
    const auto same = std::ranges::find(visible, plan.window, &Visibility::window);
    layer_visible.push_back(static_cast<size_t>(same - visible.begin()));
    if (same == visible.end()) visible.push_back({plan.window, {}});
  }
}

void Decoder::Workspace::List(BufferList& list, const ModelConfig& config, int64_t rows) {
  const Widths widths = WidthsOf(config);
  list.Add(x, rows * config.hidden_size);
  list.Add(a, rows * config.hidden_size);
  list.Add(branch, rows * 2 * std::max(widths.query + widths.kv, config.WidestFeedForward()));
  for (RopeTable& table : tables) {
    list.Add(table.cos, rows * table.plan.rotated_pairs);
    list.Add(table.sin, rows * table.plan.rotated_pairs);
  }
  for (Visibility& kind : visible) list.Add(kind.keys, rows);
  list.Add(pieces, rows);
}

OpShape Decoder::PlannedOps(const ModelConfig& config, int64_t rows) {
  const Widths widths = WidthsOf(config);
  return {rows, std::max({widths.query, config.hidden_size, config.WidestFeedForward()}),
          config.num_attention_heads, widths.head};
}

uint64_t Decoder::PlannedBytes(const ModelConfig& config, int64_t rows) {
  return BytesOf(Workspace(config), config, rows);
}

void Decoder::Reserve(int64_t rows) {
  context_.Reserve(PlannedOps(config_, rows));
  if (rows <= rows_) return;
  rows_ = 0;
  Allocate(workspace_, config_, rows);
  rows_ = rows;
}

void Decoder::PlanRows(const Step& step) {
  for (const Step::Sequence& s : step.sequences_) s.rows.cache->BeginRows(s.count());
  for (RopeTable& table : workspace_.tables) {
    FillRopeTable(table.inverse_frequencies, step.positions_, Cos(table), Sin(table));
  }
  for (Visibility& visible : workspace_.visible) FindVisible(step, visible);
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
  const Visibility& visible = workspace_.visible[workspace_.layer_visible[static_cast<size_t>(l)]];
  workspace_.pieces.clear();
  for (const Step::Sequence& s : step.sequences_)
    workspace_.pieces.push_back({&s.rows.cache->layer(l), s.first, 0});
  while (NextPieces(step, visible.window)) {
    WritePieces(l, step, rows);
    Attention(context_, {rows.q, visible.keys, config_.attention_scale}, workspace_.pieces, rows.out);
  }
}

// Moves every sequence's piece on; false when all have come to their end.
bool Decoder::NextPieces(const Step& step, int64_t window) {
  bool any = false;
  for (size_t i = 0; i < workspace_.pieces.size(); ++i) {
    const Step::Sequence& s = step.sequences_[i];
    const int64_t begin = workspace_.pieces[i].first + workspace_.pieces[i].rows - s.first;
    const int64_t most = window > 0 ? s.rows.cache->rows_at_once() : s.count();
    const int64_t end = s.rows.blocks.empty() ? std::min(begin + most, s.count())
                                              : WholeBlocksEnd(s.rows.blocks, s.start, begin, most);
    workspace_.pieces[i].first = s.first + begin;
    workspace_.pieces[i].rows = end - begin;
    any = any || end > begin;
  }
  return any;
}

void Decoder::WritePieces(int64_t l, const Step& step, const AttentionRows& rows) {
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (size_t i = 0; i < workspace_.pieces.size(); ++i) {
      const Step::Sequence& s = step.sequences_[i];
      const int64_t last = std::min(end, workspace_.pieces[i].first + workspace_.pieces[i].rows);
      for (int64_t t = std::max(begin, workspace_.pieces[i].first); t < last; ++t) {
        s.rows.cache->layer(l).Write(s.start + t - s.first, rows.k.row(t), rows.v.row(t));
      }
    }
  };
  context_.pool().For(rows.k.rows, range, 8 * rows.k.rows * rows.k.width);
}

}  // namespace linnet
