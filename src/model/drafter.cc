// One step of the drafter in the order of the reference (docs/drafting.md): d its width, D the target's, H
// query heads, E head size, V vocabulary. Rows are single.
#include "model/drafter.h"

#include <algorithm>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/rope.h"

namespace linnet {

std::span<float> Drafter::Step(const SharedKeys& keys) {
  const Rows x = Row(workspace_.x, config_.text.hidden_size);  // (d), the residual stream
  MatMul(context_, weights_.pre_projection, Row(workspace_.input, 2 * target_width_),
         x);  // concat(embedding, hidden)
  for (size_t l = 0; l < weights_.layers.size(); ++l) Layer(l, keys, x);
  RmsNorm(context_, x, weights_.norm, config_.text.rms_norm_eps, x);
  const Rows logits = Head(x);  // (V), no soft-cap
  MatMul(context_, weights_.post_projection, x, MakeRows(hidden().data(), 1, target_width_));
  return {logits.data, static_cast<size_t>(logits.width)};
}

void Drafter::Layer(size_t l, const SharedKeys& keys, Rows x) {
  const LayerWeights& w = weights_.layers[l];
  const float eps = config_.text.rms_norm_eps;
  const Rows a = Row(workspace_.a, config_.text.hidden_size);  // (d)

  RmsNorm(context_, x, w.input_norm, eps, a);
  Attend(l, keys, a);
  RmsNorm(context_, a, w.post_attention_norm, eps, a);
  AddScaled(context_, x, a, 1.0f);

  RmsNorm(context_, x, w.pre_feedforward_norm, eps, a);
  FeedForward(w, a);
  RmsNorm(context_, a, w.post_feedforward_norm, eps, a);
  AddScaled(context_, x, a, w.layer_scalar);
}

// Queries only: the target's keys are normed and rotated already, its values normed.
void Drafter::Attend(size_t l, const SharedKeys& keys, Rows a) {
  const LayerWeights& w = weights_.layers[l];
  const LayerPlan& plan = config_.text.layers[l];
  const int64_t heads = config_.text.num_attention_heads;
  const Rows q = Row(workspace_.q, heads * plan.head_dim);  // (H, E)
  const Rows cos = Row(workspace_.cos, plan.rope.rotated_pairs),
             sin = Row(workspace_.sin, plan.rope.rotated_pairs);

  MatMul(context_, w.q_proj, a, q);
  HeadNorm(context_, q, heads, w.q_norm, config_.text.rms_norm_eps);
  FillRopeTable(inverse_frequencies_[l], {&keys.position, 1}, cos, sin);
  Rope(context_, q, plan.head_dim, cos, sin);

  const Rows out = Row(workspace_.attn, q.width);  // (H, E)
  const StoreRows rows{plan.sliding() ? keys.sliding : keys.full, 0, 1};
  const KeyRange& visible = plan.sliding() ? keys.sliding_keys : keys.full_keys;
  Attention(context_, {q, {&visible, 1}, config_.text.attention_scale}, {&rows, 1}, out);
  MatMul(context_, w.o_proj, out, a);
}

void Drafter::FeedForward(const LayerWeights& w, Rows a) {
  const Rows gate = Row(workspace_.gate, w.gate_proj.n), up = Row(workspace_.up, w.up_proj.n);
  Project(context_, a, {{&w.gate_proj, gate}, {&w.up_proj, up}});
  GeluMul(context_, gate, up);
  MatMul(context_, w.down_proj, gate, a);
}

Rows Drafter::Head(Rows h) {
  const Rows logits = Row(workspace_.logits, config_.text.vocab_size);  // (V)
  MatMul(context_, weights_.embed_tokens, h, logits);
  if (config_.use_ordered_embeddings) {
    const Rows scores = Row(workspace_.scores, config_.num_centroids);  // (C)
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
  const std::span<int32_t> order = workspace_.order;
  const std::span<uint8_t> selected = workspace_.selected;
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + config_.centroid_top_k;
  std::partial_sort(order.begin(), end, order.end(), better);
  const int64_t each = config_.text.vocab_size / config_.num_centroids;
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
