#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "io/gguf_test_bytes.h"
#include "model/config_files.h"

namespace linnet {
namespace {

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::filesystem::path kModels = LINNET_SOURCE_DIR "/tests/data/golden/model";

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

std::string ErrorOf(const std::string& config) {
  const auto result = ConfigFromJson({config, "", ""});
  return result ? "" : result.error().Message();
}

TEST(ConfigJsonTest, ReadsTheGoldenTarget) {
  const std::string config = ReadText(kModels / "target/config.json");
  const std::string generation = ReadText(kModels / "target/generation_config.json");
  const auto c = ConfigFromJson({config, generation, ""});
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_EQ(c->vocab_size, 192);
  EXPECT_EQ(c->hidden_size, 32);
  ASSERT_EQ(c->layers.size(), 7u);
  EXPECT_TRUE(c->layers[1].sliding());
  EXPECT_EQ(c->layers[1].head_dim, 24);
  EXPECT_EQ(c->layers[1].kv_heads, 2);
  EXPECT_EQ(c->layers[1].window, 8);
  EXPECT_EQ(c->layers[1].rope.rotated_pairs, 12);
  EXPECT_EQ(c->layers[1].rope.theta, 1e4);
  EXPECT_FALSE(c->layers[2].sliding());
  EXPECT_EQ(c->layers[2].head_dim, 40);
  EXPECT_EQ(c->layers[2].kv_heads, 1);
  EXPECT_EQ(c->layers[2].window, 0);
  EXPECT_TRUE(c->layers[2].k_eq_v);
  EXPECT_FALSE(c->layers[1].k_eq_v);
  EXPECT_EQ(c->layers[2].rope.rotated_pairs, 5);
  EXPECT_EQ(c->layers[2].rope.theta, 1e6);
  EXPECT_EQ(c->vision.cell(), 6);
  EXPECT_EQ(c->vision.mm_posemb_size, 24);
  EXPECT_EQ(c->audio.frame_samples, 20);
  EXPECT_EQ(c->tokens.end_audio, 184);
  EXPECT_EQ(c->tokens.suppressed, (std::vector<int32_t>{184, 183}));
  EXPECT_EQ(c->tokens.eos, (std::vector<int32_t>{1, 106}));
  EXPECT_EQ(c->final_logit_softcapping, 30.0f);
  EXPECT_FALSE(c->generation.do_sample);
  EXPECT_EQ(c->attention_scale, 1.0f);
}

TEST(ConfigJsonTest, PerLayerConfigMeansTheSame) {
  const std::string published = ReadText(kModels / "target/config.json");
  std::string saved = Replaced(published, "\"global_head_dim\": 40,", "");
  saved = Replaced(saved, "\"num_global_key_value_heads\": 1,",
                   R"("per_layer_config": {"2": {"head_dim": 40, "num_key_value_heads": 1},
                      "6": {"head_dim": 40, "num_key_value_heads": 1}},)");
  const auto a = ConfigFromJson({published, "", ""});
  const auto b = ConfigFromJson({saved, "", ""});
  ASSERT_TRUE(a && b);
  for (size_t i = 0; i < a->layers.size(); ++i) {
    EXPECT_EQ(a->layers[i].head_dim, b->layers[i].head_dim);
    EXPECT_EQ(a->layers[i].kv_heads, b->layers[i].kv_heads);
    EXPECT_EQ(a->layers[i].rope.rotated_pairs, b->layers[i].rope.rotated_pairs);
  }
  const auto sparse = ConfigFromJson({Replaced(saved, "\"2\": {", "\"3\": {"), "", ""});
  ASSERT_TRUE(sparse);
  EXPECT_EQ(sparse->layers[2].head_dim, 24);  // not listed: the base value, not 512
  EXPECT_EQ(sparse->layers[3].head_dim, 40);
}

TEST(ConfigJsonTest, FollowsTheClassDefaults) {
  const auto c = ConfigFromJson({R"({"model_type":"gemma4_unified"})", "", ""});
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_EQ(c->hidden_size, 2304);
  EXPECT_EQ(c->layers.size(), 30u);
  EXPECT_EQ(c->layers[5].head_dim, 512);
  EXPECT_EQ(c->layers[5].kv_heads, 4);
  EXPECT_FALSE(c->layers[5].k_eq_v);
  EXPECT_EQ(c->layers[5].rope.rotated_pairs, 64);
  EXPECT_EQ(c->layers[4].window, 1024);
  EXPECT_EQ(c->final_logit_softcapping, 0.0f);
  EXPECT_FALSE(c->vision.present);
  EXPECT_EQ(c->tokens.image, 258880);
  EXPECT_EQ(c->tokens.suppressed, (std::vector<int32_t>{258883, 258882}));
  EXPECT_TRUE(c->generation.do_sample);
}

TEST(ConfigJsonTest, TruncatesTheNumberOfRotatedPairs) {
  const auto c =
      ConfigFromJson({R"({"model_type":"gemma4_unified","text_config":{"global_head_dim":28}})", "", ""});
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_EQ(c->layers[5].rope.rotated_pairs, 3);
}

TEST(ConfigJsonTest, ForcesTheLastLayerAndGatesTheKvOverride) {
  const auto c = ConfigFromJson(
      {R"({"model_type":"gemma4_unified","text_config":{"num_hidden_layers":2,"num_global_key_value_heads":1,
           "layer_types":["sliding_attention","sliding_attention"]}})",
       "", ""});
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_FALSE(c->layers[1].sliding());
  EXPECT_EQ(c->layers[1].kv_heads, 4);  // attention_k_eq_v is false
}

TEST(ConfigJsonTest, CorrectsTheFirstUploadsContextAndUnitesEos) {
  const std::string config =
      R"({"model_type":"gemma4_unified","eos_token_id":[1,106],"text_config":{"hidden_size":3840,
          "num_hidden_layers":48,"num_attention_heads":16,"num_key_value_heads":8,
          "max_position_embeddings":131072}})";
  const auto c = ConfigFromJson({config, "", ""});
  ASSERT_TRUE(c);
  EXPECT_EQ(c->max_position_embeddings, 262144);
  EXPECT_EQ(c->tokens.eos, (std::vector<int32_t>{1, 50, 106}));
  const auto d = ConfigFromJson({config, R"({"eos_token_id":[1,7],"top_k":5,"do_sample":true})", ""});
  EXPECT_EQ(d->tokens.eos, (std::vector<int32_t>{1, 7, 106}));
  EXPECT_EQ(d->generation.top_k, 5);
  EXPECT_TRUE(d->tokens.suppressed.empty());
}

TEST(ConfigJsonTest, ReadsTheProcessorsBudgets) {
  const std::string config = ReadText(kModels / "target/config.json");
  const auto c = ConfigFromJson({config, "", R"({"image_processor":{"max_soft_tokens":70},
      "feature_extractor":{"sampling_rate":8000,"audio_samples_per_token":20}})"});
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_EQ(c->vision.num_soft_tokens, 70);
  EXPECT_EQ(c->audio.sampling_rate, 8000);
}

TEST(ConfigJsonTest, ReadsGemma3InBothSpellings) {
  const std::string older =
      R"({"model_type":"gemma3_text","vocab_size":262144,"hidden_size":640,"num_hidden_layers":18,
      "num_attention_heads":4,"num_key_value_heads":1,"intermediate_size":2048,"head_dim":256,
      "sliding_window":512,"query_pre_attn_scalar":256,"_sliding_window_pattern":6,"rope_theta":1000000.0,
      "rope_local_base_freq":10000.0,
      "rope_scaling":{"factor":8.0,"rope_type":"linear"},"max_position_embeddings":32768})";
  const std::string newer = R"({"model_type":"gemma3","text_config":{"vocab_size":262144,"hidden_size":640,
      "num_hidden_layers":18,"num_attention_heads":4,"num_key_value_heads":1,"intermediate_size":2048,
      "sliding_window":512,
      "rope_parameters":{"full_attention":{"rope_type":"linear","factor":8.0,"rope_theta":1e6},
      "sliding_attention":{"rope_type":"default","rope_theta":1e4}}},"vision_config":{"hidden_size":1152}})";
  for (const std::string& text : {older, newer}) {
    const auto c = ConfigFromJson({text, "", ""});
    ASSERT_TRUE(c) << c.error().Message();
    EXPECT_EQ(c->model_type, "gemma3_text");
    EXPECT_EQ(c->attention_scale, 1.0f / 16);
    EXPECT_TRUE(c->norm_adds_one);
    EXPECT_FALSE(c->v_norm);
    EXPECT_FALSE(c->layer_scalar);
    EXPECT_FALSE(c->vision.present);
    EXPECT_EQ(c->tokens.image, -1);
    EXPECT_TRUE(c->layers[17].k_eq_v == false && !c->layers[17].sliding());
    EXPECT_EQ(c->layers[5].rope.linear_factor, 8.0);
    EXPECT_EQ(c->layers[5].rope.rotated_pairs, 128);
    EXPECT_EQ(c->layers[4].rope.linear_factor, 1.0);
    EXPECT_EQ(c->layers[4].rope.theta, 1e4);
    EXPECT_EQ(c->layers[4].window, 512);
  }
}

TEST(ConfigJsonTest, RefusesWhatItCannotRunByName) {
  const auto with = [](std::string_view text) {
    return R"({"model_type":"gemma4_unified","text_config":{)" + std::string(text) + "}}";
  };
  EXPECT_EQ(ErrorOf(with("")), "");
  EXPECT_TRUE(ErrorOf(with(R"("enable_moe_block":true)")).contains("enable_moe_block"));
  EXPECT_TRUE(ErrorOf(with(R"("hidden_size_per_layer_input":256)")).contains("hidden_size_per_layer_input"));
  EXPECT_TRUE(ErrorOf(with(R"("num_kv_shared_layers":4)")).contains("num_kv_shared_layers"));
  EXPECT_TRUE(ErrorOf(with(R"("use_double_wide_mlp":true)")).contains("use_double_wide_mlp"));
  EXPECT_TRUE(
      ErrorOf(with(R"("use_bidirectional_attention":"all")")).contains("use_bidirectional_attention"));
  EXPECT_TRUE(ErrorOf(with(R"("attn_logit_softcapping":50.0)")).contains("attn_logit_softcapping"));
  EXPECT_TRUE(ErrorOf(with(R"("attention_bias":true)")).contains("attention_bias"));
  EXPECT_TRUE(ErrorOf(with(R"("hidden_activation":"relu")")).contains("hidden_activation"));
  EXPECT_TRUE(ErrorOf(R"({"model_type":"llama"})").contains("\"llama\""));
  EXPECT_TRUE(ErrorOf(R"({"model_type":"gemma4"})").contains("encoders"));
  EXPECT_TRUE(ErrorOf(R"({"model_type":"gemma4_unified_assistant"})").contains("--drafter"));
}

TEST(ConfigJsonTest, RefusesNonsenseByName) {
  const auto with = [](std::string_view text) {
    return R"({"model_type":"gemma4_unified","text_config":{)" + std::string(text) + "}}";
  };
  EXPECT_TRUE(ErrorOf("{").contains("config.json: not valid JSON"));
  EXPECT_TRUE(ErrorOf("[]").contains("not a JSON object"));
  EXPECT_TRUE(ErrorOf(with(R"("vocab_size":0)")).contains("vocab_size"));
  EXPECT_TRUE(ErrorOf(with(R"("vocab_size":"many")")).contains("text_config.vocab_size"));
  EXPECT_TRUE(ErrorOf(with(R"("vocab_size":18446744073709551615)")).contains("vocab_size"));
  EXPECT_TRUE(ErrorOf(with(R"("hidden_size":99999999)")).contains("hidden_size"));
  EXPECT_TRUE(ErrorOf(with(R"("num_hidden_layers":1000000000)")).contains("num_hidden_layers"));
  EXPECT_TRUE(ErrorOf(with(R"("head_dim":255)")).contains("odd"));
  EXPECT_TRUE(ErrorOf(with(R"("num_key_value_heads":3)")).contains("do not divide"));
  EXPECT_TRUE(ErrorOf(with(R"("sliding_window":0)")).contains("window"));
  EXPECT_TRUE(ErrorOf(with(R"("layer_types":["full_attention"])")).contains("layer_types"));
  EXPECT_TRUE(ErrorOf(with(R"("rms_norm_eps":0)")).contains("rms_norm_eps"));
  EXPECT_TRUE(ErrorOf(with(R"("rope_parameters":{"rope_theta":1e6})")).contains("rope_parameters"));
  EXPECT_TRUE(ErrorOf(with(R"("pad_token_id":262144)")).contains("pad_token_id"));
  EXPECT_TRUE(ErrorOf(R"({"model_type":"gemma4_unified","image_token_id":-7})").contains("image_token_id"));
}

TEST(ConfigJsonTest, ReadsBothDrafters) {
  for (const char* name : {"assistant", "assistant-centroid"}) {
    const auto d = DrafterFromJson({ReadText(kModels / name / "config.json"), "", ""});
    ASSERT_TRUE(d) << d.error().Message();
    EXPECT_EQ(d->backbone_hidden_size, 32);
    EXPECT_EQ(d->text.hidden_size, 24);
    EXPECT_EQ(d->text.layers.size(), 4u);
    EXPECT_EQ(d->text.layers[3].head_dim, 40);
    EXPECT_EQ(d->text.final_logit_softcapping, 0.0f);
    EXPECT_EQ(d->use_ordered_embeddings, std::string_view(name) == "assistant-centroid");
    EXPECT_EQ(d->centroid_top_k, d->use_ordered_embeddings ? 4 : 32);
  }
}

// A GGUF as old converters wrote it for the 12B, with tiny tables.
GgufBytes OldGguf(bool gemma3) {
  const std::string arch = gemma3 ? "gemma3" : "gemma4";
  GgufBytes b;
  b.Header(gemma3 ? 3 : 2, 12);
  b.Text("general.architecture", arch);
  b.U32(arch + ".block_count", gemma3 ? 7 : 48);
  b.U32(arch + ".context_length", 131072);
  b.U32(arch + ".embedding_length", gemma3 ? 64 : 3840);
  b.U32(arch + ".feed_forward_length", 64);
  b.U32(arch + ".attention.head_count", 16);
  b.U32(arch + ".attention.head_count_kv", 8);
  b.U32(arch + ".attention.key_length", 512);
  b.U32(arch + (gemma3 ? ".unused" : ".attention.key_length_swa"), 256);
  b.U32(arch + ".attention.sliding_window", 1024);
  b.U32("tokenizer.ggml.eos_token_id", 1);
  b.Array("tokenizer.ggml.tokens", GgufType::kString, 8);
  for (const char* t :
       {"<pad>", "<eos>", "<bos>", "<turn|>", "<|tool_response>", "<image|>", "<audio|>", "<|image|>"}) {
    b.String(t);
  }
  b.Tensor("token_embd.weight", {32, 8}, 2, 0);  // 8 rows of one q4_0 block; the width is checked elsewhere
  b.Tensor("blk.0.attn_v.weight", {1}, 0, 160);
  if (gemma3) b.Tensor("blk.1.attn_v.weight", {1}, 0, 192);
  b.Pad();
  b.Zeros(256);
  return b;
}

TEST(ConfigGgufTest, CompletesOldFiles) {
  const GgufBytes bytes = OldGguf(false);
  const auto file = Gguf::FromBytes(bytes.data, "old.gguf");
  ASSERT_TRUE(file) << file.error().Message();
  const auto c = ConfigFromGguf(**file, nullptr);
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_EQ(c->max_position_embeddings, 262144);
  EXPECT_EQ(c->tokens.eos, (std::vector<int32_t>{1, 3, 4}));
  EXPECT_EQ(c->tokens.suppressed, (std::vector<int32_t>{6, 5}));
  EXPECT_EQ(c->tokens.image, 7);
  EXPECT_EQ(c->tokens.video, -1);
  EXPECT_EQ(c->layers[0].head_dim, 256);
  EXPECT_FALSE(c->layers[0].k_eq_v);
  EXPECT_EQ(c->layers[5].head_dim, 512);
  EXPECT_TRUE(c->layers[5].k_eq_v);
  EXPECT_EQ(c->layers[5].rope.rotated_pairs, 64);
  EXPECT_FALSE(c->embed_scale_bf16);
}

TEST(ConfigGgufTest, Gemma3HasItsOwnRules) {
  const GgufBytes bytes = OldGguf(true);
  const auto file = Gguf::FromBytes(bytes.data, "old.gguf");
  ASSERT_TRUE(file) << file.error().Message();
  const auto c = ConfigFromGguf(**file, nullptr);
  ASSERT_TRUE(c) << c.error().Message();
  EXPECT_EQ(c->max_position_embeddings, 131072);
  EXPECT_FALSE(c->norm_adds_one);
  EXPECT_FALSE(c->v_norm);
  EXPECT_FLOAT_EQ(c->attention_scale, 1.0f / std::sqrt(512.0f));
  EXPECT_EQ(c->layers[5].rope.rotated_pairs, 256);
  EXPECT_FALSE(c->layers[5].sliding());
  EXPECT_EQ(c->layers[4].rope.theta, 1e4);
  EXPECT_TRUE(c->tokens.suppressed.empty());
}

TEST(ConfigGgufTest, NamesTheFileAndTheKey) {
  GgufBytes other;
  other.Header(0, 1);
  other.Text("general.architecture", "clip");
  const auto file = Gguf::FromBytes(other.data, "mmproj.gguf");
  const auto c = ConfigFromGguf(**file, nullptr);
  ASSERT_FALSE(c);
  EXPECT_TRUE(c.error().what.contains("mmproj.gguf") && c.error().what.contains("multimodal"));
  GgufBytes bare;
  bare.Header(0, 1);
  bare.Text("general.architecture", "gemma4");
  const auto empty = Gguf::FromBytes(bare.data, "bare.gguf");
  EXPECT_TRUE(ConfigFromGguf(**empty, nullptr).error().what.contains("gemma4.block_count"));
}

}  // namespace
}  // namespace linnet
