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
#include "cli/model_args.h"
#include "cli/plan_args.h"
#include "cli/report.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "runtime/engine_impl.h"
#include "runtime/load_tokenizer.h"
#include "runtime/memory_plan.h"
#include "tensor/dtype.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

struct InfoArgs {
  PlanArgs plan;
  bool json = false;
};

struct FormatUse {
  int64_t tensors = 0;
  uint64_t parameters = 0, bytes = 0;
  std::string held;  // of a format without kernels: the one its matrices are held in
};

struct Part {
  std::string name, path;
  std::map<std::string, FormatUse> formats;
  FormatUse total;
};

Part Count(const std::string& name, const std::string& path, const TensorSource& source) {
  Part part{name, path, {}, {}};
  for (const TensorInfo& tensor : source.tensors()) {
    const DtypeInfo& info = GetDtypeInfo(tensor.dtype);
    const std::string format = std::string(info.name) + (tensor.packed ? " packed" : "");
    if (info.held != info.dtype && tensor.shape.size() == 2) {
      part.formats[format].held = GetDtypeInfo(info.held).name;
    }
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
std::vector<std::string> MissingFrom(const ModelFiles& files,
                                     const Result<std::unique_ptr<Tokenizer>>& tokenizer) {
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
  if (!tokenizer) missing.push_back(tokenizer.error().Message());
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

// What is known of an opened model.
struct Facts {
  ModelFiles files;
  std::vector<Part> parts;
  std::vector<std::string> missing;
  MemoryPlan memory;
  std::string memory_of;  // what is planned
};

std::string LayersLine(const ModelConfig& config) {
  int64_t sliding = 0, window = 0;
  for (const LayerPlan& layer : config.layers) {
    if (!layer.sliding()) continue;
    ++sliding;
    window = layer.window;
  }
  const auto [least, most] = std::ranges::minmax(config.layers, {}, &LayerPlan::intermediate_size);
  std::string feed_forward = std::to_string(most.intermediate_size);
  if (least.intermediate_size < most.intermediate_size)
    feed_forward = fmt::format("{} to {}", least.intermediate_size, feed_forward);
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

void PrintText(const Facts& facts) {
  const ModelFiles& files = facts.files;
  const ModelConfig& config = files.config;
  const auto line = [](const std::string& name, const std::string& text) {
    Write(fmt::format("{:<13}{}\n", name, Printable(text)));
  };
  const std::string name = files.kind == ModelFiles::Kind::kBuiltIn ? "Chick" : config.name;
  line("model",
       fmt::format("{}{}{} ({})", name, name.empty() ? "" : ", ", config.model_type, KindName(files.kind)));
  line("architecture", LayersLine(config));
  line("vocabulary", fmt::format("{} tokens", config.vocab_size));
  line("context", fmt::format("{} tokens", config.max_position_embeddings));
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
  if (const Quantisation& quantisation = files.quantisation; !quantisation.name.empty()) {
    line("quantised",
         fmt::format("by {}; the formats below are what its matrices are read as{}", quantisation.name,
                     quantisation.activations ? "; it would round activations too, which is left out" : ""));
  }
  for (const Part& part : facts.parts) {
    line("part", fmt::format("{}{}{}: {} tensors, {:.1f} M parameters, {}", part.name,
                             part.path.empty() ? "" : " in ", part.path, part.total.tensors,
                             static_cast<double>(part.total.parameters) / 1e6, HumanBytes(part.total.bytes)));
    for (const auto& [format, use] : part.formats) {
      line("", fmt::format("  {:<12}{:>5} tensors {:>12}{}", format, use.tensors, HumanBytes(use.bytes),
                           use.held.empty() ? "" : "  matrices held as " + use.held));
    }
  }
  line("memory",
       fmt::format("{} beside the program itself; {}", HumanBytes(facts.memory.total()), facts.memory_of));
  for (const MemoryPlan::Line& part : facts.memory.lines) {
    line("", fmt::format("  {:<34}{:>12}", part.name, HumanBytes(part.bytes)));
  }
  for (const std::string& text : facts.missing) line("missing", text);
}

Json AsJson(const MemoryPlan& plan) {
  Json lines = Json::array();
  for (const MemoryPlan::Line& line : plan.lines) {
    lines.push_back({{"name", line.name}, {"bytes", line.bytes}, {"mapped", line.mapped}});
  }
  return {{"bytes", plan.total()}, {"lines", lines}};
}

void PrintJson(const Facts& facts) {
  const ModelFiles& files = facts.files;
  const ModelConfig& config = files.config;
  Json json_parts = Json::array();
  for (const Part& part : facts.parts) {
    Json formats = Json::object();
    for (const auto& [format, use] : part.formats) {
      formats[format] = {{"tensors", use.tensors}, {"bytes", use.bytes}};
      if (!use.held.empty()) formats[format]["held"] = use.held;
    }
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
                     {"quantised", files.quantisation.name},
                     {"parts", json_parts},
                     {"memory", AsJson(facts.memory)},
                     {"missing", facts.missing}};
  Write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<Facts> Learn(const InfoArgs& args) {
  const ModelArgs& model = args.plan.model;
  LINNET_ASSIGN(const int32_t drafts, DraftsOf(model));
  LINNET_ASSIGN(const MemoryPlanOptions options, ToPlanOptions(args.plan));
  Facts facts;
  LINNET_ASSIGN(facts.files, OpenModel(model.model, model.mmproj, model.drafter, drafts != 0));
  facts.parts = PartsOf(facts.files);
  const Result<std::unique_ptr<Tokenizer>> tokenizer = LoadTokenizer(facts.files);
  facts.missing = MissingFrom(facts.files, tokenizer);
  LINNET_ASSIGN(facts.memory,
                PlanMemory(ToPlan(facts.files, tokenizer ? tokenizer->get() : nullptr), options));
  LINNET_ASSIGN(const SessionOptions session, ResolveSession(facts.files.config, options.session));
  LINNET_ASSIGN(facts.memory_of, PlanOf(args.plan, session.context));
  return facts;
}

Result<int> Run(const InfoArgs& args) {
  LINNET_ASSIGN(const Facts facts, Learn(args));
  args.json ? PrintJson(facts) : PrintText(facts);
  return kExitDone;
}

}  // namespace

Command InfoCommand() {
  return {"info", "say what a model is: architecture, parts, formats, the memory it takes, what is missing",
          [](Args& args) {
            auto values = std::make_shared<InfoArgs>();
            DeclarePlan(args, values->plan);
            args.Flag("--json", values->json, "one JSON object");
            args.Footer(
                "Examples:\n  linnet info\n  linnet info gemma-4-12b-it-q4_0.gguf --context 65536 --kv "
                "int8\n  linnet info "
                "~/models/gemma-4-12B-it --json\n");
            return [values] { return Run(*values); };
          }};
}

}  // namespace linnet
