#include "io/quantisation.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "io/json.h"

namespace linnet {
namespace {

using nlohmann::json;
using Method = Quantisation::Method;

constexpr const char* kTakeAnother = "take the bf16 checkpoint or a GGUF file";

std::string TextOf(const json& object, const char* key) {
  const json& value = JsonMember(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

// 0 where there is no number that could be a size.
int64_t NumberOf(const json& object, const char* key) {
  const json& value = JsonMember(object, key);
  if (!value.is_number_integer()) return 0;
  const int64_t number = value.get<int64_t>();
  return number > 0 && number <= 1 << 20 ? number : 0;
}

// "compressed-tensors (nvfp4-pack-quantized)", "gptq (4 bits)", "modelopt (NVFP4)".
std::string WithDetails(const json& entry, const std::string& name) {
  std::string details;
  const auto add = [&](const std::string& text) {
    if (!text.empty()) details += (details.empty() ? "" : ", ") + text;
  };
  for (const char* key : {"format", "quant_algo", "quant_type", "weights", "bnb_4bit_quant_type", "mode"}) {
    add(TextOf(entry, key));
  }
  const json& bits = JsonMember(entry, "bits");
  if (JsonMember(entry, "load_in_4bit") == true) {
    add("4 bits");
  } else if (JsonMember(entry, "load_in_8bit") == true) {
    add("8 bits");
  } else if (bits.is_number_integer()) {
    add(fmt::format("{} bits", bits.get<int64_t>()));
  }
  return details.empty() ? name : fmt::format("{} ({})", name, details);
}

std::string MethodName(const json& entry) {
  const std::string named = TextOf(entry, "quant_method");
  if (!named.empty()) return named;
  if (!JsonMember(entry, "load_in_4bit").is_null() || !JsonMember(entry, "load_in_8bit").is_null())
    return "bitsandbytes";
  if (!JsonMember(entry, "group_size").is_null() && !JsonMember(entry, "bits").is_null()) return "MLX";
  if (!JsonMember(entry, "config_groups").is_null()) return "compressed-tensors";
  return "an unnamed method";
}

std::unexpected<Error> NotRead(const Quantisation& quantisation, const std::string& why = "is not read") {
  return Fail(ErrorCode::kUnsupported,
              fmt::format("config.json: quantised by {}, which {}", quantisation.name, why), kTakeAnother);
}

Status ReadMlx(const json& entry, Quantisation& out) {
  const auto read = [](const json& from, Quantisation::Mlx mlx) {
    if (const int64_t bits = NumberOf(from, "bits")) mlx.bits = bits;
    if (const int64_t group = NumberOf(from, "group_size")) mlx.group = group;
    if (const std::string mode = TextOf(from, "mode"); !mode.empty()) mlx.mode = mode;
    return mlx;
  };
  out.method = Method::kMlx;
  out.mlx = read(entry, {});
  for (const auto& [key, value] : entry.items()) {  // true and false say what the tensors themselves show
    if (value.is_object()) out.modules[key] = read(value, out.mlx);
  }
  constexpr std::array<std::string_view, 4> kModes = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  const auto known = [&](const Quantisation::Mlx& mlx) {
    return std::ranges::find(kModes, mlx.mode) != kModes.end();
  };
  if (!known(out.mlx)) return NotRead(out);
  for (const auto& [path, module] : out.modules) {
    if (!known(module))
      return NotRead(out, fmt::format("keeps {} in the unknown mode \"{}\"", path, module.mode));
  }
  return {};
}

// The size of the blocks of a matrix that share a scale, where an entry gives one.
void ReadBlock(const json& block, Quantisation& out) {
  if (!block.is_array() || block.size() != 2) return;
  if (!block[0].is_number_unsigned() || !block[1].is_number_unsigned()) return;
  out.block_rows = std::clamp<int64_t>(block[0].get<int64_t>(), 1, 1 << 20);
  out.block_columns = std::clamp<int64_t>(block[1].get<int64_t>(), 1, 1 << 20);
}

// Which format a matrix is in shows in its tensors; here is only what they do not show.
Status ReadCompressed(const json& entry, Quantisation& out) {
  out.method = Method::kCompressedTensors;
  constexpr std::array<std::string_view, 11> kFormats = {"",
                                                         "dense",
                                                         "pack-quantized",
                                                         "int-quantized",
                                                         "float-quantized",
                                                         "naive-quantized",
                                                         "nvfp4-pack-quantized",
                                                         "mxfp4-pack-quantized",
                                                         "mxfp8-quantized",
                                                         "mixed-precision",
                                                         "mxfp8-pack-quantized"};
  const auto known = [&](const std::string& format) {
    return std::ranges::find(kFormats, format) != kFormats.end();
  };
  if (!known(TextOf(entry, "format"))) return NotRead(out);
  const json& groups = JsonMember(entry, "config_groups");
  if (!groups.is_object()) return {};
  for (const auto& [name, group] : groups.items()) {
    if (!known(TextOf(group, "format")))
      return NotRead(out, "has groups in \"" + TextOf(group, "format") + "\"");
    const json& weights = JsonMember(group, "weights");
    out.activations = out.activations || JsonMember(group, "input_activations").is_object();
    if (const int64_t bits = NumberOf(weights, "num_bits"); bits > 0 && TextOf(weights, "type") != "float") {
      out.widths.push_back(bits);
    }
    ReadBlock(JsonMember(weights, "block_structure"), out);
  }
  return {};
}

Status ReadModelOpt(const json& entry, Quantisation& out) {
  out.method = Method::kCompressedTensors;
  const std::string algorithm = TextOf(entry, "quant_algo");
  constexpr std::array<std::string_view, 6> kAlgorithms = {
      "", "NVFP4", "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "W4A16_NVFP4"};
  if (std::ranges::find(kAlgorithms, algorithm) == kAlgorithms.end()) return NotRead(out);
  out.activations = !algorithm.empty();
  return {};
}

Status ReadFp8(const json& entry, Quantisation& out) {
  out.method = Method::kCompressedTensors;
  out.activations = TextOf(entry, "activation_scheme") == "dynamic";
  ReadBlock(JsonMember(entry, "weight_block_size"), out);
  return {};
}

Status ReadGptq(const json& entry, bool first_version, Quantisation& out) {
  out.method = Method::kGptq;
  out.bits = NumberOf(entry, "bits");
  out.zeros_less_one = first_version;
  const std::array<int64_t, 4> kBits = {2, 3, 4, 8};
  if (std::ranges::find(kBits, out.bits) == kBits.end()) return NotRead(out);
  return {};
}

Status ReadAwq(const json& entry, Quantisation& out) {
  out.method = Method::kAwq;
  out.bits = NumberOf(entry, "bits");
  std::string version = TextOf(entry, "version");
  std::ranges::transform(version, version.begin(), [](unsigned char c) { return std::tolower(c); });
  if (!version.empty() && version != "gemm") {
    return NotRead(out, "packs as \"" + version + "\", which is not read");
  }
  return out.bits == 4 ? Status() : NotRead(out);
}

Status ReadEntry(const json& entry, Quantisation& out) {
  const std::string method = MethodName(entry);
  out.name = WithDetails(entry, method);
  if (method == "MLX") return ReadMlx(entry, out);
  if (method == "compressed-tensors") return ReadCompressed(entry, out);
  if (method == "modelopt") return ReadModelOpt(entry, out);
  if (method == "fp8") return ReadFp8(entry, out);
  if (method == "gptq") return ReadGptq(entry, TextOf(entry, "checkpoint_format") != "gptq_v2", out);
  if (method == "awq") return ReadAwq(entry, out);
  if (method == "auto-round") {
    const std::string packing = TextOf(entry, "packing_format");
    if (packing == "auto_round:auto_gptq") return ReadGptq(entry, true, out);
    if (packing == "auto_round:auto_awq") return ReadAwq(entry, out);
    return NotRead(out, packing.empty() ? "is not read" : "packs as \"" + packing + "\", which is not read");
  }
  return NotRead(out);
}

// The first of the places where the entry is found.
const json& EntryOf(const json& config) {
  for (const json* object : {&config, &JsonMember(config, "text_config")}) {
    for (const char* key : {"quantization_config", "quantization", "compression_config"}) {
      if (const json& entry = JsonMember(*object, key); !entry.is_null()) return entry;
    }
  }
  return JsonMember(config, "");
}

}  // namespace

Result<Quantisation> ReadQuantisation(std::string_view config, std::string_view hf_quant_config) {
  Quantisation out;
  LINNET_ASSIGN(const json root, ParseJson(config, "config.json"));
  if (const json& entry = EntryOf(root); !entry.is_null()) {
    LINNET_TRY(ReadEntry(entry, out));
    return out;
  }
  if (hf_quant_config.empty()) return out;
  // The file of ModelOpt, beside a config.json that says nothing.
  LINNET_ASSIGN(const json file, ParseJson(hf_quant_config, "hf_quant_config.json"));
  const json& entry = JsonMember(file, "quantization");
  if (TextOf(entry, "quant_algo").empty()) return out;  // perhaps the cache alone
  const std::string producer = TextOf(JsonMember(file, "producer"), "name");
  out.name = WithDetails(entry, producer.empty() ? "modelopt" : producer);
  if (Status read = ReadModelOpt(entry, out); !read) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("hf_quant_config.json: quantised by {}, which is not read", out.name),
                kTakeAnother);
  }
  return out;
}

}  // namespace linnet
