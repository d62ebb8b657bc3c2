#include "eval/bench.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/aligned.h"
#include "base/cpu_info.h"
#include "base/process.h"
#include "kernels/dispatch.h"
#include "linnet/session.h"
#include "model/synthetic.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

template <typename Body>
double Seconds(const Body& body) {
  const auto begin = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Rates of several repetitions, each `amount` in the given seconds.
Spread Rates(std::vector<double> seconds, double amount) {
  std::sort(seconds.begin(), seconds.end());
  return {amount / seconds.front(), amount / seconds[seconds.size() / 2]};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Multiply-adds of the layers' matrices for one token, and the bytes a decode step reads.
struct Cost {
  double macs = 0;
  double bytes = 0;
};

Cost CostOf(const Weights& weights) {
  Cost cost;
  for (const LayerWeights& w : weights.layers) {
    for (const Matrix* m : {&w.q_proj, &w.k_proj, &w.v_proj, &w.o_proj, &w.gate_proj, &w.up_proj, &w.down_proj}) {
      cost.macs += static_cast<double>(m->n * m->k);
      cost.bytes += static_cast<double>(m->panels.bytes());
    }
  }
  cost.bytes += static_cast<double>(weights.embed_tokens.panels.bytes());
  return cost;
}

std::vector<int32_t> Ids(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((i * 7919 + 13) % static_cast<size_t>(vocabulary));
  return ids;
}

constexpr int64_t kResidentContext = 8192;

// What the bandwidth is measured on.
AlignedBuffer<uint8_t>& LimitMemory() {
  static AlignedBuffer<uint8_t> memory;
  return memory;
}

// Positions that a measurement at some depth takes beside those that are filled.
constexpr int64_t kDepthRoom = 80;

class Bench {
 public:
  Bench(const BenchOptions& options, const Progress& progress) : options_(options), progress_(progress) {}

  Result<BenchResult> Run() {
    LINNET_TRY(Load());
    Engine::Impl& e = engine_->impl();
    cost_ = CostOf(e.weights);
    result_.kernels = e.context.kernels().name;
    result_.threads = e.pool.threads();
    result_.weight_gb = static_cast<double>(e.weights.bytes()) / 1e9;
    e.decoder->Reserve(options_.prompt, 8);
    Say(0.1, "measuring the machine");
    MeasureLimits(e.pool, result_.limits);
    LINNET_TRY(Prefill());
    LINNET_TRY(Decode());
    LINNET_TRY(Verify());
    LINNET_TRY(Streams());
    Say(1.0, "done");
    Shares();
    LINNET_TRY(Resident());
    return result_;
  }

 private:
  void Say(double fraction, std::string_view what) {
    if (progress_) progress_(fraction, what);
  }

  Status Load() {
    Status status;
    result_.load_s = Seconds([&] { status = LoadEngineTimed(); });
    return status;
  }

  Status LoadEngineTimed() {
    if (options_.synthetic.empty()) {
      LINNET_ASSIGN(engine_, LoadEngine(options_.load, false, progress_));
      result_.model = options_.load.model.empty() ? "Chick (built in)" : options_.load.model;
      return {};
    }
    LINNET_ASSIGN(SyntheticModel model, MakeSynthetic(options_.synthetic, false));
    const int threads = options_.load.threads > 0 ? options_.load.threads : GetCpuInfo().cores;
    auto impl = std::make_unique<Engine::Impl>(threads, Kernels());
    impl->config = std::move(model.config);
    LINNET_ASSIGN(impl->weights, LoadWeights(impl->config, *model.source, nullptr, impl->pool, {false, progress_}));
    result_.model = "synthetic " + options_.synthetic;
    result_.file_gb = static_cast<double>(model.file_bytes) / 1e9;
    engine_ = MakeEngine(std::move(impl));
    return {};
  }

  Result<std::unique_ptr<Session>> Open(int64_t context, int64_t rows) {
    SessionOptions options;
    options.context = std::min(context, engine_->config().max_position_embeddings);
    options.rows_per_call = rows;
    options.kv = options_.kv;
    return engine_->NewSession(options);
  }

  Status Prefill() {
    const std::vector<int32_t> ids = Ids(options_.prompt, engine_->config().vocab_size);
    LINNET_ASSIGN(const std::unique_ptr<Session> session, Open(options_.prompt + 64, options_.prompt));
    std::vector<double> seconds;
    for (int64_t i = 0; i <= options_.repeat; ++i) {  // the first one warms up
      Say(0.1 + 0.5 * static_cast<double>(i) / static_cast<double>(options_.repeat + 1), "reading a prompt");
      LINNET_TRY(session->Truncate(0));
      Status fed;
      const double time = Seconds([&] { fed = session->Feed(ids); });
      LINNET_TRY(fed);
      if (i > 0) seconds.push_back(time);
      MeasureLimits(engine_->impl().pool, result_.limits);
    }
    result_.prefill_tok_s = Rates(seconds, static_cast<double>(options_.prompt));
    return {};
  }

  // Steps of `rows` rows at a given depth, seconds a step.
  Result<std::vector<double>> Steps(Session& session, int64_t depth, int64_t rows) {
    Session::Impl& s = session.impl();
    const std::vector<int32_t> ids = Ids(rows, engine_->config().vocab_size);
    s.all_logits = rows > 1;
    engine_->impl().decoder->Reserve(s.cache.rows_per_call(), rows);
    std::vector<double> seconds;
    for (int64_t i = 0; i <= options_.repeat; ++i) {
      LINNET_TRY(session.Truncate(depth));
      Status fed;
      const double time = Seconds([&] {
        for (int64_t t = 0; t < options_.decode && fed; ++t) {
          fed = session.Truncate(depth + (t % 8));
          if (fed) fed = session.Feed(ids);
        }
      });
      LINNET_TRY(fed);
      if (i > 0) seconds.push_back(time / static_cast<double>(options_.decode));
      if (depth == 0) MeasureLimits(engine_->impl().pool, result_.limits);
    }
    return seconds;
  }

  Result<std::vector<double>> StepsAt(int64_t depth, int64_t rows) {
    if (rows == 1) Say(0.65, "writing at depth " + std::to_string(depth));
    LINNET_ASSIGN(const std::unique_ptr<Session> session, Open(depth + kDepthRoom, 8));
    session->impl().cache.FillForTiming(depth + 8);
    return Steps(*session, depth, rows);
  }

  Status Decode() {
    LINNET_ASSIGN(const std::vector<double> empty, StepsAt(0, 1));
    result_.decode_tok_s = Rates(empty, 1.0);
    step_ = Median(empty);
    result_.depth = std::min(options_.depth, engine_->config().max_position_embeddings - kDepthRoom);
    if (result_.depth <= 0) return {};
    LINNET_ASSIGN(const std::vector<double> deep, StepsAt(result_.depth, 1));
    result_.depth_tok_s = Rates(deep, 1.0);
    result_.decode_32k_ratio = Median(deep) / step_;
    return {};
  }

  Status Verify() {
    Say(0.85, "verifying four drafts");
    LINNET_ASSIGN(const std::vector<double> seconds, StepsAt(0, 5));
    result_.verify4_ratio = Median(seconds) / step_;
    return {};
  }

  Status Streams() {
    Say(0.95, "eight sequences at once");
    constexpr int64_t kStreams = 8;
    Engine::Impl& e = engine_->impl();
    std::vector<KvCache> caches;
    for (int64_t i = 0; i < kStreams; ++i) {
      LINNET_ASSIGN(KvCache cache, KvCache::Create(e.config, e.weights, {options_.kv, 64, 8}));
      caches.push_back(std::move(cache));
    }
    std::vector<Sequence> sequences;
    for (KvCache& cache : caches) sequences.push_back({&cache, 1, {}});
    std::vector<int64_t> rows(kStreams);
    std::iota(rows.begin(), rows.end(), 0);
    const std::vector<int32_t> ids = Ids(kStreams, e.config.vocab_size);
    e.decoder->Reserve(kStreams, kStreams);
    std::vector<double> seconds;
    for (int64_t i = 0; i <= options_.repeat; ++i) {
      for (KvCache& cache : caches) LINNET_TRY(cache.Truncate(0));
      const double time = Seconds([&] {
        for (int64_t t = 0; t < options_.decode; ++t) e.decoder->Forward({ids, {}, sequences, rows, MaskRule::kA});
      });
      if (i > 0) seconds.push_back(time / static_cast<double>(options_.decode));
    }
    result_.streams8_ratio = kStreams * step_ / Median(seconds);
    return {};
  }

  // With a session that has read as much as it is made for; without the memory the bandwidth is measured on.
  Status Resident() {
    LimitMemory() = {};
    LINNET_ASSIGN(const std::unique_ptr<Session> session, Open(kResidentContext, options_.prompt));
    session->impl().cache.FillForTiming(session->impl().cache.context());
    result_.resident_gb = static_cast<double>(ResidentBytes()) / 1e9;
    return {};
  }

  void Shares() {
    const double products = result_.prefill_tok_s.best * cost_.macs / 1e12;
    result_.prefill_share = products / result_.limits.int8_peak_tmacs;
    result_.prefill_share_fed = products / result_.limits.int8_fed_tmacs;
    result_.decode_share = result_.decode_tok_s.best * cost_.bytes / 1e9 / result_.limits.bandwidth_gbs;
  }

  const BenchOptions& options_;
  const Progress& progress_;
  std::unique_ptr<Engine> engine_;
  BenchResult result_;
  Cost cost_;
  double step_ = 0;  // median seconds of a decode step at the first depth
};

}  // namespace

void MeasureLimits(ThreadPool& pool, MachineLimits& limits) {
  // Larger than any cache: the shared third level of a server can hold hundreds of megabytes for a moment.
  constexpr int64_t kReadBytes = int64_t{1} << 29;
  constexpr int64_t kPeakIterations = 1 << 19;
  constexpr int64_t kFedIterations = 1 << 12;
  AlignedBuffer<uint8_t>& memory = LimitMemory();
  if (memory.size() == 0) {
    memory = AlignedBuffer<uint8_t>(static_cast<size_t>(kReadBytes));
    for (size_t i = 0; i < memory.size(); i += 64) memory[i] = static_cast<uint8_t>(i >> 6);
  }
  const KernelTable& kernels = Kernels();
  const int64_t threads = pool.threads();
  const auto rate = [&](const auto& work) {
    std::vector<int64_t> amounts(static_cast<size_t>(threads));
    const double seconds = Seconds([&] { pool.Run([&](int t) { amounts[static_cast<size_t>(t)] = work(t); }); });
    return static_cast<double>(std::accumulate(amounts.begin(), amounts.end(), int64_t{0})) / seconds;
  };
  for (int i = 0; i < 2; ++i) {
    limits.int8_peak_tmacs = std::max(limits.int8_peak_tmacs, rate([&](int) { return kernels.int8_peak(kPeakIterations); }) / 1e12);
    limits.int8_fed_tmacs =
        std::max(limits.int8_fed_tmacs, rate([&](int) { return kernels.int8_fed(memory.data(), kFedIterations); }) / 1e12);
    const int64_t share = kReadBytes / threads / kReadRun * kReadRun;
    limits.bandwidth_gbs = std::max(limits.bandwidth_gbs, rate([&](int t) {
                                      static_cast<void>(kernels.read(memory.data() + t * share, share));
                                      return share;
                                    }) / 1e9);
  }
}

Result<BenchResult> RunBench(const BenchOptions& options, const Progress& progress) {
  return Bench(options, progress).Run();
}

}  // namespace linnet
