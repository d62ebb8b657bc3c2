#include "cli/model_args.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <exception>
#include <string>
#include <string_view>

#include "cli/report.h"

namespace linnet {
namespace {

constexpr std::array kKvChoices = {KvType::kBf16, KvType::kF32, KvType::kInt8};

Status NotNegative(const char* name, int64_t value) {
  if (value >= 0) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}", name, value), "give 0 or more");
}

// LoadOptions::cache_ram of --cache-ram.
Result<int64_t> CacheRamOf(const std::string& text) {
  if (text == "auto") return kCacheRamLeft;
  LINNET_ASSIGN(const uint64_t bytes, BytesIn("--cache-ram", text));
  return static_cast<int64_t>(bytes);
}

// LoadOptions of the arguments, without what is to fit beside the weights.
Result<LoadOptions> ToLoadOptions(const ModelArgs& values) {
  LoadOptions options;
  options.model = values.model;
  options.mmproj = values.mmproj;
  options.drafter = values.drafter;
  options.dequantise = values.dequantise;
  options.over_plan = values.over_plan;
  LINNET_ASSIGN(const int32_t drafts, DraftsOf(values));
  options.use_drafter = drafts != 0;
  LINNET_ASSIGN(options.threads, ThreadsOf(values.threads));
  LINNET_ASSIGN(options.cache_ram, CacheRamOf(values.cache_ram));
  return options;
}

}  // namespace

void DeclareThreads(Args& args, std::string& value) {
  args.Option(
      "-t,--threads", value,
      fmt::format("threads: a number up to {}, or 'auto' (one a fast physical core, within the container's "
                  "share)",
                  kMaxThreads));
}

Result<int> ThreadsOf(const std::string& text) {
  if (text == "auto") return 0;
  int threads = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
  if (error != std::errc() || end != text.data() + text.size() || threads < 0 || threads > kMaxThreads) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("-t is '{}'", text),
                fmt::format("give 'auto' or a number from 1 to {}", kMaxThreads));
  }
  return threads;
}

void DeclareKv(Args& args, std::string& value) {
  std::vector<std::string> names;
  for (const KvType type : kKvChoices) names.emplace_back(NameOf(type));
  args.Choice("--kv", value, names,
              "how keys and values of what was read are kept; f32 takes twice the memory, int8 half");
}

KvType KvTypeOf(const std::string& name) {
  const auto* const type = std::ranges::find(kKvChoices, name, NameOf);
  return type == kKvChoices.end() ? KvType::kBf16 : *type;
}

void DeclareModel(Args& args, ModelArgs& values, bool positional) {
  const std::string help =
      "Hugging Face directory, GGUF file, or directory of GGUFs; without it: Chick, built in";
  args.Option(positional ? "MODEL,--model" : "--model", values.model, help);
  args.Option("--mmproj", values.mmproj, "multimodal GGUF, if it does not lie beside the model");
  DeclareThreads(args, values.threads);
  args.Option("--context", values.context, "tokens the conversation can hold; 0 = the model's, at most 8192");
  DeclareKv(args, values.kv);
  args.Flag("--dequantise", values.dequantise,
            "hold every weight as float32: slow and large, for comparisons");
}

void DeclareMaskRule(Args& args, ModelArgs& values) {
  args.Choice("--mask-rule", values.mask_rule, {"a", "b"},
              "what picture blocks see: a = the model's own, b = what transformers executes");
}

void DeclareDrafting(Args& args, ModelArgs& values) {
  args.Option("--drafter", values.drafter,
              "the model's assistant (directory or GGUF), if it does not lie beside the model");
  args.Option(
      "--draft", values.draft,
      "tokens guessed ahead: 'auto' = as many as pay off, 0 = none, or a number; never changes the answer");
}

void DeclareCacheRam(Args& args, std::string& value) {
  args.Option(
      "--cache-ram", value,
      "memory for what was read before, as 500M or 2G: going back in a conversation, or beginning one as "
      "another began, reads only what is new; 'auto' = what is left, at most 2G; 0 = none");
}

Result<uint64_t> BytesIn(const std::string& option, const std::string& text) {
  const auto refuse = [&] {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is '{}'", option, text),
                "give bytes as 16G (16 times 1000 to the third) or 16Gi (of 1024)");
  };
  if (text.find_first_of("xX") != std::string::npos)
    return refuse();  // std::stod reads hexadecimal numbers too
  double value = 0;
  size_t used = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    return refuse();
  }
  std::string unit = text.substr(used);
  if (unit.ends_with('B')) unit.pop_back();
  if (!unit.empty()) unit[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0])));
  const bool binary = unit.ends_with('i');
  if (binary) unit.pop_back();
  constexpr std::string_view kUnits = "KMGT";
  const size_t power = unit.empty() ? 0 : kUnits.find(unit) + 1;
  if (unit.size() > 1 || (binary && power == 0) || (power == 0 && !unit.empty())) return refuse();
  value *= std::pow(binary ? 1024.0 : 1000.0, static_cast<double>(power));
  if (!(value >= 0 && value < 1e18)) return refuse();
  return static_cast<uint64_t>(value);
}

Result<int32_t> DraftsOf(const ModelArgs& values) {
  if (values.draft == "auto") return -1;
  const std::string& text = values.draft;
  int32_t drafts = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), drafts);
  if (error != std::errc() || end != text.data() + text.size() || drafts < 0 || drafts > kMaxDrafts) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--draft is '{}'", text),
                fmt::format("give 'auto' or a number from 0 to {}", kMaxDrafts));
  }
  return drafts;
}

void DeclareOverPlan(Args& args, bool& value) {
  args.Flag("--over-plan", value, "load a model that does not fit the memory there is (docs/memory.md)");
}

Result<std::unique_ptr<Engine>> LoadModel(const ModelArgs& values, const MemoryUse& use) {
  LINNET_ASSIGN(LoadOptions options, ToLoadOptions(values));
  options.use = use;
  if (options.model.empty()) {
    Say("linnet: no model named, so this is Chick, the small one built in; for the 12B download a GGUF of "
        "gemma-4-12b-it with its mmproj file and name it: linnet run FILE.gguf\n");
  }
  ProgressLine progress;
  LINNET_ASSIGN(std::unique_ptr<Engine> engine, Engine::Load(options, progress.AsCallback()));
  progress.Clear();
  for (const std::string& note : engine->notes()) Say("linnet: {}\n", note);
  return engine;
}

Result<SessionOptions> ToSessionOptions(const ModelArgs& values) {
  LINNET_TRY(NotNegative("--context", values.context));
  SessionOptions options;
  options.context = values.context;
  options.kv = KvTypeOf(values.kv);
  options.mask_rule = values.mask_rule == "b" ? MaskRule::kB : MaskRule::kA;
  return options;
}

void DeclareSampling(Args& args, SamplingArgs& values) {
  args.Option("--temperature", values.sampling.temperature,
              "0 = always the most probable token; default: the model's");
  args.Option("--top-k", values.sampling.top_k,
              "choose among the k most probable; 0 = off; default: the model's");
  args.Option("--top-p", values.sampling.top_p,
              "choose among the most probable that sum to p; 1 = off; default: the model's");
  args.Option("--min-p", values.sampling.min_p, "drop tokens below p times the most probable one; 0 = off");
  args.Option("--repetition-penalty", values.sampling.repetition_penalty,
              "above 1: less of what occurred; 1 = off");
  args.Option("--seed", values.sampling.seed, "same seed, same text, whatever the threads");
  args.Option("-n,--max-tokens", values.max_tokens,
              "end the answer after this many tokens; 0 = when the model ends it");
  args.Option("--stop", values.stop, "end the answer before this text; can be given again");
}

Result<GenerateOptions> ToGenerateOptions(const SamplingArgs& values) {
  LINNET_TRY(NotNegative("--max-tokens", values.max_tokens));
  if (std::ranges::find(values.stop, "") != values.stop.end()) {
    return Fail(ErrorCode::kInvalidArgument, "--stop is empty", "give a text, or leave it out");
  }
  GenerateOptions options;
  options.sampling = values.sampling;
  options.max_tokens = values.max_tokens;
  options.stop = values.stop;
  return options;
}

SamplingOptions SamplingAsBefore(const SamplingOptions& asked, SamplingOptions before,
                                 const std::set<std::string>& given) {
  if (given.contains("--temperature")) before.temperature = asked.temperature;
  if (given.contains("--top-k")) before.top_k = asked.top_k;
  if (given.contains("--top-p")) before.top_p = asked.top_p;
  if (given.contains("--min-p")) before.min_p = asked.min_p;
  if (given.contains("--repetition-penalty")) before.repetition_penalty = asked.repetition_penalty;
  if (given.contains("--seed")) before.seed = asked.seed;
  return before;
}

}  // namespace linnet
