// Hugging Face directories that are written: what their tensors hold, and what Linnet reads of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/bf16.h"
#include "base/directory_testing.h"
#include "io/safetensors.h"
#include "linnet/quantise.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "quant/small_model_testing.h"
#include "quant/weight_mix.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class ConvertDirectoryTest : public DirectoryTest {
 protected:
  Result<QuantiseReport> Make(const std::string& form, const std::string& output, uint64_t max_shard = 0,
                              bool dry_run = false) {
    QuantiseOptions options;
    options.input = File("model");
    options.output = File(output);
    options.mix = form;
    options.max_shard = max_shard;
    options.dry_run = dry_run;
    options.threads = 2;
    return Quantise(options);
  }
  nlohmann::json ConfigOf(const std::string& directory) {
    return nlohmann::json::parse(ReadBytes(File(directory + "/config.json")));
  }
  void WriteModel(bool trained = false) {
    WriteGemma3(File("model"), "", trained);
    WriteTokenizer(File("model/tokenizer.json"), 192);
    WriteBytes(File("model/chat_template.jinja"), "{{ bos_token }}");
    WriteBytes(File("model/README.md"), "of the model it was made from");
  }
};

template <typename T>
std::vector<T> NumbersOf(const Safetensors& file, const std::string& name) {
  const TensorInfo* tensor = file.Find(name);
  if (tensor == nullptr) return {};
  std::vector<uint8_t> scratch;
  std::vector<T> numbers(tensor->bytes / sizeof(T));
  std::memcpy(numbers.data(), file.Bytes(*tensor, 0, tensor->bytes, scratch).data(), tensor->bytes);
  return numbers;
}

// As docs/formats.md defines the values.
std::vector<float> ValuesOf(const Safetensors& file, const std::string& module, const DirectoryForm& form) {
  const size_t bits = static_cast<size_t>(form.groups.bits), group = static_cast<size_t>(form.groups.group);
  const auto words = NumbersOf<uint32_t>(file, module + (form.mlx ? ".weight" : ".weight_packed"));
  const auto scales = NumbersOf<uint16_t>(file, module + (form.mlx ? ".scales" : ".weight_scale"));
  const auto biases = NumbersOf<uint16_t>(file, module + ".biases");
  std::vector<float> values(words.size() * 32 / bits);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t field = words[i * bits / 32] >> (i * bits % 32) & ((1u << bits) - 1);
    const float scale = Bf16ToFloat(scales[i / group]);
    values[i] = form.mlx ? scale * static_cast<float>(field) + Bf16ToFloat(biases[i / group])
                         : scale * (static_cast<float>(field) - 8.0f);
  }
  return values;
}

double Lost(const std::vector<float>& before, const std::vector<float>& after) {
  double off = 0, all = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    off += std::pow(static_cast<double>(before[i]) - static_cast<double>(after[i]), 2);
    all += std::pow(static_cast<double>(before[i]), 2);
  }
  return off / all;
}

TEST_F(ConvertDirectoryTest, LinnetReadsWhatTheTensorsHold) {
  WriteModel();
  const auto before = OpenModel(File("model"), "", "");
  ASSERT_TRUE(before) << before.error().Message();
  for (const DirectoryForm& form : DirectoryForms()) {
    const std::string name(form.name);
    const auto report = Make(name, name);
    ASSERT_TRUE(report) << name << ": " << report.error().Message();
    const auto after = OpenModel(File(name), "", "");
    ASSERT_TRUE(after) << name << ": " << after.error().Message();
    const auto file = Safetensors::Open(File(name + "/model.safetensors"));
    ASSERT_TRUE(file) << file.error().Message();
    for (const ExpectedTensor& tensor : TextTensors(before->config)) {
      const std::string full = HfName(tensor.role, tensor.layer, "model.");
      const std::string module = full.substr(0, full.rfind('.'));
      const std::vector<float> x = *ReadFloats(*before->text, tensor.role, tensor.layer),
                               y = *ReadFloats(*after->text, tensor.role, tensor.layer);
      const bool quantised = tensor.shape.size() == 2 && tensor.shape[1] % form.groups.group == 0 &&
                             (form.mlx || tensor.role != Role::kEmbedding);
      EXPECT_EQ((*file)->Find(module + (form.mlx ? ".scales" : ".weight_scale")) != nullptr, quantised)
          << name << " " << module;
      if (!quantised) {
        EXPECT_EQ(x, y) << name << " " << module;
        continue;
      }
      EXPECT_EQ(y, ValuesOf(**file, module, form)) << name << " " << module;
      EXPECT_LT(Lost(x, y), form.groups.bits == 8 ? 1e-4 : 1.5e-2) << name << " " << module;
      if (form.mlx) continue;
      EXPECT_EQ(NumbersOf<int64_t>(**file, module + ".weight_shape"), tensor.shape);
    }
  }
}

TEST_F(ConvertDirectoryTest, ConfigSaysHowAsTheLoadersExpect) {
  WriteModel();
  ASSERT_TRUE(Make("w4a16-g32", "ct"));
  const nlohmann::json ct = ConfigOf("ct")["quantization_config"];
  EXPECT_EQ(ct["quant_method"], "compressed-tensors");
  EXPECT_EQ(ct["format"], "pack-quantized");
  const nlohmann::json& weights = ct["config_groups"]["group_0"]["weights"];
  EXPECT_EQ(weights["num_bits"], 4);
  EXPECT_EQ(weights["group_size"], 32);
  EXPECT_EQ(weights["symmetric"], true);
  EXPECT_EQ(ct["ignore"], nlohmann::json::array({"lm_head"}));
  // Rows of 96 are no multiple of 64: those modules are said to be left alone.
  ASSERT_TRUE(Make("w4a16-g128", "wide"));
  EXPECT_GT(ConfigOf("wide")["quantization_config"]["ignore"].size(), 1u);
  ASSERT_TRUE(Make("mlx-8bit-g64", "mlx"));
  const nlohmann::json mlx = ConfigOf("mlx");
  EXPECT_EQ(mlx["quantization"], (nlohmann::json{{"group_size", 64}, {"bits", 8}, {"mode", "affine"}}));
  EXPECT_EQ(mlx["quantization"], mlx["quantization_config"]);
  EXPECT_EQ(mlx["hidden_size"], 64) << "the rest stays";
  for (const char* name : {"tokenizer.json", "generation_config.json", "chat_template.jinja"}) {
    EXPECT_EQ(ReadBytes(File("mlx/" + std::string(name))), ReadBytes(File("model/" + std::string(name))));
  }
  EXPECT_FALSE(fs::exists(File("mlx/README.md")));
}

TEST_F(ConvertDirectoryTest, WhatSeesStaysWhatHearsIsMlxs) {
  QuantiseOptions options;
  options.input = std::string(LINNET_SOURCE_DIR) + "/models/chick";
  options.output = File("mlx");
  options.mix = "mlx-8bit-g128";
  ASSERT_TRUE(Quantise(options));
  options.output = File("ct");
  options.mix = "w4a16-g128";
  ASSERT_TRUE(Quantise(options));
  const auto mlx = Safetensors::Open(File("mlx/model.safetensors"));
  const auto ct = Safetensors::Open(File("ct/model.safetensors"));
  ASSERT_TRUE(mlx && ct);
  EXPECT_EQ((*mlx)->metadata().at("format"), "mlx");
  EXPECT_NE((*mlx)->Find("language_model.model.layers.0.mlp.up_proj.scales"), nullptr);
  EXPECT_NE((*mlx)->Find("language_model.model.embed_tokens.biases"), nullptr);
  EXPECT_NE((*mlx)->Find("embed_audio.embedding_projection.scales"), nullptr);
  EXPECT_EQ((*mlx)->Find("vision_embedder.patch_dense.weight")->dtype, Dtype::kBf16);
  EXPECT_NE((*ct)->Find("model.language_model.layers.0.mlp.up_proj.weight_scale"), nullptr);
  EXPECT_EQ((*ct)->Find("model.embed_audio.embedding_projection.weight")->dtype, Dtype::kBf16);
  const nlohmann::json ignored = ConfigOf("ct")["quantization_config"]["ignore"];
  for (const char* module :
       {"model.vision_embedder.patch_dense", "model.embed_vision.embedding_projection", "lm_head"}) {
    EXPECT_NE(std::ranges::find(ignored, module), ignored.end()) << module;
  }
  for (const char* name : {"mlx", "ct"}) {
    const auto files = OpenModel(File(name), "", "");
    ASSERT_TRUE(files) << files.error().Message();
    EXPECT_TRUE(files->config.vision.present && files->config.audio.present);
    EXPECT_TRUE(CheckTensors(*files->multimodal, MultimodalTensors(files->config), name));
  }
}

TEST_F(ConvertDirectoryTest, CutFilesHoldTheSame) {
  WriteModel();
  ASSERT_TRUE(Make("mlx-4bit-g32", "one"));
  const auto said = Make("mlx-4bit-g32", "cut", 20'000, true);
  ASSERT_TRUE(said) << said.error().Message();
  EXPECT_FALSE(fs::exists(File("cut")));
  const auto cut = Make("mlx-4bit-g32", "cut", 20'000);
  ASSERT_TRUE(cut) << cut.error().Message();
  ASSERT_GT(cut->files.size(), 2u);
  ASSERT_EQ(said->files.size(), cut->files.size());
  for (size_t i = 0; i < cut->files.size(); ++i) {
    EXPECT_EQ(said->files[i].path, cut->files[i].path);
    EXPECT_EQ(fs::file_size(cut->files[i].path), said->files[i].bytes);
    EXPECT_LT(cut->files[i].bytes, 30'000u) << "its header comes on top";
  }
  const auto index = nlohmann::json::parse(ReadBytes(File("cut/model.safetensors.index.json")));
  const auto a = Safetensors::Open(File("one/model.safetensors"));
  const auto b = Safetensors::OpenSharded(File("cut/model.safetensors.index.json"));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(index["weight_map"].size(), (*a)->tensors().size());
  for (const TensorInfo& tensor : (*a)->tensors()) {
    EXPECT_EQ(NumbersOf<uint8_t>(**a, tensor.name), NumbersOf<uint8_t>(**b, tensor.name)) << tensor.name;
  }
  EXPECT_TRUE(OpenModel(File("cut"), "", ""));
}

TEST_F(ConvertDirectoryTest, SplitGgufsHoldTheSame) {
  WriteModel();
  ASSERT_TRUE(Make("q8_0", "one.gguf"));
  const auto cut = Make("q8_0", "cut.gguf", 40'000);
  ASSERT_TRUE(cut) << cut.error().Message();
  const size_t count = cut->files.size();
  ASSERT_GT(count, 2u);
  EXPECT_FALSE(fs::exists(File("cut.gguf")));
  const std::string first = "cut-00001-of-0000" + std::to_string(count) + ".gguf";
  EXPECT_EQ(fs::path(cut->files[0].path).filename(), first);
  const auto a = OpenModel(File("one.gguf"), "", ""), b = OpenModel(File(first), "", "");
  ASSERT_TRUE(a);
  ASSERT_TRUE(b) << b.error().Message();
  EXPECT_EQ(b->gguf->metadata().GetInt("split.count"), static_cast<int64_t>(count));
  EXPECT_EQ(b->gguf->metadata().GetInt("split.no"), 0);
  EXPECT_EQ(b->gguf->metadata().GetInt("split.tensors.count"),
            static_cast<int64_t>(a->text->tensors().size()));
  for (const ExpectedTensor& tensor : TextTensors(a->config)) {
    EXPECT_EQ(*ReadFloats(*a->text, tensor.role, tensor.layer),
              *ReadFloats(*b->text, tensor.role, tensor.layer));
  }
  // Nothing is replaced unless it is said, the input never.
  EXPECT_FALSE(Make("q8_0", "cut.gguf", 40'000));
  QuantiseOptions options;
  options.input = File(first);
  options.output = File("cut.gguf");
  options.mix = "q8_0";
  options.max_shard = 40'000;
  options.overwrite = true;
  const auto input = Quantise(options);
  ASSERT_FALSE(input);
  EXPECT_NE(input.error().what.find("part of the input"), std::string::npos) << input.error().what;
}

TEST_F(ConvertDirectoryTest, WeightsTrainedForFourBitsKeepTheirValues) {
  WriteModel(true);
  const auto before = OpenModel(File("model"), "", "");
  for (const std::string form : {"w4a16-g32", "mlx-4bit-g32", "mlx-8bit-g32"}) {
    const auto report = Make(form, form);
    ASSERT_TRUE(report) << report.error().Message();
    const auto after = OpenModel(File(form), "", "");
    ASSERT_TRUE(after) << after.error().Message();
    for (const ExpectedTensor& tensor : TextTensors(before->config)) {
      EXPECT_EQ(*ReadFloats(*before->text, tensor.role, tensor.layer),
                *ReadFloats(*after->text, tensor.role, tensor.layer))
          << form << " " << HfName(tensor.role, tensor.layer);
    }
  }
}

TEST_F(ConvertDirectoryTest, QuantisedDirectoriesBecomeOthers) {
  WriteModel(true);
  ASSERT_TRUE(Make("mlx-4bit-g32", "mlx"));
  QuantiseOptions options;
  options.input = File("mlx");
  options.output = File("ct") + "/";
  options.mix = "w4a16-g32";
  const auto report = Quantise(options);
  ASSERT_TRUE(report) << report.error().Message();
  EXPECT_FALSE(ConfigOf("ct").contains("quantization"));
  const auto before = OpenModel(File("model"), "", ""), after = OpenModel(File("ct"), "", "");
  ASSERT_TRUE(after) << after.error().Message();
  EXPECT_EQ(*ReadFloats(*before->text, Role::kDown, 1), *ReadFloats(*after->text, Role::kDown, 1));
}

TEST_F(ConvertDirectoryTest, RefusesWhatItCannotDo) {
  WriteModel();
  EXPECT_FALSE(Make("mlx-4bit-g32", "out.gguf")) << "no directory";
  EXPECT_FALSE(Make("q4_0", "out")) << "no file";
  fs::create_directories(File("full"));
  WriteBytes(File("full/letter.txt"), "dear");
  EXPECT_FALSE(Make("mlx-4bit-g32", "full"));
  EXPECT_EQ(ReadBytes(File("full/letter.txt")), "dear");
  ASSERT_TRUE(Make("q8_0", "model.gguf"));
  QuantiseOptions options;
  options.input = File("model.gguf");
  options.output = File("of-gguf");
  options.mix = "mlx-4bit-g32";
  const auto gguf = Quantise(options);
  ASSERT_FALSE(gguf);
  EXPECT_NE(gguf.error().hint.find("directory"), std::string::npos) << gguf.error().hint;
  options.input = File("model");
  options.table = "q8_0";
  EXPECT_FALSE(Quantise(options)) << "tables have no format of their own";
  // A weight that is no number: nothing stays.
  std::fstream weights(File("model/model.safetensors"), std::ios::binary | std::ios::in | std::ios::out);
  weights.seekp(-4 * (64 + 96 * 64), std::ios::end);
  const float bad = std::nanf("");
  weights.write(reinterpret_cast<const char*>(&bad), 4);
  weights.close();
  fs::create_directories(File("empty"));
  EXPECT_FALSE(Make("mlx-4bit-g32", "empty/out"));
  EXPECT_TRUE(fs::is_empty(File("empty")));
}

}  // namespace
}  // namespace linnet
