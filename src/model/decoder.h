// The decoder: token and soft-token rows in, logits out. decoder.cc is the page to read first.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
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

// What the decoder and its drafter have in common: layers on the rows of a residual stream, with their rotary
// tables and workspace. Who derives from it knows where keys and values lie.
class DecoderLayers {
 public:
  // What calls of so many rows ask of the operations.
  static OpShape PlannedOps(const ModelConfig& config, int64_t rows);

 protected:
  // All (T, heads * E). `k` and `v` hold nothing in layers without keys of their own.
  struct AttentionRows {
    Rows q, k, v, out;
  };
  // One rotary table for each distinct plan.
  struct RopeTable {
    RopePlan plan;
    int64_t head_dim = 0;
    std::vector<float> inverse_frequencies;
    AlignedBuffer<float> cos, sin;  // (rows, pairs)
  };
  struct LayerWorkspace {
    explicit LayerWorkspace(const ModelConfig& config);
    void List(BufferList& list, const ModelConfig& config, int64_t rows);

    AlignedBuffer<float> x, a;
    AlignedBuffer<float> branch;  // what attention, and after it the feed-forward branch, works on
    std::vector<RopeTable> tables;
    std::vector<size_t> layer_table;  // layer -> its entry
  };

  // The arguments must outlive it.
  DecoderLayers(const ModelConfig& config, const std::vector<LayerWeights>& layers, OpContext& context)
      : config_(config), context_(context), workspace_(config), layers_(layers) {}
  DecoderLayers(const DecoderLayers&) = delete;
  DecoderLayers& operator=(const DecoderLayers&) = delete;
  ~DecoderLayers() = default;

  // A call with rows at these positions begins. REQUIRES: the workspace has room for them.
  void BeginRows(std::span<const int64_t> positions);

  // The page to read: decoder.cc.
  void AttentionBranch(int64_t l, Rows x);
  void FeedForwardBranch(int64_t l, Rows x);
  void Attend(int64_t l, Rows a);
  void FeedForward(int64_t l, Rows a);

  // Keeps the rows' keys and values where the layer has its own, and attends to those of its key source.
  virtual void AttendToKeys(int64_t l, const AttentionRows& rows) = 0;

  const LayerPlan& PlanOf(int64_t l) const { return config_.layers[static_cast<size_t>(l)]; }
  Rows Take(AlignedBuffer<float>& buffer, int64_t width) const {
    return MakeRows(buffer.data(), batch_rows_, width);
  }
  // Rows behind others in the same buffer.
  Rows TakeAfter(Rows before, int64_t width) const {
    return MakeRows(before.data + before.rows * before.width, before.rows, width);
  }
  void See(std::string_view name, int64_t layer, Rows rows) {
    if (probe_ != nullptr) probe_->See(name, layer, rows);
  }

  const ModelConfig& config_;
  OpContext& context_;
  LayerWorkspace workspace_;
  Probe* probe_ = nullptr;

 private:
  void Rotate(int64_t l, Rows heads);  // queries or keys, to the positions of their rows

  const std::vector<LayerWeights>& layers_;
  int64_t batch_rows_ = 0;
};

class Decoder final : public DecoderLayers {
 public:
  Decoder(const ModelConfig& config, const Weights& weights, OpContext& context);

  // Room for calls of up to `rows` rows. Allocates; Forward() does not. Throws std::bad_alloc; the next call
  // makes good for it.
  void Reserve(int64_t rows);
  int64_t rows() const { return rows_; }
  // What calls of so many rows take beside the operations.
  static uint64_t PlannedBytes(const ModelConfig& config, int64_t rows);

  // Appends the rows to their caches and leaves their results in the step. `cancel`, which may be null, is
  // looked at before each layer. Error, only then: kCancelled, the caches have their length but may have lost
  // what lay in the new rows' places (KvCache::shortest). REQUIRES: both Reserve()s covered the step; ids are
  // in the vocabulary; every cache has room for its rows.
  Status Forward(Step& step, const std::atomic<bool>* cancel = nullptr);

  // The same in parts, between which other decoders of the same weights may run: RunPart() computes the
  // attention of the next layer for all rows, which see each other, or its feed-forward branch for at most so
  // many, until it says that there is no more and the results are there. Begin() of another call gives this
  // one up, as one that was cancelled.
  void Begin(Step& step);
  bool RunPart(int64_t most_rows);

  void set_probe(Probe* probe) { probe_ = probe; }

  // The scaled embedding of one token, as the first layer sees it: (D).
  void Embed(int32_t id, std::span<float> out) const;

 private:
  // What the rows of a call see in the layers of one kind: those with the same window.
  struct Visibility {
    int64_t window = 0;
    AlignedBuffer<KeyRange> keys;  // (T)
  };
  struct Masks {
    explicit Masks(const ModelConfig& config);
    void List(BufferList& list, int64_t rows);

    std::vector<Visibility> visible;
    std::vector<size_t> layer_visible;  // layer -> its entry
    std::vector<StoreRows> pieces;      // of every sequence, those that are written and attended at once
  };

  // The page to read: decoder.cc.
  void Head(Step& step, Rows x);

  // Embeddings, masks and caches: decoder_rows.cc.
  void BeginStep(Step& step);
  void EmbedRows(const Step& step, Rows x);
  void FindVisible(Visibility& visible) const;
  void AttendToKeys(int64_t l, const AttentionRows& rows) override;
  bool NextPieces(int64_t window);
  void WritePieces(int64_t l, const AttentionRows& rows);

  const Weights& weights_;
  int64_t rows_ = 0;
  Step* step_ = nullptr;  // during a call
  struct Part {
    int64_t layer = 0, row = 0;
    bool attended = false;
  };
  Part next_;  // of the call
  Masks masks_;
};

}  // namespace linnet
