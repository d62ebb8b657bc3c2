#include "io/quantisation.h"

#include <gtest/gtest.h>

namespace linnet {
namespace {

using Method = Quantisation::Method;

std::string RefusalOf(const std::string& entry) {
  const auto read = ReadQuantisation("{" + entry + "}", "");
  return read ? "" : read.error().Message();
}

TEST(QuantisationTest, KnowsTheMethodsThatAreRead) {
  const struct {
    const char* entry;
    Method method;
    const char* name;
  } cases[] = {
      {R"("quantization": {"group_size": 64, "bits": 4})", Method::kMlx, "MLX (4 bits)"},
      {R"("quantization_config": {"group_size": 32, "bits": 4, "mode": "mxfp4"})", Method::kMlx,
       "MLX (mxfp4, 4 bits)"},
      {R"("quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"})",
       Method::kCompressedTensors, "compressed-tensors (pack-quantized)"},
      {R"("compression_config": {"config_groups": {}, "format": "mixed-precision"})",
       Method::kCompressedTensors, "compressed-tensors (mixed-precision)"},
      {R"("text_config": {"quantization_config": {"quant_method": "fp8"}})", Method::kCompressedTensors,
       "fp8"},
      {R"("quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"})",
       Method::kCompressedTensors, "modelopt (NVFP4)"},
      {R"("quantization_config": {"quant_method": "gptq", "bits": 4})", Method::kGptq, "gptq (4 bits)"},
      {R"("quantization_config": {"quant_method": "auto-round", "bits": 4,
          "packing_format": "auto_round:auto_gptq"})",
       Method::kGptq, "auto-round (4 bits)"},
      {R"("quantization_config": {"quant_method": "awq", "bits": 4, "version": "GEMM"})", Method::kAwq,
       "awq (4 bits)"},
      {R"("model_type": "x")", Method::kNone, ""}};
  for (const auto& c : cases) {
    const auto read = ReadQuantisation("{" + std::string(c.entry) + "}", "");
    ASSERT_TRUE(read) << read.error().Message();
    EXPECT_EQ(read->method, c.method) << c.entry;
    EXPECT_EQ(read->name, c.name);
  }
}

TEST(QuantisationTest, RefusesTheOthersByName) {
  const std::pair<const char*, const char*> configs[] = {
      {R"("quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true,
          "bnb_4bit_quant_type": "nf4"})",
       "by bitsandbytes (nf4, 4 bits), which is not read"},
      {R"("quantization_config": {"load_in_8bit": true})", "by bitsandbytes (8 bits)"},
      {R"("quantization_config": {"quant_method": "compressed-tensors", "format": "marlin-24"})",
       "compressed-tensors (marlin-24), which is not read"},
      {R"("quantization_config": {"quant_method": "compressed-tensors", "format": "mixed-precision",
          "config_groups": {"g": {"format": "sparse-24"}}})",
       "has groups in \"sparse-24\""},
      {R"("quantization_config": {"quant_method": "awq", "bits": 4, "version": "gemv"})",
       "packs as \"gemv\""},
      {R"("quantization_config": {"quant_method": "gptq", "bits": 5})", "gptq (5 bits), which is not read"},
      {R"("quantization_config": {"quant_method": "auto-round", "bits": 4, "packing_format": "new"})",
       "packs as \"new\""},
      {R"("quantization_config": {"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"})",
       "modelopt (W4A8_AWQ)"},
      {R"("quantization_config": {"quant_method": "hqq"})", "by hqq"},
      {R"("quantization": {"group_size": 64, "bits": 4, "mode": "new"})", "MLX (new, 4 bits)"},
      {R"("quantization": {"group_size": 64, "bits": 4, "a.b": {"mode": "new"}})",
       "keeps a.b in the unknown mode"},
      {R"("quantization_config": {"bits": "many", "format": 7})", "an unnamed method"},
      {R"("quantization_config": {})", "an unnamed method"},
      {R"("quantization_config": 7)", "an unnamed method"}};
  for (const auto& [entry, name] : configs) {
    EXPECT_TRUE(RefusalOf(entry).contains(name)) << RefusalOf(entry);
    EXPECT_TRUE(RefusalOf(entry).contains("GGUF")) << RefusalOf(entry);
  }
}

TEST(QuantisationTest, ReadsTheFileOfModelOptBesideASilentConfiguration) {
  const auto said =
      ReadQuantisation("{}", R"({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}})");
  ASSERT_TRUE(said) << said.error().Message();
  EXPECT_EQ(said->method, Method::kCompressedTensors);
  EXPECT_EQ(said->name, "modelopt (FP8)");
  EXPECT_TRUE(said->activations);
  const auto cache = ReadQuantisation("{}", R"({"quantization": {"kv_cache_quant_algo": "FP8"}})");
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->method, Method::kNone);
  const auto other =
      ReadQuantisation("{}", R"({"producer": {"name": "x"}, "quantization": {"quant_algo": "NEW"}})");
  ASSERT_FALSE(other);
  EXPECT_TRUE(other.error().Message().contains("hf_quant_config.json: quantised by x (NEW)"));
  EXPECT_FALSE(ReadQuantisation("{}", "{"));
}

TEST(QuantisationTest, ModulesOverrideWhatHoldsForAll) {
  const auto read = ReadQuantisation(
      R"({"quantization": {"group_size": 64, "bits": 4, "a.mlp": {"bits": 8}, "a.b": false,
                           "c": {"group_size": 32}}})",
      "");
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(read->mlx.bits, 4);
  ASSERT_EQ(read->modules.size(), 2u);
  EXPECT_EQ(read->modules.at("a.mlp").bits, 8);
  EXPECT_EQ(read->modules.at("a.mlp").group, 64);
  EXPECT_EQ(read->modules.at("c").group, 32);
}

}  // namespace
}  // namespace linnet
