// linnet info: what a model is, which parts were found and which are missing.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "runtime/load_tokenizer.h"
#include "tensor/dtype.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

struct InfoArgs {
  std::string model, mmproj, drafter;
  bool json = false;
};

struct FormatUse {
  int64_t tensors = 0;
  uint64_t parameters = 0, bytes = 0;
};

struct Part {
  std::string name, path;
  std::map<std::string, FormatUse> formats;
  FormatUse total;
};

Part Count(const std::string& name, const std::string& path, const TensorSource& source) {
  Part part{name, path, {}, {}};
  for (const TensorInfo& tensor : source.tensors()) {
    const std::string format =
        std::string(GetDtypeInfo(tensor.dtype).name) + (tensor.packed ? " packed" : "");
    for (FormatUse* use : {&part.formats[format], &part.total}) {
      ++use->tensors;
      use->parameters += static_cast<uint64_t>(tensor.elements());
      use->bytes += tensor.bytes;
    }
  }
  return part;
}

std::vector<Part> PartsOf(const ModelFiles& files) {
  std::vector<Part> parts = {
      Count(files.multimodal == files.text.get() ? "text, multimodal" : "text", files.path, *files.text)};
  if (files.multimodal_file != nullptr)
    parts.push_back(Count("multimodal", files.multimodal_path, *files.multimodal_file));
  if (files.drafter != nullptr) parts.push_back(Count("drafter", files.drafter_path, *files.drafter));
  return parts;
}

// What a person would want and this model does not have, and what is wrong with it.
std::vector<std::string> MissingFrom(const ModelFiles& files) {
  std::vector<std::string> missing;
  const ModelConfig& config = files.config;
  const auto add = [&](const Status& status) {
    if (!status) missing.push_back(status.error().Message());
  };
  add(CheckTensors(*files.text, TextTensors(config), files.path.empty() ? "Chick" : files.path));
  if (files.multimodal != nullptr) {
    const std::string& path = files.multimodal_path.empty() ? files.path : files.multimodal_path;
    add(CheckTensors(*files.multimodal, MultimodalTensors(config), path.empty() ? "Chick" : path));
  }
  const bool multimodal_kind = config.model_type.starts_with("gemma4");
  if (multimodal_kind && !config.vision.present) {
    missing.push_back(
        "the part for pictures: put the multimodal file (mmproj) beside the model or name it with --mmproj");
  }
  if (multimodal_kind && !config.audio.present) {
    missing.push_back(
        "the part for sound: put the multimodal file (mmproj) beside the model or name it with --mmproj");
  }
  missing.insert(missing.end(), files.not_fetched.begin(), files.not_fetched.end());
  if (multimodal_kind && files.drafter == nullptr) missing.push_back("a drafter (optional, for speed)");
  if (const auto tokenizer = LoadTokenizer(files); !tokenizer) missing.push_back(tokenizer.error().Message());
  return missing;
}

std::string KindName(ModelFiles::Kind kind) {
  switch (kind) {
    case ModelFiles::Kind::kHuggingFace:
      return "Hugging Face directory";
    case ModelFiles::Kind::kGguf:
      return "GGUF";
    case ModelFiles::Kind::kBuiltIn:
      return "built in";
  }
  return "";
}

// Bytes of keys and values that `tokens` tokens take in float32.
uint64_t CacheBytes(const ModelConfig& config, int64_t tokens) {
  uint64_t bytes = 0;
  for (const LayerPlan& layer : config.layers) {
    const int64_t held = layer.window > 0 ? std::min(layer.window, tokens) : tokens;
    bytes += static_cast<uint64_t>(held * layer.kv_heads * layer.head_dim) * 2 * sizeof(float);
  }
  return bytes;
}

std::string LayersLine(const ModelConfig& config) {
  const int64_t widest = config.WidestFeedForward();
  int64_t sliding = 0, window = 0, narrowest = widest;
  for (const LayerPlan& layer : config.layers) {
    narrowest = std::min(narrowest, layer.intermediate_size);
    if (!layer.sliding()) continue;
    ++sliding;
    window = layer.window;
  }
  const std::string feed_forward =
      narrowest == widest ? std::to_string(widest) : fmt::format("{} to {}", narrowest, widest);
  return fmt::format("{} layers: {} sliding (window {}), {} full; width {}, feed-forward {}, {} query heads",
                     config.layers.size(), sliding, window,
                     static_cast<int64_t>(config.layers.size()) - sliding, config.hidden_size, feed_forward,
                     config.num_attention_heads);
}

std::string SamplingLine(const GenerationDefaults& defaults) {
  if (!defaults.do_sample) return "greedy";
  return fmt::format("temperature {}, top-k {}, top-p {}", defaults.temperature, defaults.top_k,
                     defaults.top_p);
}

void PrintText(const ModelFiles& files, const std::vector<Part>& parts,
               const std::vector<std::string>& missing) {
  const ModelConfig& config = files.config;
  const auto line = [](const std::string& name, const std::string& text) {
    Write(fmt::format("{:<13}{}\n", name, Printable(text)));
  };
  const std::string name = files.kind == ModelFiles::Kind::kBuiltIn ? "Chick" : config.name;
  line("model",
       fmt::format("{}{}{} ({})", name, name.empty() ? "" : ", ", config.model_type, KindName(files.kind)));
  line("architecture", LayersLine(config));
  line("vocabulary", fmt::format("{} tokens", config.vocab_size));
  const int64_t cached = std::min<int64_t>(8192, config.max_position_embeddings);
  line("context", fmt::format("{} tokens; the keys and values of {} take {}", config.max_position_embeddings,
                              cached, HumanBytes(CacheBytes(config, cached))));
  line("pictures", config.vision.present
                       ? fmt::format("yes, {} tokens each by default", config.vision.num_soft_tokens)
                       : "no");
  line("sound", config.audio.present ? fmt::format("yes, {} tokens a second",
                                                   config.audio.sampling_rate / config.audio.frame_samples)
                                     : "no");
  line("sampling", SamplingLine(config.generation));
  line("ends at", fmt::format("tokens {}; never writes {}", fmt::join(config.tokens.eos, ", "),
                              config.tokens.suppressed.empty()
                                  ? "-"
                                  : fmt::format("{}", fmt::join(config.tokens.suppressed, ", "))));
  for (const Part& part : parts) {
    line("part", fmt::format("{}{}{}: {} tensors, {:.1f} M parameters, {}", part.name,
                             part.path.empty() ? "" : " in ", part.path, part.total.tensors,
                             static_cast<double>(part.total.parameters) / 1e6, HumanBytes(part.total.bytes)));
    for (const auto& [format, use] : part.formats) {
      line("", fmt::format("  {:<12}{:>5} tensors {:>12}", format, use.tensors, HumanBytes(use.bytes)));
    }
  }
  for (const std::string& text : missing) line("missing", text);
}

void PrintJson(const ModelFiles& files, const std::vector<Part>& parts,
               const std::vector<std::string>& missing) {
  const ModelConfig& config = files.config;
  Json json_parts = Json::array();
  for (const Part& part : parts) {
    Json formats = Json::object();
    for (const auto& [format, use] : part.formats)
      formats[format] = {{"tensors", use.tensors}, {"bytes", use.bytes}};
    json_parts.push_back({{"name", part.name},
                          {"path", part.path},
                          {"tensors", part.total.tensors},
                          {"parameters", part.total.parameters},
                          {"bytes", part.total.bytes},
                          {"formats", formats}});
  }
  const Json json = {{"name", config.name},
                     {"kind", KindName(files.kind)},
                     {"model_type", config.model_type},
                     {"layers", config.layers.size()},
                     {"hidden_size", config.hidden_size},
                     {"vocab_size", config.vocab_size},
                     {"context", config.max_position_embeddings},
                     {"pictures", config.vision.present},
                     {"sound", config.audio.present},
                     {"drafter", files.drafter != nullptr},
                     {"parts", json_parts},
                     {"missing", missing}};
  Write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

int Run(const InfoArgs& args) {
  const auto files = OpenModel(args.model, args.mmproj, args.drafter);
  if (!files) return Report(files.error());
  const std::vector<Part> parts = PartsOf(*files);
  const std::vector<std::string> missing = MissingFrom(*files);
  args.json ? PrintJson(*files, parts, missing) : PrintText(*files, parts, missing);
  return kExitDone;
}

}  // namespace

Command InfoCommand() {
  return {
      "info", "say what a model is: architecture, parts, formats, sizes, what is missing", [](Args& args) {
        auto values = std::make_shared<InfoArgs>();
        args.Option("MODEL,--model", values->model,
                    "Hugging Face directory, GGUF file, or directory of GGUFs; without it: Chick, built in");
        args.Option("--mmproj", values->mmproj, "multimodal GGUF, if it does not lie beside the model");
        args.Option("--drafter", values->drafter, "drafter, if it does not lie beside the model");
        args.Flag("--json", values->json, "one JSON object");
        args.Footer(
            "Examples:\n  linnet info\n  linnet info gemma-4-12b-it-q4_0.gguf\n  linnet info "
            "~/models/gemma-4-12B-it --json\n");
        return [values] { return Run(*values); };
      }};
}

}  // namespace linnet
