#include "model/tensor_names.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "io/safetensors.h"
#include "model/config_files.h"

namespace linnet {
namespace {

const std::filesystem::path kGolden = LINNET_SOURCE_DIR "/tests/data/golden/model";

std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Holds one byte a tensor and any names one likes.
class NamesOnly : public TensorSource {
 public:
  void Add(std::string name, std::vector<int64_t> shape = {1}, Dtype dtype = Dtype::kF32) {
    infos_.push_back({std::move(name), dtype, std::move(shape), 4});
  }
  std::span<const TensorInfo> tensors() const override { return infos_; }
  const TensorInfo* Find(std::string_view name) const override {
    for (const TensorInfo& info : infos_) {
      if (info.name == name) return &info;
    }
    return nullptr;
  }
  std::span<const uint8_t> Bytes(const TensorInfo&, uint64_t, uint64_t,
                                 std::vector<uint8_t>&) const override {
    return {};
  }

 private:
  std::vector<TensorInfo> infos_;
};

TEST(TensorNamesTest, GoldenModelsHaveExactlyTheExpectedTensors) {
  const auto config = ConfigFromJson({ReadWhole(kGolden / "target/config.json"), "", ""});
  ASSERT_TRUE(config);
  const auto file = Safetensors::Open(kGolden / "target/model.safetensors");
  ASSERT_TRUE(file);
  const auto text = TextTensors(*config);
  const auto multimodal = MultimodalTensors(*config);
  EXPECT_TRUE(CheckTensors(**file, text, "target"));
  EXPECT_TRUE(CheckTensors(**file, multimodal, "target"));
  EXPECT_EQ(text.size() + multimodal.size(), (*file)->tensors().size());
  for (const char* name : {"assistant", "assistant-centroid"}) {
    const auto drafter = DrafterFromJson({ReadWhole(kGolden / name / "config.json"), "", ""});
    const auto weights = Safetensors::Open(kGolden / name / "model.safetensors");
    ASSERT_TRUE(drafter && weights);
    const auto tensors = DrafterTensors(*drafter);
    const Status status = CheckTensors(**weights, tensors, name);
    EXPECT_TRUE(status) << status.error().Message();
    EXPECT_EQ(tensors.size(), (*weights)->tensors().size());
  }
}

TEST(TensorNamesTest, The12BHas677Tensors) {
  const auto config = ConfigFromJson({R"({"model_type":"gemma4_unified","vision_config":{},"audio_config":{},
           "text_config":{"hidden_size":3840,"num_hidden_layers":48,"num_attention_heads":16,
           "num_key_value_heads":8,"num_global_key_value_heads":1,"attention_k_eq_v":true,
           "intermediate_size":15360}})",
                                      "", ""});
  ASSERT_TRUE(config) << config.error().Message();
  auto tensors = TextTensors(*config);
  const auto multimodal = MultimodalTensors(*config);
  tensors.insert(tensors.end(), multimodal.begin(), multimodal.end());
  EXPECT_EQ(tensors.size(), 677u);
  int64_t parameters = 0;
  for (const ExpectedTensor& tensor : tensors) {
    int64_t n = 1;
    for (const int64_t d : tensor.shape) n *= d;
    parameters += n;
  }
  EXPECT_EQ(parameters, 11'959'730'224);
}

TEST(TensorNamesTest, FindsEverySpelling) {
  for (const char* name :
       {"blk.3.attn_q.weight", "model.language_model.layers.3.self_attn.q_proj.weight",
        "language_model.model.layers.3.self_attn.q_proj.weight", "layers.3.self_attn.q_proj.weight",
        "language_model.layers.3.self_attn.q_proj.weight", "model.layers.3.self_attn.q_proj.weight"}) {
    NamesOnly source;
    source.Add(name);
    EXPECT_NE(FindTensor(source, Role::kQ, 3), nullptr) << name;
    EXPECT_EQ(FindTensor(source, Role::kQ, 2), nullptr) << name;
  }
  for (const char* name : {"v.patch_embd.weight", "model.vision_embedder.patch_dense.weight",
                           "vision_embedder.patch_dense.weight", "model.embed_vision.patch_dense.weight"}) {
    NamesOnly source;
    source.Add(name);
    EXPECT_NE(FindTensor(source, Role::kPatchDenseWeight), nullptr) << name;
  }
  for (const char* name :
       {"nextn.pre_projection.weight", "mtp.pre_projection.weight", "mtp_pre_proj.weight"}) {
    NamesOnly source;
    source.Add(name);
    EXPECT_NE(FindTensor(source, Role::kPreProjection), nullptr) << name;
  }
  NamesOnly multimodal;
  multimodal.Add("model.embed_audio.multimodal_embedder.embedding_projection.weight");
  EXPECT_NE(FindTensor(multimodal, Role::kAudioProjection), nullptr);
}

TEST(TensorNamesTest, ComplaintsNameTensorAndShapes) {
  const std::vector<ExpectedTensor> expected = {{Role::kQ, 3, {8, 4}}};
  NamesOnly missing;
  EXPECT_NE(CheckTensors(missing, expected, "f").error().what.find("blk.3.attn_q.weight"), std::string::npos);
  NamesOnly wrong;
  wrong.Add("blk.3.attn_q.weight", {4, 8});
  const std::string message = CheckTensors(wrong, expected, "f").error().what;
  EXPECT_NE(message.find("[4, 8], expected [8, 4]"), std::string::npos) << message;
  NamesOnly integers;
  integers.Add("blk.3.attn_q.weight", {8, 4}, Dtype::kI32);
  EXPECT_FALSE(CheckTensors(integers, expected, "f"));
}

TEST(TensorNamesTest, PlanarOrderIsTheFilesPermutation) {
  constexpr size_t kSide = 6;
  std::vector<float> interleaved(kSide * kSide * 3), planar(interleaved.size()), back(interleaved.size());
  for (size_t i = 0; i < interleaved.size(); ++i) interleaved[i] = static_cast<float>(i);
  InterleavedToPlanar(interleaved, planar);
  for (size_t ch = 0; ch < 3; ++ch) {
    for (size_t row = 0; row < kSide; ++row) {
      for (size_t col = 0; col < kSide; ++col) {
        EXPECT_EQ(planar[(ch * kSide + row) * kSide + col], interleaved[(row * kSide + col) * 3 + ch]);
      }
    }
  }
  PlanarToInterleaved(planar, back);
  EXPECT_EQ(back, interleaved);
}

}  // namespace
}  // namespace linnet
