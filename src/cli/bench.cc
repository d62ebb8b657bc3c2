// linnet bench: speed beside the limits of the machine.
#include <fmt/core.h>

#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/bench_mtp.h"
#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "eval/bench.h"
#include "eval/bench_media.h"

namespace linnet {
namespace {

struct BenchArgs {
  BenchOptions options;
  MtpBenchArgs mtp;
  std::string what;   // the positional argument: a model, "media" or "mtp"
  std::string model;  // --model
  std::string kv = "bf16";
  std::string threads = "auto";
  bool json = false;
  std::set<std::string> given;
};

std::string AsJson(const BenchResult& r) {
  nlohmann::ordered_json j;
  j["model"] = r.model;
  j["kernels"] = r.kernels;
  j["threads"] = r.threads;
  j["load_s"] = r.load_s;
  j["file_gb"] = r.file_gb;
  j["weights_gb"] = r.weight_gb;
  j["resident_gb"] = r.resident_gb;
  j["planned_gb"] = r.planned_gb;
  j["int8_peak_tmacs"] = r.limits.int8_peak_tmacs;
  j["int8_fed_tmacs"] = r.limits.int8_fed_tmacs;
  j["bandwidth_gbs"] = r.limits.bandwidth_gbs;
  j["prefill_tok_s"] = r.prefill_tok_s.best;
  j["prefill_tok_s_median"] = r.prefill_tok_s.median;
  j["prefill_share"] = r.prefill_share;
  j["prefill_share_fed"] = r.prefill_share_fed;
  j["decode_tok_s"] = r.decode_tok_s.best;
  j["decode_tok_s_median"] = r.decode_tok_s.median;
  j["decode_share"] = r.decode_share.best;
  j["decode_share_median"] = r.decode_share.median;
  j["decode_32k_ratio"] = r.decode_32k_ratio;
  j["verify4_ratio"] = r.verify4_ratio;
  j["streams8_ratio"] = r.streams8_ratio;
  return j.dump(2) + "\n";
}

std::string AsText(const BenchResult& r, const BenchOptions& options) {
  std::string text = fmt::format("{}: kernels {}, {} threads\n", r.model, r.kernels, r.threads);
  text += fmt::format("load      {:.1f} s, weights {:.2f} GB, resident {:.2f} GB (planned {:.2f})\n",
                      r.load_s, r.weight_gb, r.resident_gb, r.planned_gb);
  text += fmt::format(
      "limits    int8 {:.3f} T multiply-adds/s from registers, {:.3f} fed from the first-level cache; "
      "memory {:.1f} GB/s\n",
      r.limits.int8_peak_tmacs, r.limits.int8_fed_tmacs, r.limits.bandwidth_gbs);
  text += fmt::format(
      "prefill   {:.1f} tokens/s best, {:.1f} median of {}: {:.0f} % of the int8 peak, {:.0f} % of fed\n",
      r.prefill_tok_s.best, r.prefill_tok_s.median, options.repeat, 100 * r.prefill_share,
      100 * r.prefill_share_fed);
  text += fmt::format("decode    {:.2f} tokens/s best, {:.2f} median: {:.0f} % of the bandwidth\n",
                      r.decode_tok_s.best, r.decode_tok_s.median, 100 * r.decode_share.best);
  if (r.depth > 0) {
    text += fmt::format("          {:.2f} tokens/s best, {:.2f} median at depth {}\n", r.depth_tok_s.best,
                        r.depth_tok_s.median, r.depth);
  }
  text += fmt::format("verify    four drafts take {:.2f} times one token\n", r.verify4_ratio);
  text += fmt::format("streams   eight sequences write {:.2f} times the tokens of one\n", r.streams8_ratio);
  return text;
}

std::string MediaText(const MediaBenchResult& r) {
  std::string text = fmt::format("{}: kernels {}, {} threads, prefill {:.1f} tokens/s\n", r.model, r.kernels,
                                 r.threads, r.prefill_tok_s);
  for (const FrontEndCost& cost : r.costs) {
    text += fmt::format(
        "{}: {} tokens; prepare {:.1f} ms, embed {:.1f} ms: {:.2f} % of their prefill ({:.0f} ms)\n",
        cost.what, cost.tokens, 1e3 * cost.prepare_seconds, 1e3 * cost.embed_seconds, 100 * cost.share(),
        1e3 * cost.prefill_seconds);
  }
  return text;
}

std::string MediaJson(const MediaBenchResult& r) {
  nlohmann::ordered_json j = {
      {"model", r.model}, {"kernels", r.kernels}, {"threads", r.threads}, {"prefill_tok_s", r.prefill_tok_s}};
  for (const FrontEndCost& cost : r.costs) {
    j["media"].push_back({{"what", cost.what},
                          {"tokens", cost.tokens},
                          {"prepare_s", cost.prepare_seconds},
                          {"embed_s", cost.embed_seconds},
                          {"prefill_s", cost.prefill_seconds},
                          {"share", cost.share()}});
  }
  return j.dump(2) + "\n";
}

// `linnet bench media`: the 12B's shape where nothing else is named.
Result<int> RunMedia(const BenchArgs& args) {
  MediaBenchOptions options;
  options.load = args.options.load;
  if (!options.load.model.empty()) options.synthetic.clear();
  if (!args.options.synthetic.empty()) options.synthetic = args.options.synthetic;
  options.repeat = args.options.repeat;
  ProgressLine progress;
  const Result<MediaBenchResult> result = RunMediaBench(options, progress.AsCallback());
  progress.Clear();
  if (!result) return std::unexpected(result.error());
  Write(args.json ? MediaJson(*result) : MediaText(*result));
  return kExitDone;
}

Result<int> RunMtp(const BenchArgs& args) {
  MtpBenchArgs mtp = args.mtp;
  mtp.options.synthetic = args.options.synthetic;
  mtp.options.load.model = args.options.load.model;
  mtp.options.load.threads = args.options.load.threads;
  mtp.options.kv = KvTypeOf(args.kv);
  return RunMtpBenchCommand(mtp, args.json);
}

Result<int> RunPlain(const BenchArgs& args) {
  ProgressLine progress;
  const Result<BenchResult> result = RunBench(args.options, progress.AsCallback());
  progress.Clear();
  if (!result) return std::unexpected(result.error());
  Write(args.json ? AsJson(*result) : AsText(*result, args.options));
  return kExitDone;
}

Status CheckBench(const BenchArgs& args, bool media, bool mtp) {
  const BenchOptions& options = args.options;
  const bool plain = !media && !mtp, synthetic = !options.synthetic.empty();
  LINNET_TRY(CheckUseful(args.given,
                         {{{"--prompt", "--decode", "--depth"}, plain, "is for neither 'media' nor 'mtp'"},
                          {{"--repeat"}, !mtp, "is not for 'mtp'"},
                          {{"--kv"}, !media, "is not for 'media'"},
                          {{"--draft", "--acceptance", "--tokens"}, mtp, "is for 'linnet bench mtp'"},
                          {{"--drafter"}, mtp && !synthetic, "is for 'linnet bench mtp' with a model"}}));
  if (synthetic && !options.load.model.empty()) {
    return Fail(ErrorCode::kInvalidArgument, options.load.model + " and --synthetic are given",
                "measure one of them");
  }
  if (options.prompt >= 1 && options.repeat >= 1 && options.decode >= 1 && options.depth >= 0) return {};
  return Fail(ErrorCode::kInvalidArgument, "--prompt, --decode and --repeat count from 1, --depth from 0");
}

Result<int> Run(BenchArgs args) {
  const bool media = args.what == "media", mtp = args.what == "mtp";
  if (!media && !mtp && !args.what.empty()) {
    if (!args.model.empty()) {
      return Fail(ErrorCode::kInvalidArgument, args.what + " and --model are given", "name the model once");
    }
    args.model = args.what;
  }
  args.options.load.model = args.model;
  LINNET_TRY(CheckBench(args, media, mtp));
  LINNET_ASSIGN(args.options.load.threads, ThreadsOf(args.threads));
  args.options.kv = KvTypeOf(args.kv);
  if (media) return RunMedia(args);
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
                        "prefill; 'mtp': what drafting brings",
                        false);
        args.Option("--model", values->model,
                    "the same as MODEL; with 'media' and 'mtp' the one way to name it");
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
        DeclareMtpBench(args, values->mtp);
        args.Flag("--json", values->json, "print one JSON object");
        args.Footer(
            "Limits are measured in turns with what is put beside them (docs/performance.md).\n"
            "Examples:\n  linnet bench\n  linnet bench --synthetic 12b:q4_0 --json\n  linnet bench media\n"
            "  linnet bench mtp --synthetic 12b:q4_0 --acceptance 0.75 --json\n");
        return [values] {
          const Result<int> code = Run(*values);
          return code ? *code : Report(code.error());
        };
      }};
}

}  // namespace linnet
