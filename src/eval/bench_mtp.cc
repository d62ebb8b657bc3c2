#include "eval/bench_mtp.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "base/stopwatch.h"
#include "eval/median.h"
#include "linnet/session.h"
#include "quant/synthetic.h"
#include "runtime/continuation.h"
#include "runtime/engine_impl.h"
#include "runtime/memory_fit.h"

namespace linnet {
namespace {

Result<std::unique_ptr<Engine>> LoadSynthetic(const MtpBenchOptions& options, const Progress& progress) {
  LINNET_ASSIGN(SyntheticModel model, MakeSynthetic(options.synthetic, false));
  LINNET_ASSIGN(const SyntheticDrafter drafter, MakeSyntheticDrafter(options.synthetic));
  LINNET_TRY(RequireFit({.config = &model.config,
                         .text = model.source.get(),
                         .drafter_config = &drafter.config,
                         .drafter = drafter.source.get()},
                        options.load, "synthetic " + options.synthetic));
  LINNET_ASSIGN(std::unique_ptr<Engine> engine,
                EngineOf({std::move(model.config), *model.source}, options.load.threads, progress));
  LINNET_TRY(AddDrafter(engine->impl(), drafter.config, *drafter.source, {false, progress}));
  return engine;
}

class MtpBench {
 public:
  MtpBench(Engine& engine, const MtpBenchOptions& options)
      : engine_(engine), options_(options), sampler_({}, engine.impl().config.vocab_size) {}

  Result<MtpBenchResult> Run(const Progress& progress) {
    LINNET_ASSIGN(plain_, Open());
    LINNET_ASSIGN(drafting_, Open());
    std::vector<double> plain_seconds, draft_seconds, ratios;
    const int64_t pieces = (options_.tokens + options_.piece - 1) / options_.piece;
    for (int64_t i = 0; i <= pieces; ++i) {  // the first one warms up
      if (progress)
        progress(static_cast<double>(i) / static_cast<double>(pieces + 1), "writing with and without drafts");
      LINNET_ASSIGN(const double plain, Piece(*plain_, 0, written_));
      LINNET_ASSIGN(const double draft, Piece(*drafting_, options_.draft, drafted_));
      if (i == 0) {
        stats_ = {};
        continue;
      }
      plain_seconds.push_back(plain);
      draft_seconds.push_back(draft);
      ratios.push_back(plain / draft);
    }
    return Summary(plain_seconds, draft_seconds, ratios);
  }

 private:
  Result<std::unique_ptr<Session>> Open() {
    SessionOptions options;
    options.context = std::min(options_.prompt + 2 * options_.tokens + 4 * options_.piece + 64,
                               engine_.impl().config.max_position_embeddings);
    options.rows_per_call = std::min<int64_t>(options_.prompt, 128);
    options.rows_per_call = std::max<int64_t>(options.rows_per_call, kMaxDrafts + 1);
    options.kv = options_.kv;
    return engine_.NewSession(options);
  }

  // Writes the next piece and returns its seconds a token. Its first token is fed outside the measured time:
  // the other session has used the workspace since, and drafting begins from the last hidden state.
  Result<double> Piece(Session& session, int32_t draft, std::vector<int32_t>& ids) {
    Prompt next;
    if (ids.empty()) {
      prompt_.assign(static_cast<size_t>(options_.prompt), 0);
      for (size_t i = 0; i < prompt_.size(); ++i) {
        prompt_[i] =
            static_cast<int32_t>((i * 7919 + 13) % static_cast<size_t>(engine_.impl().config.vocab_size));
      }
      next.ids = prompt_;
    } else {
      next.ids.assign(1, ids.back());
    }
    next.types.assign(next.ids.size(), TokenType::kText);
    std::vector<int32_t> earlier;
    if (!ids.empty()) {
      earlier = prompt_;
      earlier.insert(earlier.end(), ids.begin(), ids.end() - 1);
    }
    AllowedTokens allowed({}, engine_.impl().config.vocab_size, nullptr);
    Continuation continuation(session.impl(), {sampler_, allowed}, draft);
    LINNET_TRY(continuation.Begin(next, earlier));
    if (options_.acceptance >= 0) {
      continuation.speculator().set_lookup(false);  // its drafts cost nothing
      continuation.speculator().set_edit(
          [this](std::span<int32_t> drafts, int64_t position) { Impose(drafts, position); });
    }
    const size_t end = ids.size() + static_cast<size_t>(options_.piece);
    Clock::time_point begin = Clock::now();
    LINNET_TRY(RunAlone(session, continuation, [&](int32_t id, std::span<const float>) {
      if (ids.size() + static_cast<size_t>(options_.piece) == end) begin = Clock::now();
      ids.push_back(id);
      return ids.size() < end;
    }));
    const double seconds = SecondsSince(begin);
    if (draft != 0) Add(continuation.speculator().stats());
    return seconds / static_cast<double>(options_.piece - 1);
  }

  void Add(const DraftStats& stats) {
    stats_.passes += stats.passes;
    stats_.tokens += stats.tokens;
    stats_.draft_seconds += stats.draft_seconds;
    stats_.verify_seconds += stats.verify_seconds;
    for (size_t i = 0; i < stats.drafted.size(); ++i) {
      stats_.drafted[i] += stats.drafted[i];
      stats_.accepted[i] += stats.accepted[i];
    }
  }

  // The plain run is ahead, so what will be written is known.
  void Impose(std::span<int32_t> drafts, int64_t position) const {
    for (size_t i = 0; i < drafts.size(); ++i) {
      const size_t at = static_cast<size_t>(position - options_.prompt) + i;
      const int32_t right = at < written_.size() ? written_[at] : 0;
      const bool hit = RandomUniform(1, static_cast<uint64_t>(position) + i) < options_.acceptance;
      drafts[i] = hit ? right : static_cast<int32_t>((right + 1) % engine_.impl().config.vocab_size);
    }
  }

  MtpBenchResult Summary(const std::vector<double>& plain, const std::vector<double>& draft,
                         const std::vector<double>& ratios) {
    Engine::Impl& e = engine_.impl();
    MtpBenchResult r;
    r.model = options_.synthetic.empty()
                  ? options_.load.model.empty() ? "Chick (built in)" : options_.load.model
                  : "synthetic " + options_.synthetic;
    r.kernels = e.context.kernels().name;
    r.threads = e.pool.threads();
    r.drafter_gb = static_cast<double>(e.drafter_weights.bytes.total()) / 1e9;
    if (e.drafter != nullptr)
      r.drafter_work_mb = static_cast<double>(Drafter::PlannedBytes(e.config, e.drafter_config)) / 1e6;
    r.plain_tok_s = 1 / Median(plain);
    r.draft_tok_s = 1 / Median(draft);
    r.speedup = Median(ratios);
    r.slowest_piece = *std::min_element(ratios.begin(), ratios.end());
    r.fastest_piece = *std::max_element(ratios.begin(), ratios.end());
    int64_t accepted = 0;
    for (const int64_t n : stats_.accepted) accepted += n;
    const double passes = static_cast<double>(std::max<int64_t>(1, stats_.passes));
    r.tokens_per_pass = static_cast<double>(stats_.tokens) / passes;
    r.plausible = r.speedup <= r.tokens_per_pass;
    r.accepted_per_pass = static_cast<double>(accepted) / passes;
    r.drafts_per_pass = static_cast<double>(stats_.drafts()) / passes;
    r.draft_share = stats_.draft_seconds / std::max(1e-9, stats_.draft_seconds + stats_.verify_seconds);
    r.identical = written_ == drafted_;
    return r;
  }

  Engine& engine_;
  const MtpBenchOptions& options_;
  Sampler sampler_;
  std::unique_ptr<Session> plain_, drafting_;
  std::vector<int32_t> prompt_, written_, drafted_;
  DraftStats stats_;
};

}  // namespace

Result<MtpBenchResult> RunMtpBench(const MtpBenchOptions& options, const Progress& progress) {
  constexpr int64_t kMostTokens = 1 << 20;
  if (options.piece < 2 || options.tokens < 1 || options.tokens > kMostTokens || options.prompt < 1 ||
      !(options.acceptance <= 1) || options.draft < -1 || options.draft > kMaxDrafts) {
    return Fail(ErrorCode::kInvalidArgument, "the numbers of the benchmark make no sense",
                "tokens and prompt count from 1, --acceptance is 0 to 1, --draft at most " +
                    std::to_string(kMaxDrafts));
  }
  std::unique_ptr<Engine> engine;
  if (options.synthetic.empty()) {
    LINNET_ASSIGN(engine, LoadEngine(options.load, false, progress));
  } else {
    LINNET_ASSIGN(engine, LoadSynthetic(options, progress));
  }
  return MtpBench(*engine, options).Run(progress);
}

}  // namespace linnet
