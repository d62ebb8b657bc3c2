// Options that every subcommand with a model shares: which model, how to run it, how to choose tokens.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/args.h"
#include "linnet/engine.h"
#include "linnet/options.h"

namespace linnet {

struct ModelArgs {
  std::string model;
  std::string mmproj;
  std::string drafter;
  std::string draft = "auto";
  std::string threads = "auto";
  int64_t context = 0;
  std::string kv = "bf16";
  std::string mask_rule = "a";
  bool dequantise = false;
  bool over_plan = false;
  std::string cache_ram = "auto";
};

// Declares --model and the options; `positional`: MODEL as well, where the command takes no other file.
void DeclareModel(Args& args, ModelArgs& values, bool positional = true);
// Declares --mask-rule, for what sees pictures.
void DeclareMaskRule(Args& args, ModelArgs& values);
// Declares -t.
void DeclareThreads(Args& args, std::string& value);
// LoadOptions::threads of -t.
Result<int> ThreadsOf(const std::string& text);
// Declares --kv, and what it means.
void DeclareKv(Args& args, std::string& value);
KvType KvTypeOf(const std::string& name);
// Declares --drafter and --draft.
void DeclareDrafting(Args& args, ModelArgs& values);
// "16G", "512MiB": K, M, G and T are powers of 1000, with an i of 1024.
Result<uint64_t> BytesIn(const std::string& option, const std::string& text);
// Declares --cache-ram, for what holds conversations.
void DeclareCacheRam(Args& args, std::string& value);
// GenerateOptions::draft of --draft.
Result<int32_t> DraftsOf(const ModelArgs& values);
// Declares --over-plan, for what loads a model.
void DeclareOverPlan(Args& args, bool& value);
// Reads the model with a progress line, and says in one line when it is Chick because none was named. `use`
// is what is to fit beside it: what was lowered so that it fits is said too.
Result<std::unique_ptr<Engine>> LoadModel(const ModelArgs& values, const MemoryUse& use);
Result<SessionOptions> ToSessionOptions(const ModelArgs& values);

struct SamplingArgs {
  SamplingOptions sampling;
  int64_t max_tokens = 0;
  std::vector<std::string> stop;
};

void DeclareSampling(Args& args, SamplingArgs& values);
Result<GenerateOptions> ToGenerateOptions(const SamplingArgs& values);
// `before`, with those of `asked` instead whose options were given (long names).
SamplingOptions SamplingAsBefore(const SamplingOptions& asked, SamplingOptions before,
                                 const std::set<std::string>& given);

}  // namespace linnet
