#include "model/layer_tensors.h"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "model/generated_source.h"

namespace linnet {
namespace {

// Sizes that no two dimensions share.
ModelConfig TwoLayers() {
  ModelConfig config;
  config.vocab_size = 11;
  config.hidden_size = 6;
  config.num_attention_heads = 4;
  config.layers.resize(2);
  config.layers[0] = {LayerKind::kSliding, 8, 2, 16, 5};
  config.layers[1] = {LayerKind::kFull, 10, 1, 0, 7};
  return config;
}

std::map<Role, std::vector<int64_t>> ShapesOf(const ModelConfig& config, int layer) {
  std::map<Role, std::vector<int64_t>> shapes;
  for (const ExpectedTensor& tensor : TextTensors(config)) {
    if (tensor.layer == layer) shapes[tensor.role] = tensor.shape;
  }
  return shapes;
}

TEST(LayerTensorsTest, EveryRoleHasItsNamesOnce) {
  std::set<std::string> hf, gguf;
  for (int r = 0; r < kRoleCount; ++r) {
    hf.insert(HfName(static_cast<Role>(r), 3));
    gguf.insert(GgufName(static_cast<Role>(r), 3));
  }
  EXPECT_EQ(hf.size(), static_cast<size_t>(kRoleCount));
  EXPECT_EQ(gguf.size(), static_cast<size_t>(kRoleCount));
  std::set<Role> roles;
  for (const LayerTensor& tensor : LayerTensors()) roles.insert(tensor.role);
  EXPECT_EQ(roles.size(), LayerTensors().size());
  EXPECT_EQ(HfName(Role::kDown, 3), "model.language_model.layers.3.mlp.down_proj.weight");
  EXPECT_EQ(HfName(Role::kDown, 3, kDrafterPrefix), "model.layers.3.mlp.down_proj.weight");
  EXPECT_EQ(HfName(Role::kPreProjection, -1, kDrafterPrefix), "pre_projection.weight");
  EXPECT_EQ(GgufName(Role::kLayerScalar, 12), "blk.12.layer_output_scale.weight");
}

TEST(LayerTensorsTest, ShapesFollowThePlanOfEachLayer) {
  const ModelConfig config = TwoLayers();
  const std::map<Role, std::vector<int64_t>> expected = {{Role::kInputNorm, {6}},
                                                         {Role::kQ, {40, 6}},
                                                         {Role::kK, {10, 6}},
                                                         {Role::kV, {10, 6}},
                                                         {Role::kO, {6, 40}},
                                                         {Role::kQNorm, {10}},
                                                         {Role::kKNorm, {10}},
                                                         {Role::kPostAttentionNorm, {6}},
                                                         {Role::kPreFeedForwardNorm, {6}},
                                                         {Role::kGate, {7, 6}},
                                                         {Role::kUp, {7, 6}},
                                                         {Role::kDown, {6, 7}},
                                                         {Role::kPostFeedForwardNorm, {6}},
                                                         {Role::kLayerScalar, {1}}};
  EXPECT_EQ(ShapesOf(config, 1), expected);
  EXPECT_EQ(ShapesOf(config, 0)[Role::kK], (std::vector<int64_t>{16, 6}));
  EXPECT_EQ(ShapesOf(config, 0)[Role::kDown], (std::vector<int64_t>{6, 5}));
}

TEST(LayerTensorsTest, ALayerHasWhatItsPlanSays) {
  const auto missing = [](const ModelConfig& config) {
    std::set<Role> roles;
    for (const LayerTensor& tensor : LayerTensors()) roles.insert(tensor.role);
    for (const auto& [role, shape] : ShapesOf(config, 1)) roles.erase(role);
    return roles;
  };
  ModelConfig config = TwoLayers();
  EXPECT_EQ(missing(config), std::set<Role>{});
  config.layer_scalar = false;
  EXPECT_EQ(missing(config), std::set<Role>{Role::kLayerScalar});
  config.layer_scalar = true;
  config.layers[1].k_eq_v = true;
  EXPECT_EQ(missing(config), std::set<Role>{Role::kV});
  config.layers[1].key_source = KeySource::kTarget;
  EXPECT_EQ(missing(config), (std::set<Role>{Role::kK, Role::kV, Role::kKNorm}));
  config.layers[1].k_eq_v = false;
  EXPECT_EQ(missing(config), (std::set<Role>{Role::kK, Role::kV, Role::kKNorm}));
}

// A weight that two rows of the table share, or that no row reads, leaves a size that is not its own.
TEST(LayerTensorsTest, EveryWeightIsReadIntoAPlaceOfItsOwn) {
  const ModelConfig config = TwoLayers();
  const auto source = HashedWeights(config);
  ThreadPool pool(1);
  const auto weights = LoadWeights(config, *source, nullptr, pool, {});
  ASSERT_TRUE(weights) << weights.error().Message();
  const LayerWeights& w = weights->layers[1];
  std::set<const void*> places;
  for (const LayerTensor& tensor : LayerTensors()) {
    const std::vector<int64_t> shape = tensor.ShapeIn(config, config.layers[1]);
    const TensorInfo* info = FindTensor(*source, tensor.role, 1);
    ASSERT_NE(info, nullptr) << tensor.hf;
    std::vector<float> first(static_cast<size_t>(shape.back()));
    std::vector<uint8_t> scratch;
    const auto stored = source->Bytes(*info, 0, first.size() * sizeof(float), scratch);
    std::copy(stored.begin(), stored.end(), reinterpret_cast<uint8_t*>(first.data()));
    if (const auto* place = std::get_if<LayerTensor::MatrixPlace>(&tensor.place)) {
      const Matrix* matrix = &(w.**place);
      places.insert(matrix);
      EXPECT_EQ((std::vector<int64_t>{matrix->n, matrix->k}), shape) << tensor.hf;
      std::vector<float> row(first.size());
      UnpackRow(*matrix, 0, row);
      EXPECT_EQ(row, first) << tensor.hf;
    } else if (const auto* norm = std::get_if<LayerTensor::NormPlace>(&tensor.place)) {
      places.insert(&(w.**norm));
      EXPECT_EQ(w.**norm, first) << tensor.hf;
    } else {
      places.insert(&(w.*std::get<LayerTensor::ScalarPlace>(tensor.place)));
      EXPECT_EQ(w.layer_scalar, first[0]);
    }
  }
  EXPECT_EQ(places.size(), LayerTensors().size());
}

}  // namespace
}  // namespace linnet
