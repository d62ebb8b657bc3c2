// The forward pass of the decoder, in the order of the reference (docs/model.md). One key of dimensions:
// T tokens in this call, D model width, F feed-forward width, H query heads, K KV heads, E head size, V
// vocabulary. What differs between layers comes from their LayerPlan; formats, threads and instruction sets
// are below, in ops. The drafter's layers are these too.
#include "model/decoder.h"

#include <algorithm>

#include "base/check.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace linnet {

Status Decoder::Forward(Step& step, const std::atomic<bool>* cancel) {
  Begin(step);
  do {
    if (cancel != nullptr && *cancel) return Fail(ErrorCode::kCancelled, "stopped");
  } while (RunPart(step.rows()));
  return {};
}

void Decoder::Begin(Step& step) {
  BeginStep(step);
  const Rows x = Take(workspace_.x, config_.hidden_size);  // (T, D), the residual stream
  EmbedRows(step, x);
  See("embeds", -1, x);
}

bool Decoder::RunPart(int64_t most_rows) {
  const Rows x = Take(workspace_.x, config_.hidden_size);
  if (!next_.attended) {
    AttentionBranch(next_.layer, x);
    next_.attended = true;
    return true;
  }
  const int64_t rows = std::min(most_rows, x.rows - next_.row);
  FeedForwardBranch(next_.layer, x.Slice(next_.row, rows));
  next_.row += rows;
  if (next_.row < x.rows) return true;
  next_ = {.layer = next_.layer + 1};
  if (next_.layer < static_cast<int64_t>(config_.layers.size())) return true;
  for (const Step::Sequence& s : step_->sequences_) s.rows.cache->Advance(s.count());
  RmsNorm(context_, x, weights_.norm, config_.rms_norm_eps, x);
  See("final_norm", -1, x);
  Head(*step_, x);
  return false;
}

void DecoderLayers::AttentionBranch(int64_t l, Rows x) {
  const LayerWeights& w = layers_[static_cast<size_t>(l)];
  const float eps = config_.rms_norm_eps;
  const Rows a = Take(workspace_.a, config_.hidden_size);  // (T, D)
  RmsNorm(context_, x, w.input_norm, eps, a);
  See("input_norm", l, a);
  Attend(l, a);
  RmsNorm(context_, a, w.post_attention_norm, eps, a);
  AddScaled(context_, x, a, 1.0f);
}

void DecoderLayers::FeedForwardBranch(int64_t l, Rows x) {
  const LayerWeights& w = layers_[static_cast<size_t>(l)];
  const float eps = config_.rms_norm_eps;
  const Rows a = MakeRows(workspace_.a.data(), x.rows, config_.hidden_size);  // (T, D)
  RmsNorm(context_, x, w.pre_feedforward_norm, eps, a);
  See("pre_feedforward_norm", l, a);
  FeedForward(l, a);
  See("mlp", l, a);
  RmsNorm(context_, a, w.post_feedforward_norm, eps, a);
  AddScaled(context_, x, a, w.layer_scalar);  // multiplies the whole stream, not only the branch
  See("out", l, x);
}

void DecoderLayers::Attend(int64_t l, Rows a) {
  const LayerWeights& w = layers_[static_cast<size_t>(l)];
  const LayerPlan& plan = PlanOf(l);
  const float eps = config_.rms_norm_eps;
  const int64_t key_width = plan.has_keys() ? plan.kv_heads * plan.head_dim : 0;
  const Rows q = Take(workspace_.branch, config_.num_attention_heads * plan.head_dim);  // (T, H, E)
  const Rows k = TakeAfter(q, key_width);                                               // (T, K, E)
  const Rows v = TakeAfter(k, key_width);                                               // (T, K, E)
  const Rows out = TakeAfter(v, q.width);                                               // (T, H, E)

  if (!plan.has_keys()) {
    MatMul(context_, w.q_proj, a, q);  // others' keys are normed and rotated already, their values normed
  } else if (plan.k_eq_v) {
    Project(context_, a, {{&w.q_proj, q}, {&w.k_proj, k}});
    CopyRows(context_, k, v);  // the raw keys, before their norm and rotation
  } else {
    Project(context_, a, {{&w.q_proj, q}, {&w.k_proj, k}, {&w.v_proj, v}});
  }
  HeadNorm(context_, q, config_.num_attention_heads, w.q_norm, eps);
  Rotate(l, q);
  See("q", l, q);
  if (plan.has_keys()) {
    HeadNorm(context_, k, plan.kv_heads, w.k_norm, eps);
    if (config_.v_norm) HeadNorm(context_, v, plan.kv_heads, {}, eps);
    Rotate(l, k);
    See("k", l, k);
    See("v", l, v);
  }
  AttendToKeys(l, {q, k, v, out});
  See("attn", l, out);
  MatMul(context_, w.o_proj, out, a);
}

void DecoderLayers::FeedForward(int64_t l, Rows a) {
  const LayerWeights& w = layers_[static_cast<size_t>(l)];
  const Rows gate = MakeRows(workspace_.branch.data(), a.rows, PlanOf(l).intermediate_size);  // (T, F)
  const Rows up = TakeAfter(gate, gate.width);                                                // (T, F)
  Project(context_, a, {{&w.gate_proj, gate}, {&w.up_proj, up}});
  GeluMul(context_, gate, up);
  See("gelu", l, gate);
  MatMul(context_, w.down_proj, gate, a);
}

void Decoder::Head(Step& step, Rows x) {
  const int64_t rows = step.wanted_;
  LINNET_CHECK(rows <= step.room_);
  const Rows hidden = MakeRows(step.results_.data(), rows, config_.hidden_size);  // (wanted, D)
  const Rows logits = MakeRows(hidden.row(rows), rows, config_.vocab_size);       // (wanted, V)
  for (const Step::Sequence& s : step.sequences_) {
    CopyRows(context_, x.Slice(s.first + s.count() - s.rows.wanted, s.rows.wanted),
             hidden.Slice(s.first_wanted, s.rows.wanted));
  }
  MatMul(context_, weights_.embed_tokens, hidden, logits);
  See("logits_raw", -1, logits);
  if (config_.final_logit_softcapping > 0) Softcap(context_, logits, config_.final_logit_softcapping);
  See("logits", -1, logits);
  step.hidden_ = hidden;
  step.logits_ = logits;
}

}  // namespace linnet
