// linnet bench: speed beside the limits of the machine.
#include <memory>
#include <set>
#include <string>

#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "eval/report.h"

namespace linnet {
namespace {

struct BenchArgs {
  BenchOptions options;
  MtpBenchOptions mtp;
  MemoryBenchOptions memory;
  std::string what;   // the positional argument: a model, "media", "memory" or "mtp"
  std::string model;  // --model
  std::string kv = "bf16";
  std::string draft = "auto";
  std::string threads = "auto";
  bool json = false;
  std::set<std::string> given;
};

// `linnet bench media`: the 12B's shape where nothing else is named.
Result<int> RunMedia(const BenchArgs& args) {
  MediaBenchOptions options;
  options.load = args.options.load;
  if (!options.load.model.empty()) options.synthetic.clear();
  if (!args.options.synthetic.empty()) options.synthetic = args.options.synthetic;
  options.repeat = args.options.repeat;
  ProgressLine progress;
  LINNET_ASSIGN(const MediaBenchResult result, RunMediaBench(options, progress.AsCallback()));
  progress.Clear();
  Write(args.json ? AsJson(result) : AsText(result));
  return kExitDone;
}

// `linnet bench memory`: a conversation whose context is full.
Result<int> RunMemory(const BenchArgs& args) {
  MemoryBenchOptions options = args.memory;
  options.synthetic = args.options.synthetic;
  options.load = args.options.load;
  options.kv = args.options.kv;
  if (args.given.contains("--tokens")) options.tokens = args.mtp.tokens;
  ProgressLine progress;
  LINNET_ASSIGN(const MemoryBenchResult result, RunMemoryBench(options, progress.AsCallback()));
  progress.Clear();
  Write(args.json ? AsJson(result) : AsText(result));
  return kExitDone;
}

Result<int> RunMtp(const BenchArgs& args) {
  MtpBenchOptions options = args.mtp;
  options.synthetic = args.options.synthetic;
  options.load.model = args.options.load.model;
  options.load.threads = args.options.load.threads;
  options.load.over_plan = args.options.load.over_plan;
  options.kv = KvTypeOf(args.kv);
  LINNET_ASSIGN(options.draft, DraftsOf({.draft = args.draft}));
  ProgressLine progress;
  LINNET_ASSIGN(const MtpBenchResult result, RunMtpBench(options, progress.AsCallback()));
  progress.Clear();
  Write(args.json ? AsJson(result, options) : AsText(result, options));
  return result.identical ? kExitDone : kExitFailed;
}

Result<int> RunPlain(const BenchArgs& args) {
  ProgressLine progress;
  LINNET_ASSIGN(const BenchResult result, RunBench(args.options, progress.AsCallback()));
  progress.Clear();
  Write(args.json ? AsJson(result) : AsText(result, args.options));
  return kExitDone;
}

Status CheckBench(const BenchArgs& args, bool synthetic) {
  const BenchOptions& options = args.options;
  const bool media = args.what == "media", memory = args.what == "memory", mtp = args.what == "mtp";
  const bool plain = !media && !memory && !mtp;
  LINNET_TRY(CheckUseful(
      args.given, {{{"--prompt", "--decode", "--depth"}, plain, "is for neither 'media', 'memory' nor 'mtp'"},
                   {{"--repeat"}, plain || media, "is for neither 'memory' nor 'mtp'"},
                   {{"--kv"}, !media, "is not for 'media'"},
                   {{"--context", "--image-tokens"}, memory, "is for 'linnet bench memory'"},
                   {{"--tokens"}, memory || mtp, "is for 'linnet bench memory' and 'linnet bench mtp'"},
                   {{"--draft", "--acceptance"}, mtp, "is for 'linnet bench mtp'"},
                   {{"--drafter"}, mtp && !synthetic, "is for 'linnet bench mtp' with a model"}}));
  if (synthetic && !options.load.model.empty()) {
    return Fail(ErrorCode::kInvalidArgument, options.load.model + " and --synthetic are given",
                "measure one of them");
  }
  if (options.prompt >= 1 && options.repeat >= 1 && options.decode >= 1 && options.depth >= 0) return {};
  return Fail(ErrorCode::kInvalidArgument, "--prompt, --decode and --repeat count from 1, --depth from 0");
}

Result<int> Run(BenchArgs args) {
  const bool media = args.what == "media", memory = args.what == "memory", mtp = args.what == "mtp";
  if (!media && !memory && !mtp && !args.what.empty()) {
    if (!args.model.empty()) {
      return Fail(ErrorCode::kInvalidArgument, args.what + " and --model are given", "name the model once");
    }
    args.model = args.what;
  }
  args.options.load.model = args.model;
  LINNET_TRY(CheckBench(args, !args.options.synthetic.empty()));
  LINNET_ASSIGN(args.options.load.threads, ThreadsOf(args.threads));
  args.options.kv = KvTypeOf(args.kv);
  if (media) return RunMedia(args);
  if (memory) return RunMemory(args);
  return mtp ? RunMtp(args) : RunPlain(args);
}

}  // namespace

Command BenchCommand() {
  return {
      "bench", "measure speed as a share of what the machine can do", [](Args& args) {
        auto values = std::make_shared<BenchArgs>();
        args.Given(values->given);
        args.Positional("MODEL", values->what,
                        "a model; Chick if none is named; 'media': what pictures and sound cost beside their "
                        "prefill; 'memory': what a full context takes; 'mtp': what drafting brings",
                        false);
        args.Option("--model", values->model,
                    "the same as MODEL; with 'media', 'memory' and 'mtp' the one way to name it");
        args.Option("--synthetic", values->options.synthetic,
                    "made-up weights of an exact shape: SHAPE[@LAYERS]:FORMAT, for instance 12b:q4_0 or "
                    "12b@6:q4_k_m");
        DeclareThreads(args, values->threads);
        args.Option("--prompt", values->options.prompt, "tokens of the prompt");
        args.Option("--decode", values->options.decode, "tokens written in a repetition");
        args.Option("--repeat", values->options.repeat, "repetitions; the best and the median are shown");
        args.Option("--depth", values->options.depth,
                    "filled cache positions at which writing is measured too; 0 = none");
        DeclareKv(args, values->kv);
        args.Option("--drafter", values->mtp.load.drafter,
                    "mtp: its assistant, if it does not lie beside it");
        args.Option("--draft", values->draft, "mtp: 'auto' or a number of drafts");
        args.Option("--acceptance", values->mtp.acceptance,
                    "mtp: let each draft be right with this probability");
        args.Option("--tokens", values->mtp.tokens,
                    "mtp: tokens to write, plainly and with drafts; memory: 32 unless given");
        args.Option("--context", values->memory.context,
                    "memory: the context that is filled; 0 = the model's");
        args.Option("--image-tokens", values->memory.image_tokens,
                    "memory: tokens of the picture that is read at its end; 0 = none");
        DeclareOverPlan(args, values->options.load.over_plan);
        args.Flag("--json", values->json, "print one JSON object");
        args.Footer(
            "Limits are measured in turns with what is put beside them (docs/performance.md).\n"
            "Examples:\n  linnet bench\n  linnet bench --synthetic 12b:q4_0 --json\n  linnet bench media\n"
            "  linnet bench memory --synthetic 12b:q4_0 --kv int8\n"
            "  linnet bench mtp --synthetic 12b:q4_0 --acceptance 0.75 --json\n");
        return [values] { return Run(*values); };
      }};
}

}  // namespace linnet
