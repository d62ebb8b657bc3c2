// What surrounds the drafter's step: its weights, whether it fits its target, and its workspace.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "model/drafter.h"
#include "model/tensor_names.h"
#include "model/weight_loader.h"

namespace linnet {
namespace {

std::unexpected<Error> Mismatch(const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, "the drafter does not belong to this model: " + what,
              "give the assistant made for this model, or none (--draft 0)");
}

Result<std::vector<int32_t>> ReadOrdering(const TensorSource& source, int64_t vocabulary) {
  const TensorInfo* tensor = FindTensor(source, Role::kTokenOrdering);
  LINNET_CHECK(tensor != nullptr);  // CheckTensors has seen it
  const size_t size = tensor->dtype == Dtype::kI64 ? sizeof(int64_t) : sizeof(int32_t);
  std::vector<uint8_t> scratch;
  const uint8_t* bytes = source.Bytes(*tensor, 0, tensor->bytes, scratch).data();
  std::vector<int32_t> ordering(static_cast<size_t>(vocabulary));
  for (size_t i = 0; i < ordering.size(); ++i) {
    int64_t wide = 0;
    int32_t narrow = 0;
    std::memcpy(size == sizeof wide ? static_cast<void*>(&wide) : &narrow, bytes + i * size, size);
    const int64_t id = size == sizeof wide ? wide : narrow;
    if (id < 0 || id >= vocabulary) {
      return Fail(ErrorCode::kBadFile,
                  "the tensor " + tensor->name + " names token " + std::to_string(id) +
                      " of a vocabulary of " + std::to_string(vocabulary),
                  "the file is damaged");
    }
    ordering[i] = static_cast<int32_t>(id);
  }
  return ordering;
}

}  // namespace

Result<DrafterWeights> LoadDrafterWeights(const DrafterConfig& config, const TensorSource& source,
                                          ThreadPool& pool, const WeightLoading& loading) {
  const std::vector<ExpectedTensor> tensors = DrafterTensors(config);
  LINNET_TRY(CheckTensors(source, tensors, "the drafter"));
  WeightLoader loader(config.text, pool, loading);
  loader.Expect(source, tensors);
  DrafterWeights weights;
  weights.bytes = PlannedWeights(config, source, loading.dequantise);
  LINNET_ASSIGN(weights.pre_projection, loader.ReadMatrix(source, Role::kPreProjection));
  LINNET_ASSIGN(weights.layers, loader.ReadLayers(source));
  LINNET_ASSIGN(weights.norm, loader.ReadNorm(source, Role::kFinalNorm));
  LINNET_ASSIGN(weights.embed_tokens, loader.ReadMatrix(source, Role::kEmbedding));
  LINNET_ASSIGN(weights.post_projection, loader.ReadMatrix(source, Role::kPostProjection));
  if (config.use_ordered_embeddings) {
    LINNET_ASSIGN(weights.centroids, loader.ReadMatrix(source, Role::kCentroids));
    LINNET_ASSIGN(weights.token_ordering, ReadOrdering(source, config.text.vocab_size));
  }
  return weights;
}

WeightBytes PlannedWeights(const DrafterConfig& config, const TensorSource& source, bool dequantise) {
  WeightBytes bytes;
  AddPlanned(source, DrafterTensors(config), dequantise, bytes);
  return bytes;
}

Status CheckPairing(const ModelConfig& target, const DrafterConfig& drafter) {
  const auto numbers = [](int64_t a, int64_t b) {
    return std::to_string(a) + ", the model's is " + std::to_string(b);
  };
  if (drafter.backbone_hidden_size != target.hidden_size) {
    return Mismatch("it is made for the width " + numbers(drafter.backbone_hidden_size, target.hidden_size));
  }
  if (drafter.text.vocab_size != target.vocab_size) {
    return Mismatch("its vocabulary is " + numbers(drafter.text.vocab_size, target.vocab_size));
  }
  for (const LayerPlan& plan : drafter.text.layers) {
    const std::string kind = plan.sliding() ? "sliding" : "full";
    const int64_t layer = target.LastLayer(plan.kind);
    if (layer < 0) return Mismatch("it reads keys of a " + kind + " layer, and the model has none");
    const LayerPlan& shared = target.layers[static_cast<size_t>(layer)];
    if (plan.head_dim != shared.head_dim) {
      return Mismatch("the head size of its " + kind + " layers is " +
                      numbers(plan.head_dim, shared.head_dim));
    }
    if (drafter.text.num_attention_heads % shared.kv_heads != 0) {
      return Mismatch("its " + std::to_string(drafter.text.num_attention_heads) + " heads cannot share " +
                      std::to_string(shared.kv_heads) + " key heads of a " + kind + " layer");
    }
    if (plan.sliding() && shared.window < 2)
      return Mismatch("a window of one token leaves it no keys to read");
  }
  return {};
}

void Drafter::OwnWorkspace::List(BufferList& list, const ModelConfig& target, const DrafterConfig& config) {
  list.Add(input, 2 * target.hidden_size);
  list.Add(logits, config.text.vocab_size);
  if (!config.use_ordered_embeddings) return;
  list.Add(scores, config.num_centroids);
  list.Add(order, config.num_centroids);
  list.Add(selected, config.text.vocab_size);
}

uint64_t Drafter::PlannedBytes(const ModelConfig& target, const DrafterConfig& config) {
  return BytesOf(LayerWorkspace(config.text), config.text, int64_t{1}) +
         BytesOf(OwnWorkspace(), target, config);
}

OpShape Drafter::PlannedOps(const ModelConfig& target, const DrafterConfig& config) {
  const OpShape layers = DecoderLayers::PlannedOps(config.text, 1);
  return {1, std::max(2 * target.hidden_size, layers.width), layers.heads, layers.head_dim};
}

Drafter::Drafter(const ModelConfig& target, const DrafterConfig& config, const DrafterWeights& weights,
                 OpContext& context)
    : DecoderLayers(config.text, weights.layers, context),
      drafter_(config),
      weights_(weights),
      target_width_(target.hidden_size) {
  LINNET_CHECK(CheckPairing(target, config).has_value());
  sliding_layer_ = target.LastLayer(LayerKind::kSliding);
  full_layer_ = target.LastLayer(LayerKind::kFull);
  if (sliding_layer_ >= 0) window_ = target.layers[static_cast<size_t>(sliding_layer_)].window;
  Allocate(workspace_, config.text, int64_t{1});
  Allocate(own_, target, config);
  context_.Reserve(PlannedOps(target, config));
}

}  // namespace linnet
