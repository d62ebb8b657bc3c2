// What surrounds the forward pass: workspace, embeddings, positions, masks and caches.
#include <algorithm>
#include <cmath>

#include "base/bf16.h"
#include "base/check.h"
#include "model/decoder.h"
#include "ops/elementwise.h"
#include "ops/rope.h"

namespace linnet {
namespace {

// The widest layer's; `kv` of those with keys of their own.
struct Widths {
  int64_t query = 0, kv = 0, head = 0, feed_forward = 0;
};

Widths WidthsOf(const ModelConfig& config) {
  Widths widths;
  for (const LayerPlan& plan : config.layers) {
    widths.query = std::max(widths.query, config.num_attention_heads * plan.head_dim);
    if (plan.has_keys()) widths.kv = std::max(widths.kv, plan.kv_heads * plan.head_dim);
    widths.head = std::max(widths.head, plan.head_dim);
    widths.feed_forward = std::max(widths.feed_forward, plan.intermediate_size);
  }
  return widths;
}

}  // namespace

DecoderLayers::LayerWorkspace::LayerWorkspace(const ModelConfig& config) {
  for (const LayerPlan& plan : config.layers) {
    const auto same = std::ranges::find_if(tables, [&](const RopeTable& table) {
      return table.head_dim == plan.head_dim && table.plan == plan.rope;
    });
    layer_table.push_back(static_cast<size_t>(same - tables.begin()));
    if (same != tables.end()) continue;
    tables.push_back({plan.rope, plan.head_dim,
                      InverseFrequencies(plan.rope.theta, plan.rope.linear_factor, plan.head_dim,
                                         plan.rope.rotated_pairs)});
  }
}

void DecoderLayers::LayerWorkspace::List(BufferList& list, const ModelConfig& config, int64_t rows) {
  const Widths widths = WidthsOf(config);
  list.Add(x, rows * config.hidden_size);
  list.Add(a, rows * config.hidden_size);
  list.Add(branch, rows * 2 * std::max(widths.query + widths.kv, widths.feed_forward));
  for (RopeTable& table : tables) {
    list.Add(table.cos, rows * table.plan.rotated_pairs);
    list.Add(table.sin, rows * table.plan.rotated_pairs);
  }
}

OpShape DecoderLayers::PlannedOps(const ModelConfig& config, int64_t rows) {
  const Widths widths = WidthsOf(config);
  return {rows, std::max({widths.query, config.hidden_size, widths.feed_forward}), config.num_attention_heads,
          widths.head};
}

void DecoderLayers::BeginRows(std::span<const int64_t> positions) {
  batch_rows_ = static_cast<int64_t>(positions.size());
  for (RopeTable& table : workspace_.tables) {
    FillRopeTable(table.inverse_frequencies, positions, Take(table.cos, table.plan.rotated_pairs),
                  Take(table.sin, table.plan.rotated_pairs));
  }
}

void DecoderLayers::Rotate(int64_t l, Rows heads) {
  RopeTable& table = workspace_.tables[workspace_.layer_table[static_cast<size_t>(l)]];
  const int64_t pairs = table.plan.rotated_pairs;
  Rope(context_, heads, table.head_dim, Take(table.cos, pairs), Take(table.sin, pairs));
}

Decoder::Decoder(const ModelConfig& config, const Weights& weights, OpContext& context)
    : DecoderLayers(config, weights.layers, context), weights_(weights), masks_(config) {}

Decoder::Masks::Masks(const ModelConfig& config) {
  for (const LayerPlan& plan : config.layers) {
    const auto same = std::ranges::find(visible, plan.window, &Visibility::window);
    layer_visible.push_back(static_cast<size_t>(same - visible.begin()));
    if (same == visible.end()) visible.push_back({plan.window, {}});
  }
}

void Decoder::Masks::List(BufferList& list, int64_t rows) {
  for (Visibility& kind : visible) list.Add(kind.keys, rows);
  list.Add(pieces, rows);
}

uint64_t Decoder::PlannedBytes(const ModelConfig& config, int64_t rows) {
  return BytesOf(LayerWorkspace(config), config, rows) + BytesOf(Masks(config), rows);
}

void Decoder::Reserve(int64_t rows) {
  context_.Reserve(PlannedOps(config_, rows));
  if (rows <= rows_) return;
  rows_ = 0;
  Allocate(workspace_, config_, rows);
  Allocate(masks_, rows);
  rows_ = rows;
}

void Decoder::BeginStep(Step& step) {
  LINNET_CHECK(step.rows() <= rows_);
  step_ = &step;
  next_ = {};
  for (const Step::Sequence& s : step.sequences_) s.rows.cache->BeginRows(s.count());
  BeginRows(step.positions_);
  for (Visibility& visible : masks_.visible) FindVisible(visible);
}

void Decoder::EmbedRows(const Step& step, Rows x) {
  for (const Step::Sequence& s : step.sequences_) {
    int64_t soft = 0;
    for (int64_t r = 0; r < s.count(); ++r) {
      if (s.rows.ids[static_cast<size_t>(r)] >= 0) continue;
      const float* row = s.rows.soft.row(soft++);  // replaces the row as it is: no embedding scale
      std::copy(row, row + x.width, x.row(s.first + r));
    }
  }
  ForRows(context_, x, [&](int64_t t) {
    const int32_t id = step.ids_[static_cast<size_t>(t)];
    if (id >= 0) Embed(id, {x.row(t), static_cast<size_t>(x.width)});
  });
}

void Decoder::Embed(int32_t id, std::span<float> out) const {
  UnpackRow(weights_.embed_tokens, id, out);
  float scale = std::sqrt(static_cast<float>(config_.hidden_size));
  if (config_.embed_scale_bf16) scale = Bf16ToFloat(FloatToBf16(scale));
  for (float& value : out) value *= scale;
}

// The mask rules (docs/model.md, "Masks"), each an interval of keys:
//            full layers        sliding layers
//   rule A   causal             window and (causal or same block)
//   rule B   causal or block    (causal and window) or same block
void Decoder::FindVisible(Visibility& visible) const {
  const int64_t window = visible.window;
  for (const Step::Sequence& s : step_->sequences_) {
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
void Decoder::AttendToKeys(int64_t l, const AttentionRows& rows) {
  const Visibility& visible = masks_.visible[masks_.layer_visible[static_cast<size_t>(l)]];
  masks_.pieces.clear();
  for (const Step::Sequence& s : step_->sequences_)
    masks_.pieces.push_back({&s.rows.cache->layer(l), s.first, 0});
  while (NextPieces(visible.window)) {
    WritePieces(l, rows);
    Attention(context_, {rows.q, visible.keys, config_.attention_scale}, masks_.pieces, rows.out);
  }
}

// Moves every sequence's piece on; false when all have come to their end.
bool Decoder::NextPieces(int64_t window) {
  bool any = false;
  for (size_t i = 0; i < masks_.pieces.size(); ++i) {
    const Step::Sequence& s = step_->sequences_[i];
    const int64_t begin = masks_.pieces[i].first + masks_.pieces[i].rows - s.first;
    const int64_t most = window > 0 ? s.rows.cache->rows_at_once() : s.count();
    const int64_t end = s.rows.blocks.empty() ? std::min(begin + most, s.count())
                                              : WholeBlocksEnd(s.rows.blocks, s.start, begin, most);
    masks_.pieces[i].first = s.first + begin;
    masks_.pieces[i].rows = end - begin;
    any = any || end > begin;
  }
  return any;
}

void Decoder::WritePieces(int64_t l, const AttentionRows& rows) {
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (size_t i = 0; i < masks_.pieces.size(); ++i) {
      const Step::Sequence& s = step_->sequences_[i];
      const int64_t last = std::min(end, masks_.pieces[i].first + masks_.pieces[i].rows);
      for (int64_t t = std::max(begin, masks_.pieces[i].first); t < last; ++t) {
        s.rows.cache->layer(l).Write(s.start + t - s.first, rows.k.row(t), rows.v.row(t));
      }
    }
  };
  context_.pool().For(rows.k.rows, range, 8 * rows.k.rows * rows.k.width);
}

}  // namespace linnet
