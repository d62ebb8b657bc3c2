// What conversion promises: the same configuration, the same numbers, no file replaced that must stay.
#include "quant/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/directory_testing.h"
#include "io/gguf_test_bytes.h"
#include "linnet/engine.h"
#include "linnet/session.h"
#include "model/config_files.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "quant/small_model_testing.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

const std::string kModels = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/";
const std::string kChick = std::string(LINNET_SOURCE_DIR) + "/models/chick";

class ConvertTest : public DirectoryTest {
 protected:
  Result<ConvertReport> Convert(const std::string& input, const std::string& output, Dtype type,
                                bool overwrite = false) {
    return ConvertModel({input, output, type, overwrite}, pool_, {});
  }

  ThreadPool pool_{2};
};

void ExpectSameConfig(const ModelConfig& a, const ModelConfig& b) {
  EXPECT_EQ(a.vocab_size, b.vocab_size);
  EXPECT_EQ(a.hidden_size, b.hidden_size);
  EXPECT_EQ(a.num_attention_heads, b.num_attention_heads);
  EXPECT_EQ(a.max_position_embeddings, b.max_position_embeddings);
  EXPECT_EQ(a.rms_norm_eps, b.rms_norm_eps);
  EXPECT_EQ(a.final_logit_softcapping, b.final_logit_softcapping);
  EXPECT_EQ(a.attention_scale, b.attention_scale);
  EXPECT_EQ(a.embed_scale_bf16, b.embed_scale_bf16);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (size_t i = 0; i < a.layers.size(); ++i) {
    const LayerPlan &x = a.layers[i], &y = b.layers[i];
    EXPECT_TRUE(x.kind == y.kind && x.head_dim == y.head_dim && x.intermediate_size == y.intermediate_size &&
                x.kv_heads == y.kv_heads && x.window == y.window && x.key_source == y.key_source &&
                x.k_eq_v == y.k_eq_v && x.rope.theta == y.rope.theta &&
                x.rope.rotated_pairs == y.rope.rotated_pairs)
        << "layer " << i;
  }
  EXPECT_EQ(a.vision.present, b.vision.present);
  EXPECT_EQ(a.vision.cell(), b.vision.cell());
  EXPECT_EQ(a.vision.patch_size, b.vision.patch_size);
  EXPECT_EQ(a.vision.mm_embed_dim, b.vision.mm_embed_dim);
  EXPECT_EQ(a.vision.mm_posemb_size, b.vision.mm_posemb_size);
  EXPECT_EQ(a.vision.num_soft_tokens, b.vision.num_soft_tokens);
  EXPECT_EQ(a.audio.present, b.audio.present);
  EXPECT_EQ(a.audio.frame_samples, b.audio.frame_samples);
  EXPECT_EQ(a.audio.sampling_rate, b.audio.sampling_rate);
  const TokenIds &s = a.tokens, &t = b.tokens;
  EXPECT_TRUE(s.bos == t.bos && s.pad == t.pad && s.image == t.image && s.audio == t.audio &&
              s.video == t.video && s.begin_image == t.begin_image && s.end_image == t.end_image &&
              s.begin_audio == t.begin_audio && s.end_audio == t.end_audio);
  EXPECT_EQ(s.eos, t.eos);
  EXPECT_EQ(s.suppressed, t.suppressed);
  EXPECT_EQ(a.generation.do_sample, b.generation.do_sample);
}

// Every tensor of `a` is in `b` with the same numbers, up to `bound` times the largest of the tensor.
void ExpectSameTensors(const ModelFiles& a, const ModelFiles& b, float bound) {
  std::vector<ExpectedTensor> all = TextTensors(a.config);
  const size_t text = all.size();
  for (const ExpectedTensor& tensor : MultimodalTensors(a.config)) all.push_back(tensor);
  for (size_t i = 0; i < all.size(); ++i) {
    const auto x = ReadFloats(i < text ? *a.text : *a.multimodal, all[i].role, all[i].layer);
    const auto y = ReadFloats(i < text ? *b.text : *b.multimodal, all[i].role, all[i].layer);
    ASSERT_TRUE(x && y) << HfName(all[i].role, all[i].layer);
    ASSERT_EQ(x->size(), y->size());
    float largest = 0, deviation = 0;
    for (size_t j = 0; j < x->size(); ++j) {
      largest = std::max(largest, std::fabs((*x)[j]));
      deviation = std::max(deviation, std::fabs((*x)[j] - (*y)[j]));
    }
    ASSERT_LE(deviation, bound * largest) << HfName(all[i].role, all[i].layer);
  }
}

TEST_F(ConvertTest, F32AndBf16KeepEveryNumber) {
  const struct {
    std::string input;
    Dtype type;
  } cases[] = {{kModels + "target", Dtype::kF32},
               {kModels + "target-sharded", Dtype::kF32},
               {kChick, Dtype::kBf16},
               {kChick, Dtype::kF32}};
  for (const auto& c : cases) {
    const std::string output = File("out.gguf");
    const auto report = Convert(c.input, output, c.type, true);
    ASSERT_TRUE(report) << report.error().Message();
    EXPECT_EQ(report->files.size(), 2u);
    const auto before = OpenModel(c.input, "", "");
    const auto after = OpenModel(output, "", "");
    ASSERT_TRUE(before && after) << (after ? "" : after.error().Message());
    ExpectSameConfig(before->config, after->config);
    ExpectSameTensors(*before, *after, 0.0f);
  }
}

// Containers of quantised matrices and types without kernels: to float32 nothing is lost.
TEST_F(ConvertTest, QuantisedInputsKeepEveryNumberAsFloats) {
  const std::string formats = std::string(LINNET_SOURCE_DIR) + "/tests/data/formats/model/";
  for (const char* name : {"mlx-mixed", "ct-w4a16", "gptq-mlp", "gguf-mixed.gguf"}) {
    const std::string output = File("out.gguf");
    const auto report = Convert(formats + name, output, Dtype::kF32, true);
    ASSERT_TRUE(report) << report.error().Message();
    const auto before = OpenModel(formats + name, "", "");
    const auto after = OpenModel(output, "", "");
    ASSERT_TRUE(before && after) << (after ? "" : after.error().Message());
    ExpectSameConfig(before->config, after->config);
    ExpectSameTensors(*before, *after, 0.0f);
  }
}

TEST_F(ConvertTest, QuantisedFilesStayClose) {
  const auto before = OpenModel(kModels + "target", "", "");
  // The largest error of a block is a whole step of about 1/127 or 1/8, where that makes the others smaller.
  for (const auto& [type, bound] : {std::pair(Dtype::kQ8_0, 0.008f), std::pair(Dtype::kQ4_0, 0.19f)}) {
    const std::string output = File("out.gguf");
    const auto report = Convert(kModels + "target", output, type, true);
    ASSERT_TRUE(report) << report.error().Message();
    const auto after = OpenModel(output, "", "");
    ASSERT_TRUE(after) << after.error().Message();
    ExpectSameConfig(before->config, after->config);
    ExpectSameTensors(*before, *after, bound);
    EXPECT_EQ(FindTensor(*after->text, Role::kQ, 0)->dtype, type);
  }
}

TEST_F(ConvertTest, RequantisingAGgufKeepsTheFunction) {
  const auto before = OpenModel(kChick, "", "");
  ASSERT_TRUE(Convert(kChick, File("a.gguf"), Dtype::kBf16));
  // bf16 to f32: the numbers and the bf16 embedding factor stay, though the table is float32 now.
  ASSERT_TRUE(Convert(File("a.gguf"), File("b.gguf"), Dtype::kF32));
  const auto after = OpenModel(File("b.gguf"), File("mmproj-a.gguf"), "");
  ASSERT_TRUE(before && after) << (after ? "" : after.error().Message());
  EXPECT_TRUE(after->config.embed_scale_bf16);
  ExpectSameConfig(before->config, after->config);
  ExpectSameTensors(*before, *after, 0.0f);
  // And the reverse: a float32 model stays one in a bf16 file.
  ASSERT_TRUE(Convert(kModels + "target", File("c.gguf"), Dtype::kF32));
  ASSERT_TRUE(Convert(File("c.gguf"), File("d.gguf"), Dtype::kBf16));
  EXPECT_FALSE(OpenModel(File("d.gguf"), "", "")->config.embed_scale_bf16);
}

TEST_F(ConvertTest, DraftersConvert) {
  for (const std::string name : {"assistant", "assistant-centroid"}) {
    const std::string output = File(name + ".gguf");
    const auto report = Convert(kModels + name, output, Dtype::kF32);
    ASSERT_TRUE(report) << report.error().Message();
    const auto a = OpenModel(kModels + "target", "", kModels + name);
    const auto b = OpenModel(kModels + "target", "", output);
    ASSERT_TRUE(a && b) << (b ? "" : b.error().Message());
    EXPECT_EQ(b->drafter_config->use_ordered_embeddings, name == "assistant-centroid");
    EXPECT_EQ(a->drafter_config->centroid_top_k, b->drafter_config->centroid_top_k);
    ExpectSameConfig(a->drafter_config->text, b->drafter_config->text);
    const auto tensors = DrafterTensors(*a->drafter_config);
    const Status complete = CheckTensors(*b->drafter, DrafterTensors(*b->drafter_config), output);
    ASSERT_TRUE(complete) << complete.error().Message();
    ASSERT_EQ(tensors.size(), DrafterTensors(*b->drafter_config).size());
    for (const ExpectedTensor& tensor : tensors) {
      if (tensor.role == Role::kTokenOrdering) continue;
      EXPECT_EQ(*ReadFloats(*a->drafter, tensor.role, tensor.layer),
                *ReadFloats(*b->drafter, tensor.role, tensor.layer));
    }
  }
}

std::vector<float> Logits(const std::string& model) {
  LoadOptions options;
  options.model = model;
  options.threads = 1;
  auto engine = Engine::Load(options);
  EXPECT_TRUE(engine) << (engine ? "" : engine.error().Message());
  auto session = (*engine)->NewSession({});
  std::vector<int32_t> ids(40);
  for (int32_t i = 0; i < 40; ++i) ids[static_cast<size_t>(i)] = (7 * i + 2) % 192;
  EXPECT_TRUE((*session)->Feed(ids));
  const auto logits = (*session)->logits();
  return {logits.begin(), logits.end()};
}

TEST_F(ConvertTest, Gemma3DirectoriesAreTheSameModelAsGguf) {
  WriteGemma3(File("gemma3"));
  WriteTokenizer(File("gemma3/tokenizer.json"), 192);
  const auto report = Convert(File("gemma3"), File("gemma3.gguf"), Dtype::kF32);
  ASSERT_TRUE(report) << report.error().Message();
  EXPECT_EQ(report->files.size(), 1u) << "it neither sees nor hears";
  const auto before = OpenModel(File("gemma3"), "", "");
  const auto after = OpenModel(File("gemma3.gguf"), "", "");
  ASSERT_TRUE(before && after) << (after ? "" : after.error().Message());
  EXPECT_EQ(after->config.model_type, "gemma3_text");
  EXPECT_EQ(after->gguf->metadata().GetString("general.architecture"), "gemma3");
  ExpectSameConfig(before->config, after->config);
  EXPECT_EQ(after->config.layers[2].rope.linear_factor, 8.0);
  EXPECT_EQ(after->config.layers[0].rope.linear_factor, 1.0);
  EXPECT_FALSE(after->config.norm_adds_one);
  EXPECT_EQ(ReadFloats(*after->text, Role::kFinalNorm)->front(),
            ReadFloats(*before->text, Role::kFinalNorm)->front() + 1.0f);
  EXPECT_EQ(Logits(File("gemma3")), Logits(File("gemma3.gguf")));
}

TEST_F(ConvertTest, LayersKeepTheirFeedForwardWidths) {
  WriteGemma3(File("widths"), R"(,"per_layer_config":{"1":{"intermediate_size":160}})");
  WriteTokenizer(File("widths/tokenizer.json"), 192);
  const auto report = Convert(File("widths"), File("widths.gguf"), Dtype::kF32);
  ASSERT_TRUE(report) << report.error().Message();
  const auto before = OpenModel(File("widths"), "", "");
  const auto after = OpenModel(File("widths.gguf"), "", "");
  ASSERT_TRUE(before && after) << (after ? "" : after.error().Message());
  ExpectSameConfig(before->config, after->config);
  EXPECT_EQ(after->config.layers[1].intermediate_size, 160);
  EXPECT_EQ(after->config.layers[2].intermediate_size, 96);
  EXPECT_EQ(*after->gguf->metadata().GetInts("gemma3.feed_forward_length"),
            (std::vector<int64_t>{96, 160, 96}));
  EXPECT_EQ(Logits(File("widths")), Logits(File("widths.gguf")));
}

TEST_F(ConvertTest, ADrafterTakesItsVocabularyAlong) {
  fs::copy(kModels + "assistant", File("assistant"));
  auto report = Convert(File("assistant"), File("bare.gguf"), Dtype::kF32);
  ASSERT_TRUE(report && report->notes.size() == 1);
  EXPECT_NE(report->notes[0].find("vocabulary"), std::string::npos);
  WriteTokenizer(File("assistant/tokenizer.json"), 192);
  report = Convert(File("assistant"), File("assistant.gguf"), Dtype::kF32);
  ASSERT_TRUE(report) << report.error().Message();
  EXPECT_TRUE(report->notes.empty());
  const auto files = OpenModel(kModels + "target", "", File("assistant.gguf"));
  ASSERT_TRUE(files) << files.error().Message();
  const auto gguf = Gguf::Open(File("assistant.gguf"));
  EXPECT_EQ((*gguf)->metadata().GetStrings("tokenizer.ggml.tokens")->size(), 192u);
}

TEST_F(ConvertTest, AGgufElsewhereGetsACopyOfTheMultimodalFile) {
  ASSERT_TRUE(Convert(kModels + "target", File("a.gguf"), Dtype::kF32));
  const auto beside = Convert(File("a.gguf"), File("b.gguf"), Dtype::kQ8_0);
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->files.size(), 1u);
  fs::create_directories(File("elsewhere"));
  const auto away = Convert(File("a.gguf"), File("elsewhere/c.gguf"), Dtype::kQ8_0);
  ASSERT_TRUE(away) << away.error().Message();
  ASSERT_EQ(away->files.size(), 2u);
  EXPECT_EQ(away->files[1].bytes, fs::file_size(File("mmproj-a.gguf")));
  const auto files = OpenModel(File("elsewhere/c.gguf"), "", "");
  ASSERT_TRUE(files && files->config.vision.present);
  EXPECT_EQ(fs::path(files->multimodal_path).filename(), "mmproj-c.gguf");
  fs::remove(File("elsewhere/c.gguf"));
  EXPECT_FALSE(Convert(File("a.gguf"), File("elsewhere/c.gguf"), Dtype::kQ8_0))
      << "the copy would replace a file";
  EXPECT_FALSE(fs::exists(File("elsewhere/c.gguf")));
}

TEST_F(ConvertTest, NeverReplacesWhatItReads) {
  ASSERT_TRUE(Convert(kModels + "target", File("model.gguf"), Dtype::kF32));
  EXPECT_FALSE(Convert(kModels + "target", File("model.gguf"), Dtype::kF32));  // exists
  for (const std::string& input : {File("model.gguf"), root_.string()}) {
    for (const char* output : {"model.gguf", "mmproj-model.gguf"}) {
      const auto report = Convert(input, File(output), Dtype::kQ8_0, true);
      ASSERT_FALSE(report) << input << " " << output;
      EXPECT_NE(report.error().what.find("part of the input"), std::string::npos);
    }
  }
  EXPECT_FALSE(Convert(kModels + "target", File("model.bin"), Dtype::kF32));
  EXPECT_FALSE(Convert(kModels + "target", File("nowhere/model.gguf"), Dtype::kF32));
  EXPECT_TRUE(OpenModel(File("model.gguf"), "", ""));
  for (const auto& entry : fs::directory_iterator(root_)) EXPECT_NE(entry.path().extension(), ".part");
}

TEST_F(ConvertTest, ModelsOfOneShapeInOneDirectoryKeepTheirOwnMultimodalFiles) {
  for (const char* name : {"a.gguf", "b.gguf", "ba.gguf"}) {
    ASSERT_TRUE(Convert(kModels + "target", File(name), Dtype::kF32));
  }
  for (const char* name : {"a.gguf", "b.gguf", "ba.gguf"}) {
    const auto files = OpenModel(File(name), "", "");
    ASSERT_TRUE(files) << files.error().Message();
    EXPECT_EQ(fs::path(files->multimodal_path).filename(), std::string("mmproj-") + name);
  }
}

TEST_F(ConvertTest, TakesTheChatTemplateOfTheModelAndNoOther) {
  const fs::path before = fs::current_path();
  const auto write = [](const std::string& path, const char* text) { std::ofstream(path) << text; };
  write(File("chat_template.jinja"), "of the working directory");
  fs::current_path(root_);
  const auto converted = Convert("", File("chick.gguf"), Dtype::kF32);
  fs::current_path(before);
  ASSERT_TRUE(converted) << converted.error().Message();
  auto files = OpenModel(File("chick.gguf"), "", "");
  ASSERT_TRUE(files) << files.error().Message();
  EXPECT_EQ(files->gguf->metadata().Get("tokenizer.chat_template"), nullptr);

  fs::copy(kModels + "target", File("hf"), fs::copy_options::recursive);
  write(File("hf/chat_template.jinja"), "of the model");
  ASSERT_TRUE(Convert(File("hf"), File("hf.gguf"), Dtype::kF32));
  files = OpenModel(File("hf.gguf"), "", "");
  ASSERT_TRUE(files) << files.error().Message();
  EXPECT_EQ(files->gguf->metadata().GetString("tokenizer.chat_template"), "of the model");
}

TEST_F(ConvertTest, RefusesWhatGgufCannotExpress) {
  const fs::path directory = root_ / "model";
  fs::copy(kModels + "target", directory);
  std::ifstream in(directory / "config.json");
  std::string config{std::istreambuf_iterator<char>(in), {}};
  const std::string from = "\"partial_rotary_factor\": 0.25,";
  config.replace(config.find(from), from.size(), from + " \"factor\": 2.0,");
  fs::permissions(directory / "config.json", fs::perms::owner_all);
  std::ofstream(directory / "config.json") << config;
  const auto report = Convert(directory.string(), File("out.gguf"), Dtype::kF32);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().what.find("layer 2"), std::string::npos) << report.error().what;
  EXPECT_FALSE(fs::exists(File("out.gguf")));
}

// The converted target with other alignment and strange extra tensors must not confuse or crash the
// converter.
TEST_F(ConvertTest, SurvivesStrangeGgufs) {
  ASSERT_TRUE(Convert(kModels + "target", File("good.gguf"), Dtype::kF32));
  const auto good = Gguf::Open(File("good.gguf"));
  const struct {
    std::vector<uint64_t> ne;
    bool works;
  } cases[] = {{{3}, true}, {{}, false}, {{0}, false}, {{0, 7}, false}, {{4, 0}, false}};
  for (const auto& c : cases) {
    GgufBytes b;
    const auto& values = (*good)->metadata().values();
    b.Header((*good)->tensors().size() + 1, values.size() + 1);
    b.U32("general.alignment", 64);
    for (const auto& [key, value] : values) {
      value.is_array ? b.Array(key, value.type, value.count) : b.Key(key, value.type);
      b.data.insert(b.data.end(), value.bytes.begin(), value.bytes.end());
    }
    uint64_t offset = 0;
    for (const TensorInfo& tensor : (*good)->tensors()) {
      b.Tensor(tensor.name, {tensor.shape.rbegin(), tensor.shape.rend()}, 0, offset);
      offset = (offset + tensor.bytes + 63) / 64 * 64;
    }
    b.Tensor("strange", c.ne, 0, offset);
    b.Pad(64);
    std::vector<uint8_t> scratch;
    for (const TensorInfo& tensor : (*good)->tensors()) {
      const auto bytes = (*good)->Bytes(tensor, 0, tensor.bytes, scratch);
      b.data.insert(b.data.end(), bytes.begin(), bytes.end());
      b.Pad(64);
    }
    b.Zeros(64);
    std::ofstream(File("strange.gguf"), std::ios::binary)
        .write(reinterpret_cast<const char*>(b.data.data()), static_cast<std::streamsize>(b.data.size()));
    const auto report = Convert(File("strange.gguf"), File("out.gguf"), Dtype::kF32, true);
    ASSERT_EQ(report.has_value(), c.works) << (report ? "" : report.error().Message());
    if (!c.works) continue;
    const auto a = OpenModel(kModels + "target", "", "");
    const auto after = OpenModel(File("out.gguf"), "", "");
    ASSERT_TRUE(a && after) << (after ? "" : after.error().Message());
    ExpectSameTensors(*a, *after, 0.0f);
  }
}

}  // namespace
}  // namespace linnet
