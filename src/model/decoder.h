// The decoder: token and soft-token rows in, logits out. decoder.cc is the page to read first.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffers.h"
#include "linnet/error.h"
#include "model/config.h"
#include "model/probe.h"
#include "model/step.h"
#include "model/weights.h"
#include "ops/attention.h"
#include "ops/context.h"

namespace linnet {

class Decoder {
 public:
  Decoder(const ModelConfig& config, const Weights& weights, OpContext& context);

  // Room for calls of up to `rows` rows. Allocates; Forward() does not. Throws std::bad_alloc; the next call
  // makes good for it.
  void Reserve(int64_t rows);
  int64_t rows() const { return rows_; }
  // What calls of so many rows take of its own, and of the operations.
  static uint64_t PlannedBytes(const ModelConfig& config, int64_t rows);
  static OpShape PlannedOps(const ModelConfig& config, int64_t rows);

  // Appends the rows to their caches and leaves their results in the step. `cancel`, which may be null, is
  // looked at before each layer. Error, only then: kCancelled, the caches have their length but may have lost
  // what lay in the new rows' places (KvCache::shortest). REQUIRES: both Reserve()s covered the step; ids are
  // in the vocabulary; every cache has room for its rows.
  Status Forward(Step& step, const std::atomic<bool>* cancel = nullptr);

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

  // What the rows of a call see in the layers of one kind: those with the same window.
  struct Visibility {
    int64_t window = 0;
    AlignedBuffer<KeyRange> keys;  // (T)
  };

  struct Workspace {
    explicit Workspace(const ModelConfig& config);
    void List(BufferList& list, const ModelConfig& config, int64_t rows);

    AlignedBuffer<float> x, a;
    AlignedBuffer<float> branch;    // what attention, and after it the feed-forward branch, works on
    std::vector<StoreRows> pieces;  // of every sequence, those that are written and attended at once
    std::vector<RopeTable> tables;
    std::vector<Visibility> visible;
    std::vector<size_t> layer_table, layer_visible;  // layer -> its entry of the two
  };

  // The page to read: decoder.cc.
  void Layer(int64_t l, const Step& step, Rows x);
  void Attend(int64_t l, const Step& step, Rows a);
  void FeedForward(const LayerWeights& w, Rows a);
  void Head(Step& step, Rows x);
  void EmbedRows(const Step& step, Rows x);

  // Positions, masks and caches: decoder_rows.cc.
  void PlanRows(const Step& step);
  void FindVisible(const Step& step, Visibility& visible) const;
  void AppendAndAttend(int64_t l, const Step& step, const AttentionRows& rows);
  bool NextPieces(const Step& step, int64_t window);
  void WritePieces(int64_t l, const Step& step, const AttentionRows& rows);
  Rows Cos(RopeTable& table) const;
  Rows Sin(RopeTable& table) const;

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
  int64_t rows_ = 0, batch_rows_ = 0;
  Workspace workspace_;
};

}  // namespace linnet
