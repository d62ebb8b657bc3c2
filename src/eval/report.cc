#include "eval/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/printable.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

Json ScoreJson(const TextScore& score) {
  Json json = {{"name", score.name},
               {"tokens", score.tokens},
               {"mean_nll", score.mean_nll},
               {"perplexity", score.Perplexity()}};
  if (score.comparison) {
    const ModelComparison& c = *score.comparison;
    json["comparison"] = {{"kl_mean", c.kl_mean},
                          {"kl_99", c.kl_99},
                          {"kl_max", c.kl_max},
                          {"top1", c.top1},
                          {"reference_mean_nll", c.reference_nll},
                          {"nll_change", score.mean_nll - c.reference_nll}};
  }
  return json;
}

std::string ScoreLine(const TextScore& score) {
  std::string line = fmt::format("{}: {} tokens, mean nll {:.5f}, perplexity {:.4f}", score.name,
                                 score.tokens, score.mean_nll, score.Perplexity());
  if (score.comparison) {
    line += fmt::format(", change {:+.5f}, KL mean {:.3g}, same top token {:.2f} %",
                        score.mean_nll - score.comparison->reference_nll, score.comparison->kl_mean,
                        100 * score.comparison->top1);
  }
  return line + "\n";
}

}  // namespace

std::string AsJson(const BenchResult& r) {
  Json j;
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

std::string AsText(const MediaBenchResult& r) {
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

std::string AsJson(const MediaBenchResult& r) {
  Json j = {
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

std::string AsText(const MemoryBenchResult& r) {
  std::string text = fmt::format("{}: kernels {}, {} threads, loaded in {:.1f} s\n", r.model, r.kernels,
                                 r.threads, r.load_seconds);
  text += fmt::format(
      "context   {} tokens: {} filled, a picture of {} read in {:.1f} s, {} written in {:.1f} s\n", r.context,
      r.filled, r.image_tokens, r.read_seconds, r.tokens, r.write_seconds);
  for (const MemoryLine& line : r.plan.lines) {
    text += fmt::format("  {:<36}{:>12}\n", line.name, HumanBytes(line.bytes));
  }
  return text + fmt::format("planned   {}\npeak      {}, {:.2f} % of the plan\n", HumanBytes(r.plan.total()),
                            HumanBytes(r.peak_bytes), 100 * r.ratio());
}

std::string AsJson(const MemoryBenchResult& r) {
  Json j;
  j["model"] = r.model;
  j["kernels"] = r.kernels;
  j["threads"] = r.threads;
  j["context"] = r.context;
  j["filled"] = r.filled;
  j["image_tokens"] = r.image_tokens;
  j["tokens"] = r.tokens;
  j["planned_bytes"] = r.plan.total();
  j["peak_bytes"] = r.peak_bytes;
  j["ratio"] = r.ratio();
  j["load_s"] = r.load_seconds;
  j["read_s"] = r.read_seconds;
  j["write_s"] = r.write_seconds;
  for (const MemoryLine& line : r.plan.lines)
    j["lines"].push_back({{"name", line.name}, {"bytes", line.bytes}});
  return j.dump(2) + "\n";
}

std::string AsJson(const MtpBenchResult& r, const MtpBenchOptions& options) {
  Json j;
  j["model"] = r.model;
  j["kernels"] = r.kernels;
  j["threads"] = r.threads;
  j["acceptance"] = options.acceptance < 0 ? Json() : Json(options.acceptance);
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

std::string AsJson(const PerplexityResult& result, const ComparedModels& models) {
  Json json = {{"model", models.tested},
               {"reference", models.reference},
               {"context", result.context},
               {"texts", Json::array()}};
  for (const TextScore& score : result.texts) json["texts"].push_back(ScoreJson(score));
  json["total"] = ScoreJson(result.total);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string AsText(const PerplexityResult& result, const ComparedModels& models) {
  std::string text;
  for (const TextScore& score : result.texts) text += ScoreLine(score);
  if (result.texts.size() > 1) text += ScoreLine(result.total);
  if (!result.total.comparison) return text;
  const ModelComparison& c = *result.total.comparison;
  text += fmt::format("beside {}: mean nll {:.5f}, change {:+.5f}\n", models.reference, c.reference_nll,
                      result.total.mean_nll - c.reference_nll);
  text +=
      fmt::format("KL divergence: mean {:.3g}, 99 % {:.3g}, largest {:.3g}\n", c.kl_mean, c.kl_99, c.kl_max);
  text += fmt::format("the same most probable token: {:.2f} %\n", 100 * c.top1);
  return text;
}

}  // namespace linnet
