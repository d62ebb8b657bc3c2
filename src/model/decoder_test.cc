#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "model/kv_cache.h"
#include "model/synthetic.h"

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

// Element (r, c) of a matrix depends on its name, r and c alone, so that a narrow one is a part of a wide
// one. What of layer 1's feed-forward branch lies beyond the narrow width is zero.
void Fill(const TensorInfo& tensor, uint64_t offset, std::span<uint8_t> out) {
  const bool vector = tensor.shape.size() == 1;
  const int64_t columns = tensor.shape.back();
  const bool middle = tensor.name.contains("layers.1.mlp.");
  const bool down = tensor.name.contains("down_proj");
  for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
    const int64_t element = static_cast<int64_t>(offset / sizeof(float) + i);
    const int64_t row = vector ? 0 : element / columns, column = element % columns;
    float& value = reinterpret_cast<float*>(out.data())[i];
    HashedValues(tensor.name + "/" + std::to_string(row), static_cast<uint64_t>(column), vector ? 1.0f : 0.0f,
                 vector ? 0.5f : 0.25f, {&value, 1});
    if (middle && (down ? column : row) >= kNarrow) value = 0.0f;
  }
}

std::vector<float> LogitsOf(const ModelConfig& config) {
  EXPECT_TRUE(config.Validate());
  const GeneratedSource source(config, [](const ExpectedTensor&) { return Dtype::kF32; }, Fill);
  ThreadPool pool(2);
  const Weights weights = *LoadWeights(config, source, nullptr, pool, {});
  EXPECT_EQ(weights.layers[1].down_proj.k, config.layers[1].intermediate_size);
  OpContext context(pool, Kernels());
  Decoder decoder(config, weights, context);
  decoder.Reserve(kTokens);
  KvCache cache = *KvCache::Create(config, weights, {KvType::kF32, 64, kTokens});
  std::vector<int32_t> ids;
  for (int32_t t = 0; t < kTokens; ++t) ids.push_back((t * 7 + 2) % static_cast<int32_t>(config.vocab_size));
  Step step;
  step.Reserve(config, kTokens, kTokens);
  step.Clear();
  EXPECT_TRUE(step.Add({.cache = &cache, .ids = ids, .wanted = kTokens}));
  EXPECT_TRUE(decoder.Forward(step));
  const Rows logits = step.logits(0);
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

}  // namespace
}  // namespace linnet
