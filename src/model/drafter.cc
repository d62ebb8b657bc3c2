// One step of the drafter in the order of the reference (docs/drafting.md): d its width, D the target's, V
// vocabulary. Rows are single; what a layer computes is in decoder.cc.
#include "model/drafter.h"

#include <algorithm>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace linnet {

std::span<float> Drafter::Step(const SharedKeys& keys) {
  keys_ = &keys;
  BeginRows({&keys.position, 1});
  const Rows x = Take(workspace_.x, config_.hidden_size);  // (d), the residual stream
  const Rows input = Take(own_.input, 2 * target_width_);  // concat(embedding, hidden)
  MatMul(context_, weights_.pre_projection, input, x);
  for (int64_t l = 0; l < static_cast<int64_t>(config_.layers.size()); ++l) {
    AttentionBranch(l, x);
    FeedForwardBranch(l, x);
  }
  RmsNorm(context_, x, weights_.norm, config_.rms_norm_eps, x);
  const Rows logits = Head(x);  // (V), no soft-cap
  MatMul(context_, weights_.post_projection, x, MakeRows(hidden().data(), 1, target_width_));
  return {logits.data, static_cast<size_t>(logits.width)};
}

// In place: the target's keys are normed and rotated already, its values normed.
void Drafter::AttendToKeys(int64_t l, const AttentionRows& rows) {
  const bool sliding = PlanOf(l).sliding();
  const StoreRows store{sliding ? keys_->sliding : keys_->full, 0, 1};
  const KeyRange& visible = sliding ? keys_->sliding_keys : keys_->full_keys;
  Attention(context_, {rows.q, {&visible, 1}, config_.attention_scale}, {&store, 1}, rows.out);
}

Rows Drafter::Head(Rows h) {
  const Rows logits = Take(own_.logits, config_.vocab_size);  // (V)
  MatMul(context_, weights_.embed_tokens, h, logits);
  if (drafter_.use_ordered_embeddings) {
    const Rows scores = Take(own_.scores, drafter_.num_centroids);  // (C)
    MatMul(context_, weights_.centroids, h, scores);
    KeepBestCentroids(scores, logits);
  }
  return logits;
}

// Tokens of the best centroids keep their logits; every other one gets the smallest of those minus 1. All
// products are computed first: a whole table read in order is hardly slower than 4,096 scattered rows, and
// there is one head to test.
void Drafter::KeepBestCentroids(Rows scores, Rows logits) {
  const auto better = [&](int32_t a, int32_t b) {
    return scores.data[a] != scores.data[b] ? scores.data[a] > scores.data[b] : a < b;
  };
  const std::span<int32_t> order = own_.order;
  const std::span<uint8_t> selected = own_.selected;
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + drafter_.centroid_top_k;
  std::partial_sort(order.begin(), end, order.end(), better);
  const int64_t each = config_.vocab_size / drafter_.num_centroids;
  std::fill(selected.begin(), selected.end(), uint8_t{0});
  float smallest = logits.data[weights_.token_ordering[static_cast<size_t>(order[0] * each)]];
  for (auto centroid = order.begin(); centroid != end; ++centroid) {
    for (int64_t i = *centroid * each; i < (*centroid + 1) * each; ++i) {
      const int32_t id = weights_.token_ordering[static_cast<size_t>(i)];
      selected[static_cast<size_t>(id)] = 1;
      smallest = std::min(smallest, logits.data[id]);
    }
  }
  for (int64_t id = 0; id < logits.width; ++id) {
    if (selected[static_cast<size_t>(id)] == 0) logits.data[id] = smallest - 1.0f;
  }
}

SharedKeys Drafter::KeysOf(const KvCache& cache) const {
  SharedKeys keys;
  keys.position = cache.length();
  const int64_t last = keys.position - 1;
  if (full_layer_ >= 0) keys.full = &cache.layer(full_layer_);
  if (sliding_layer_ >= 0) keys.sliding = &cache.layer(sliding_layer_);
  keys.full_keys = {0, last};
  keys.sliding_keys = {std::max<int64_t>(0, keys.position - window_ + 1), last};
  return keys;
}

}  // namespace linnet
