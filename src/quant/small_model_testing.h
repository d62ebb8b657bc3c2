// A small model that tests write as Hugging Face stores one.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "model/config_files.h"
#include "model/tensor_names.h"

namespace linnet {

// The first `size` tokens of the small test vocabulary.
inline void WriteTokenizer(const std::filesystem::path& path, int32_t size) {
  std::ifstream in(std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/tokenizer/small/tokenizer.json",
                   std::ios::binary);
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(in);
  nlohmann::ordered_json vocab, added = nlohmann::ordered_json::array();
  for (const auto& [token, id] : json["model"]["vocab"].items()) {
    if (id.get<int32_t>() < size) vocab[token] = id;
  }
  for (const auto& token : json["added_tokens"]) {
    if (token["id"].get<int32_t>() < size) added.push_back(token);
  }
  json["model"]["vocab"] = vocab;
  json["model"]["merges"] = nlohmann::ordered_json::array();
  json["added_tokens"] = added;
  std::ofstream(path, std::ios::binary) << json.dump();
}

// A small Gemma 3 as Hugging Face stores one, with made-up float32 weights.
// `trained`: whole multiples of steps, as training for four bits leaves them.
inline void WriteGemma3(const std::filesystem::path& directory, const std::string& more = "",
                        bool trained = false) {
  std::filesystem::create_directories(directory);
  const std::string text =
      R"({"model_type":"gemma3_text","vocab_size":192,"hidden_size":64,"num_hidden_layers":3,
      "num_attention_heads":2,"num_key_value_heads":1,"intermediate_size":96,"head_dim":32,
      "sliding_window":16,"query_pre_attn_scalar":48,"_sliding_window_pattern":3,"rope_theta":1000000.0,
      "rope_local_base_freq":10000.0,
      "rope_scaling":{"factor":8.0,"rope_type":"linear"},"max_position_embeddings":512,"rms_norm_eps":1e-6)" +
      more + "}";
  std::ofstream(directory / "config.json") << text;
  std::ofstream(directory / "generation_config.json") << R"({"eos_token_id":[1,50,106]})";
  nlohmann::ordered_json header;
  std::vector<float> values;
  uint32_t state = 1;
  for (const ExpectedTensor& tensor : TextTensors(*ConfigFromJson({text, "", ""}))) {
    const size_t begin = values.size();
    size_t count = 1;
    for (const int64_t size : tensor.shape) count *= static_cast<size_t>(size);
    for (size_t i = 0; i < count; ++i) {
      state = state * 1664525u + 1013904223u;
      const float noise = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
      values.push_back(trained ? std::round(15 * noise) * 0.0078125f : noise * 0.25f);
    }
    header[HfName(tensor.role, tensor.layer)] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {4 * begin, 4 * values.size()}}};
  }
  const std::string json = header.dump();
  const uint64_t length = json.size();
  std::ofstream out(directory / "model.safetensors", std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << json;
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(4 * values.size()));
}

}  // namespace linnet
