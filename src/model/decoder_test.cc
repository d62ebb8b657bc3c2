#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "model/drafter.h"
#include "model/generated_source.h"
#include "model/kv_cache.h"

namespace linnet {
namespace {

constexpr int64_t kNarrow = 40, kWide = 96, kTokens = 21;

// Three layers, of which the middle one has another feed-forward width.
ModelConfig Tiny(int64_t middle) {
  ModelConfig config;
  config.model_type = "gemma4_unified";
  config.vocab_size = 48;
  config.hidden_size = 32;
  config.num_attention_heads = 4;
  config.max_position_embeddings = 256;
  config.final_logit_softcapping = 30.0f;
  config.layers = {{LayerKind::kSliding, 16, 2, 8, kWide},
                   {LayerKind::kSliding, 16, 2, 8, middle},
                   {LayerKind::kFull, 32, 1, 0, kWide, KeySource::kOwn, true}};
  for (LayerPlan& plan : config.layers) plan.rope.rotated_pairs = plan.head_dim / 2;
  config.layers[2].rope = {1e6, 1.0, 4};
  return config;
}

// Element (r, c) of a matrix depends on r, c and its name behind the prefix alone, so that a narrow one is a
// part of a wide one and a drafter has its target's layers. What of layer 1's feed-forward branch lies beyond
// the narrow width is zero; a drafter's projections let the embedding through.
float Value(std::string_view name, int64_t row, int64_t column, bool vector) {
  for (const std::string_view prefix : {kModelPrefix, kDrafterPrefix}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  if (name.ends_with("_projection.weight")) return row == column ? 1.0f : 0.0f;
  if (name.starts_with("layers.1.mlp.") && (name.contains("down_proj") ? column : row) >= kNarrow) return 0;
  float value = 0;
  HashedValues(std::string(name) + "/" + std::to_string(row), static_cast<uint64_t>(column),
               vector ? 1.0f : 0.0f, vector ? 0.5f : 0.25f, {&value, 1});
  return value;
}

void Fill(const TensorInfo& tensor, uint64_t offset, std::span<uint8_t> out) {
  const bool vector = tensor.shape.size() == 1;
  const int64_t columns = tensor.shape.back();
  for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
    const int64_t element = static_cast<int64_t>(offset / sizeof(float) + i);
    reinterpret_cast<float*>(out.data())[i] =
        Value(tensor.name, vector ? 0 : element / columns, element % columns, vector);
  }
}

Dtype Float(const ExpectedTensor&) { return Dtype::kF32; }

// A model that has read some tokens.
struct Read {
  explicit Read(const ModelConfig& c) : config(c) {
    EXPECT_TRUE(config.Validate());
    const GeneratedSource source(config, Float, Fill);
    weights = *LoadWeights(config, source, nullptr, pool, {});
    decoder.Reserve(kTokens);
    cache = *KvCache::Create(config, weights, {KvType::kF32, 64, kTokens});
    for (int32_t t = 0; t < kTokens; ++t) {
      ids.push_back((t * 7 + 2) % static_cast<int32_t>(config.vocab_size));
    }
    step.Reserve(config, kTokens, kTokens);
    step.Clear();
    EXPECT_TRUE(step.Add({.cache = &cache, .ids = ids, .wanted = kTokens}));
    EXPECT_TRUE(decoder.Forward(step));
  }

  const ModelConfig& config;
  ThreadPool pool{2};
  OpContext context{pool, Kernels()};
  Weights weights;
  Decoder decoder{config, weights, context};
  KvCache cache;
  Step step;
  std::vector<int32_t> ids;
};

std::vector<float> LogitsOf(const ModelConfig& config) {
  const Read read(config);
  EXPECT_EQ(read.weights.layers[1].down_proj.k, config.layers[1].intermediate_size);
  const Rows logits = read.step.logits(0);
  return {logits.data, logits.data + logits.rows * logits.width};
}

// The narrow layer is the wide one whose further inner rows are zero, and any other width is another model.
TEST(DecoderTest, ALayerMayHaveAFeedForwardWidthOfItsOwn) {
  const std::vector<float> narrow = LogitsOf(Tiny(kNarrow)), padded = LogitsOf(Tiny(kWide));
  const std::vector<float> other = LogitsOf(Tiny(kNarrow - 1));
  ASSERT_EQ(narrow.size(), padded.size());
  float largest = 0, deviation = 0, change = 0;
  for (size_t i = 0; i < narrow.size(); ++i) {
    largest = std::max(largest, std::fabs(narrow[i]));
    deviation = std::max(deviation, std::fabs(narrow[i] - padded[i]));
    change = std::max(change, std::fabs(narrow[i] - other[i]));
  }
  EXPECT_GT(largest, 1.0f);
  EXPECT_LE(deviation, 1e-5f * largest);
  EXPECT_GT(change, 1e-3f * largest);
}

// A drafter of the target's own layer, given the token that the target read last, is that layer with keys
// that are there already: the same bits.
TEST(DecoderTest, ALayerMayReadTheKeysOfAnother) {
  for (const size_t kept : {1u, 2u}) {
    ModelConfig target = Tiny(kWide);
    target.layers = {target.layers[kept]};
    Read read(target);
    DrafterConfig config;
    config.text = target;
    config.text.layers[0].key_source = KeySource::kTarget;
    config.backbone_hidden_size = target.hidden_size;
    const GeneratedSource source(config, Float, Fill);
    const auto weights = LoadDrafterWeights(config, source, read.pool, {});
    ASSERT_TRUE(weights) << weights.error().Message();
    EXPECT_TRUE(weights->layers[0].k_proj.empty() && weights->layers[0].k_norm.empty());
    Drafter drafter(target, config, *weights, read.context);
    SharedKeys keys = drafter.KeysOf(read.cache);
    keys.position = kTokens - 1;
    keys.sliding_keys.first = kTokens - target.layers[0].window;  // of that row: itself and those before it
    read.decoder.Embed(read.ids.back(), drafter.embedding());
    std::ranges::fill(drafter.hidden(), 7.0f);
    drafter.Step(keys);
    const Rows hidden = read.step.hidden(0);
    const std::vector<float> expected(hidden.row(kTokens - 1), hidden.row(kTokens - 1) + hidden.width);
    EXPECT_EQ(std::vector<float>(drafter.hidden().begin(), drafter.hidden().end()), expected) << kept;
  }
}

}  // namespace
}  // namespace linnet
