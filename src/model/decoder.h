// The decoder: token and soft-token rows in, logits out. decoder.cc is the page to read first.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "linnet/options.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/probe.h"
#include "model/weights.h"
#include "ops/attention.h"
#include "ops/context.h"

namespace linnet {

// Consecutive rows of one sequence in a batch. They are appended to its cache.
struct Sequence {
  KvCache* cache = nullptr;
  int64_t rows = 0;
  // Of every row: the absolute positions of the image block it belongs to; first > last where it belongs to
  // none. Empty when no row belongs to one. Blocks are whole: all their rows are in this call.
  std::span<const KeyRange> blocks;
};

// Where a piece of at most `rows` rows that begins at row `begin` ends, so that no block is split: in front
// of a block that does not fit, or behind it where it alone is longer. `blocks` as in a Sequence, one a row;
// row 0 is at position `start`.
int64_t WholeBlocksEnd(std::span<const KeyRange> blocks, int64_t start, int64_t begin, int64_t rows);

// What one call computes. Rows of all sequences lie one after another.
struct Batch {
  std::span<const int32_t> ids;         // (T); a negative id takes the next row of `soft`
  Rows soft;                            // soft tokens, in order; may be empty
  std::span<const Sequence> sequences;  // their rows add up to T
  std::span<const int64_t> logit_rows;  // rows whose logits are wanted
  MaskRule mask_rule = MaskRule::kA;
  const std::atomic<bool>* cancel = nullptr;  // looked at before each layer; may be null
};

// What a call computed, in memory of its owner: no other call touches it.
struct DecoderOutput {
  Rows hidden;  // (logit rows, D) after the final norm: what the head and the drafter see
  Rows logits;  // (logit rows, V) after the soft-cap, before suppression

  // Room for the results of so many rows. True where it had to grow: what was there is lost. Throws
  // std::bad_alloc.
  bool Reserve(const ModelConfig& config, int64_t rows);
  uint64_t bytes() const { return memory_.bytes(); }

 private:
  AlignedBuffer<float> memory_;
  friend class Decoder;
};

class Decoder {
 public:
  Decoder(const ModelConfig& config, const Weights& weights, OpContext& context);

  // Room for calls of up to `rows` rows, logits of any of which may be wanted. Allocates; Forward() does not.
  // Throws std::bad_alloc; the next call makes good for it.
  void Reserve(int64_t rows);
  int64_t rows() const { return rows_; }
  uint64_t bytes() const;

  // Appends the rows to their caches. Error, only where the batch can be cancelled: kCancelled, the caches
  // have their length but may have lost what lay in the new rows' places (KvCache::shortest). REQUIRES: both
  // Reserve()s covered the batch; ids are in the vocabulary; every cache has room for its rows.
  Status Forward(const Batch& batch, DecoderOutput& output);

  void set_probe(Probe* probe) { probe_ = probe; }

  // The scaled embedding of one token, as the first layer sees it: (D).
  void Embed(int32_t id, std::span<float> out) const;

 private:
  // One rotary table for each distinct plan.
  struct RopeTable {
    RopePlan plan;
    int64_t head_dim = 0;
    std::vector<float> inverse_frequencies;
    AlignedBuffer<float> cos, sin;  // (rows, pairs)
  };
  // What attention needs of a layer: all (T, heads * E).
  struct AttentionRows {
    Rows q, k, v, out;
  };

  // The page to read: decoder.cc.
  void Layer(int64_t l, const Batch& batch, Rows x);
  void Attend(int64_t l, const Batch& batch, Rows a);
  void FeedForward(const LayerWeights& w, Rows a);
  void Head(const Batch& batch, Rows x, DecoderOutput& output);
  void EmbedRows(const Batch& batch, Rows x);

  // Positions, masks and caches: decoder_rows.cc.
  void PlanRows(const Batch& batch);
  void AppendAndAttend(int64_t l, const Batch& batch, const AttentionRows& rows);
  void VisibleKeys(const LayerPlan& plan, const Batch& batch);
  Rows Cos(const RopeTable& table) const;
  Rows Sin(const RopeTable& table) const;

  Rows Take(AlignedBuffer<float>& buffer, int64_t width) {
    return MakeRows(buffer.data(), batch_rows_, width);
  }
  // Rows behind others in the same buffer.
  Rows TakeAfter(Rows before, int64_t width) {
    return MakeRows(before.data + before.rows * before.width, batch_rows_, width);
  }
  void See(std::string_view name, int64_t layer, Rows rows) {
    if (probe_ != nullptr) probe_->See(name, layer, rows);
  }

  const ModelConfig& config_;
  const Weights& weights_;
  OpContext& context_;
  Probe* probe_ = nullptr;
  float embed_scale_;
  std::vector<RopeTable> tables_;
  std::vector<size_t> layer_table_;  // layer -> table

  int64_t rows_ = 0, batch_rows_ = 0;
  AlignedBuffer<float> x_, a_;
  AlignedBuffer<float> branch_;     // what attention, and after it the feed-forward branch, works on
  std::vector<int64_t> positions_;  // (T)
  std::vector<KeyRange> visible_;   // (T): of the layer at hand
};

}  // namespace linnet
