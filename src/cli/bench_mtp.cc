#include "cli/bench_mtp.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/model_args.h"
#include "cli/report.h"

namespace linnet {
namespace {

std::string AsJson(const MtpBenchResult& r, const MtpBenchOptions& options) {
  nlohmann::ordered_json j;
  j["model"] = r.model;
  j["kernels"] = r.kernels;
  j["threads"] = r.threads;
  j["acceptance"] =
      options.acceptance < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(options.acceptance);
  j["plain_tok_s"] = r.plain_tok_s;
  j["draft_tok_s"] = r.draft_tok_s;
  j["speedup"] = r.speedup;
  j["slowest_piece"] = r.slowest_piece;
  j["fastest_piece"] = r.fastest_piece;
  j["plausible"] = r.plausible;
  j["tokens_per_pass"] = r.tokens_per_pass;
  j["accepted_per_pass"] = r.accepted_per_pass;
  j["drafts_per_pass"] = r.drafts_per_pass;
  j["draft_share"] = r.draft_share;
  j["drafter_gb"] = r.drafter_gb;
  j["drafter_work_mb"] = r.drafter_work_mb;
  j["identical"] = r.identical;
  return j.dump(2) + "\n";
}

std::string AsText(const MtpBenchResult& r, const MtpBenchOptions& options) {
  std::string text = fmt::format("{}: kernels {}, {} threads, drafter {:.2f} GB and {:.1f} MB of workspace\n",
                                 r.model, r.kernels, r.threads, r.drafter_gb, r.drafter_work_mb);
  if (options.acceptance >= 0)
    text += fmt::format("imposed   {:.0f} % of the drafts are right\n", 100 * options.acceptance);
  text += fmt::format("plain     {:.2f} tokens/s\n", r.plain_tok_s);
  text += fmt::format("drafting  {:.2f} tokens/s: {:.2f} times plain (median of pairs, {:.2f} to {:.2f})\n",
                      r.draft_tok_s, r.speedup, r.slowest_piece, r.fastest_piece);
  if (!r.plausible)
    text += "          more than the tokens a pass allow: the machine was busy, measure again\n";
  text += fmt::format(
      "a pass    {:.2f} drafts, {:.2f} accepted, {:.2f} tokens; guessing takes {:.0f} % of the time\n",
      r.drafts_per_pass, r.accepted_per_pass, r.tokens_per_pass, 100 * r.draft_share);
  return text + (r.identical ? "the text is the same token for token\n" : "THE TEXT DIFFERS\n");
}

}  // namespace

void DeclareMtpBench(Args& args, MtpBenchArgs& values) {
  args.Option("--drafter", values.options.load.drafter, "mtp: its assistant, if it does not lie beside it");
  args.Option("--draft", values.draft, "mtp: 'auto' or a number of drafts");
  args.Option("--acceptance", values.options.acceptance,
              "mtp: let each draft be right with this probability");
  args.Option("--tokens", values.options.tokens, "mtp: tokens to write, plainly and with drafts");
}

int RunMtpBenchCommand(MtpBenchArgs values, bool json) {
  ModelArgs model;
  model.draft = values.draft;
  const Result<int32_t> draft = DraftsOf(model);
  if (!draft) return Report(draft.error());
  values.options.draft = *draft;
  ProgressLine progress;
  const Result<MtpBenchResult> result = RunMtpBench(values.options, progress.AsCallback());
  progress.Clear();
  if (!result) return Report(result.error());
  Write(json ? AsJson(*result, values.options) : AsText(*result, values.options));
  if (!result->identical) return kExitFailed;
  return kExitDone;
}

}  // namespace linnet
