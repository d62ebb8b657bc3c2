// The MTP drafter ("assistant"): a few small decoder layers that guess the next tokens from the target's last
// hidden state. It has no keys and values of its own; its queries read those of the target's last sliding and
// last full layer where they lie. drafter.cc is the page to read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "io/tensor_source.h"
#include "linnet/error.h"
#include "model/config.h"
#include "model/decoder.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "ops/attention.h"
#include "ops/context.h"

namespace linnet {

// d the drafter's width, D the target's, V the vocabulary of both.
struct DrafterWeights {
  Matrix pre_projection;                // (d, 2 D): embedding first, hidden state second
  std::vector<LayerWeights> layers;     // without k_proj, v_proj, k_norm
  Vector norm;                          // (d)
  Matrix embed_tokens;                  // (V, d): the head only
  Matrix post_projection;               // (D, d)
  Matrix centroids;                     // (C, d); empty with the ordinary head
  std::vector<int32_t> token_ordering;  // (V): the V / C tokens of each centroid one after another
  WeightBytes bytes;                    // of all of them, as they were planned
};

// Errors name the tensor: missing, of another shape, a token out of the vocabulary; kOutOfMemory.
Result<DrafterWeights> LoadDrafterWeights(const DrafterConfig& config, const TensorSource& source,
                                          ThreadPool& pool, const WeightLoading& loading);

WeightBytes PlannedWeights(const DrafterConfig& config, const TensorSource& source, bool dequantise);

// Whether a drafter can draft for a target: widths, vocabulary, the shape of the shared keys. The error says
// what differs.
Status CheckPairing(const ModelConfig& target, const DrafterConfig& drafter);

// What the queries of one round see. The same for every draft of the round.
struct SharedKeys {
  const KvStore* sliding = nullptr;  // of the target's last sliding layer
  const KvStore* full = nullptr;     // of its last full layer
  KeyRange sliding_keys, full_keys;
  int64_t position = 0;  // rotary position: that of the last known token, whose key is not there yet
};

class Drafter final : public DecoderLayers {
 public:
  // REQUIRES: CheckPairing() passed. The arguments must outlive the drafter. Allocates; Step() does not.
  Drafter(const ModelConfig& target, const DrafterConfig& config, const DrafterWeights& weights,
          OpContext& context);

  // The keys of a cache that holds everything before the last known token: exactly its valid entries, within
  // the target's own window of that token.
  SharedKeys KeysOf(const KvCache& cache) const;

  // What Step() reads: the target's scaled embedding of the last token (Decoder::Embed), and the target's
  // hidden state of the token before it, or after the first draft what the step before wrote there. (D) each.
  std::span<float> embedding() { return {own_.input.data(), static_cast<size_t>(target_width_)}; }
  std::span<float> hidden() {
    return {own_.input.data() + target_width_, static_cast<size_t>(target_width_)};
  }

  // One draft: logits (V), valid until the next step; hidden() becomes the input of the next.
  std::span<float> Step(const SharedKeys& keys);

  // What one takes of its own, and of the operations.
  static uint64_t PlannedBytes(const ModelConfig& target, const DrafterConfig& config);
  static OpShape PlannedOps(const ModelConfig& target, const DrafterConfig& config);

 private:
  struct OwnWorkspace {
    void List(BufferList& list, const ModelConfig& target, const DrafterConfig& config);

    AlignedBuffer<float> input, logits, scores;
    AlignedBuffer<int32_t> order;     // (C)
    AlignedBuffer<uint8_t> selected;  // (V)
  };

  void AttendToKeys(int64_t l, const AttentionRows& rows) override;
  Rows Head(Rows h);
  void KeepBestCentroids(Rows scores, Rows logits);

  const DrafterConfig& drafter_;
  const DrafterWeights& weights_;
  int64_t target_width_, window_ = 0;
  int64_t sliding_layer_ = -1, full_layer_ = -1;  // of the target
  const SharedKeys* keys_ = nullptr;              // during a step
  OwnWorkspace own_;
};

}  // namespace linnet
