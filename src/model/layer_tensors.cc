#include "model/layer_tensors.h"

namespace linnet {

std::span<const LayerTensor> LayerTensors() {
  using enum LayerTensor::Dim;
  using enum LayerTensor::In;
  using W = LayerWeights;
  static constexpr LayerTensor kTensors[] = {
      {Role::kInputNorm, "input_layernorm.weight", "attn_norm.weight", {kD}, kAll, &W::input_norm},
      {Role::kQ, "self_attn.q_proj.weight", "attn_q.weight", {kHE, kD}, kAll, &W::q_proj},
      {Role::kK, "self_attn.k_proj.weight", "attn_k.weight", {kKE, kD}, kOwnKeys, &W::k_proj},
      {Role::kV, "self_attn.v_proj.weight", "attn_v.weight", {kKE, kD}, kOwnValues, &W::v_proj},
      {Role::kO, "self_attn.o_proj.weight", "attn_output.weight", {kD, kHE}, kAll, &W::o_proj},
      {Role::kQNorm, "self_attn.q_norm.weight", "attn_q_norm.weight", {kE}, kAll, &W::q_norm},
      {Role::kKNorm, "self_attn.k_norm.weight", "attn_k_norm.weight", {kE}, kOwnKeys, &W::k_norm},
      {Role::kPostAttentionNorm,
       "post_attention_layernorm.weight",
       "post_attention_norm.weight",
       {kD},
       kAll,
       &W::post_attention_norm},
      {Role::kPreFeedForwardNorm,
       "pre_feedforward_layernorm.weight",
       "ffn_norm.weight",
       {kD},
       kAll,
       &W::pre_feedforward_norm},
      {Role::kGate, "mlp.gate_proj.weight", "ffn_gate.weight", {kF, kD}, kAll, &W::gate_proj},
      {Role::kUp, "mlp.up_proj.weight", "ffn_up.weight", {kF, kD}, kAll, &W::up_proj},
      {Role::kDown, "mlp.down_proj.weight", "ffn_down.weight", {kD, kF}, kAll, &W::down_proj},
      {Role::kPostFeedForwardNorm,
       "post_feedforward_layernorm.weight",
       "post_ffw_norm.weight",
       {kD},
       kAll,
       &W::post_feedforward_norm},
      {Role::kLayerScalar, "layer_scalar", "layer_output_scale.weight", {kOne}, kScaled, &W::layer_scalar},
  };
  return kTensors;
}

bool LayerTensor::IsIn(const ModelConfig& config, const LayerPlan& plan) const {
  const bool has[] = {true, plan.has_keys(), plan.has_keys() && !plan.k_eq_v, config.layer_scalar};
  return has[static_cast<size_t>(in)];
}

std::vector<int64_t> LayerTensor::ShapeIn(const ModelConfig& config, const LayerPlan& plan) const {
  const int64_t e = plan.head_dim, heads = config.num_attention_heads;
  const int64_t sizes[] = {0, 1, config.hidden_size, plan.intermediate_size, e, heads * e, plan.kv_heads * e};
  std::vector<int64_t> found;
  for (const Dim dim : shape) {
    if (dim != Dim::kNone) found.push_back(sizes[static_cast<size_t>(dim)]);
  }
  return found;
}

}  // namespace linnet
