#include "eval/bench.h"

#include <algorithm>
#include <functional>
#include <span>

#include "base/process.h"
#include "base/stopwatch.h"
#include "eval/median.h"
#include "linnet/session.h"
#include "model/layer_tensors.h"
#include "quant/synthetic.h"
#include "runtime/engine_impl.h"
#include "runtime/memory_fit.h"

namespace linnet {
namespace {

Spread BestAndMedian(const std::vector<double>& values) {
  return {*std::max_element(values.begin(), values.end()), Median(values)};
}

// amount / seconds, for each.
std::vector<double> Rates(std::vector<double> seconds, double amount) {
  for (double& s : seconds) s = amount / s;
  return seconds;
}

// Multiply-adds of the layers' matrices for one token, and the bytes a decode step reads.
struct Cost {
  double macs = 0;
  double bytes = 0;
};

Cost CostOf(const Weights& weights) {
  Cost cost;
  for (const LayerWeights& w : weights.layers) {
    for (const LayerTensor& tensor : LayerTensors()) {
      const auto* place = std::get_if<LayerTensor::MatrixPlace>(&tensor.place);
      if (place == nullptr) continue;
      const Matrix& matrix = w.**place;
      cost.macs += static_cast<double>(matrix.n * matrix.k);
      cost.bytes += static_cast<double>(matrix.panels.bytes());
    }
  }
  cost.bytes += static_cast<double>(weights.embed_tokens.panels.bytes());
  return cost;
}

std::vector<int32_t> Ids(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>((i * 7919 + 13) % static_cast<size_t>(vocabulary));
  return ids;
}

constexpr int64_t kResidentContext = 8192;

// Positions beside those of the prompt that is read.
constexpr int64_t kPromptRoom = 64;
// Positions that a measurement at some depth takes beside those that are filled.
constexpr int64_t kDepthRoom = 80;
constexpr int64_t kVerified = 5;  // four drafts and the token before them
constexpr int64_t kStreams = 8;

// One thing that is measured: step(t) is its t-th step of a repetition, 0 ≤ t < 8 being told apart.
struct Stepper {
  std::function<Status(int64_t t)> step;
  std::vector<double> seconds;  // of a step, for every repetition
};

// The ratio of two things, repetition by repetition.
std::vector<double> Ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios(a.size());
  for (size_t i = 0; i < a.size(); ++i) ratios[i] = a[i] / b[i];
  return ratios;
}

// Eight sequences of one row each.
struct Streams {
  std::vector<KvCache> caches;
  std::vector<int32_t> ids;
  Step step;

  Status Run(Decoder& decoder) {
    step.Clear();
    for (size_t i = 0; i < caches.size(); ++i) {
      if (caches[i].length() == caches[i].context()) LINNET_TRY(caches[i].Truncate(0));
      LINNET_TRY(step.Add({.cache = &caches[i], .ids = std::span(ids).subspan(i, 1)}));
    }
    return decoder.Forward(step);
  }
};

class Bench {
 public:
  Bench(const BenchOptions& options, const Progress& progress) : options_(options), progress_(progress) {}

  Result<BenchResult> Run() {
    LINNET_TRY(Load());
    if (options_.prompt > engine_->impl().config.max_position_embeddings - kPromptRoom) {
      return Fail(
          ErrorCode::kInvalidArgument,
          "a prompt of " + std::to_string(options_.prompt) + " tokens does not fit this model",
          "give at most " + std::to_string(engine_->impl().config.max_position_embeddings - kPromptRoom));
    }
    Engine::Impl& e = engine_->impl();
    cost_ = CostOf(e.weights);
    result_.kernels = e.context.kernels().name;
    result_.threads = e.pool.threads();
    result_.weight_gb = static_cast<double>(e.weights.bytes.total()) / 1e9;
    LINNET_TRY(Resident());
    meter_ = std::make_unique<LimitMeter>(e.pool);
    LINNET_TRY(Prefill());
    LINNET_TRY(Generation());
    Say(1.0, "done");
    return result_;
  }

 private:
  void Say(double fraction, std::string_view what) {
    if (progress_) progress_(fraction, what);
  }

  Status Load() {
    Status loaded;
    if (options_.synthetic.empty()) {
      const LoadOptions& load = options_.load;
      LINNET_ASSIGN(const ModelFiles files,
                    OpenModel(load.model, load.mmproj, load.drafter, load.use_drafter));
      LINNET_TRY(Plan(ToPlan(files, nullptr)));
      result_.model = load.model.empty() ? "Chick (built in)" : load.model;
      result_.load_s = SecondsOf([&] { loaded = LoadFiles(); });
    } else {
      LINNET_ASSIGN(SyntheticModel model, MakeSynthetic(options_.synthetic, false));
      LINNET_TRY(Plan({.config = &model.config, .text = model.source.get()}));
      result_.load_s = SecondsOf([&] { loaded = LoadSynthetic(model); });
    }
    return loaded;
  }

  // Of what Resident() does, once it is known that all of it fits.
  Status Plan(const PlannedModel& model) {
    const ModelConfig& config = *model.config;
    LoadOptions load = options_.load;
    MemoryUse& use = load.use.emplace();
    use.session = SessionOf(config, std::max(kResidentContext, options_.depth + kDepthRoom), options_.prompt);
    use.image_tokens = use.sound_seconds = 0;
    use.knobs = {.context = "", .drafter = ""};
    LINNET_ASSIGN(const KvCache::Bytes stream,
                  KvCache::PlannedBytes(config, {options_.kv, kDepthRoom, 8}, 0));
    use.others.push_back({"eight sequences", (kStreams + 2) * (stream.rings + stream.pages)});
    use.others.push_back({"memory that is read", LimitMeter::kBytes});
    const std::string name = options_.synthetic.empty() ? load.model : options_.synthetic;
    LINNET_TRY(RequireFit(model, load, name.empty() ? "Chick" : name));
    MemoryPlanOptions options;
    options.session = SessionOf(config, kResidentContext, options_.prompt);
    options.threads = load.threads;
    options.picture_tokens = options.sound_seconds = 0;
    options.process_bytes = ResidentBytes();
    LINNET_ASSIGN(const MemoryPlan plan, PlanMemory(model, options));
    result_.planned_gb = static_cast<double>(plan.total()) / 1e9;
    return {};
  }

  Status LoadFiles() {
    LINNET_ASSIGN(engine_, LoadEngine(options_.load, false, progress_));
    return {};
  }

  Status LoadSynthetic(SyntheticModel& model) {
    LINNET_ASSIGN(engine_,
                  EngineOf({std::move(model.config), *model.source}, options_.load.threads, progress_));
    result_.model = "synthetic " + options_.synthetic;
    result_.file_gb = static_cast<double>(model.file_bytes) / 1e9;
    return {};
  }

  SessionOptions SessionOf(const ModelConfig& config, int64_t context, int64_t rows) const {
    SessionOptions options;
    options.context = std::min(context, config.max_position_embeddings);
    options.rows_per_call = rows;
    options.kv = options_.kv;
    return options;
  }

  Result<std::unique_ptr<Session>> Open(int64_t context, int64_t rows) {
    return engine_->NewSession(SessionOf(engine_->impl().config, context, rows));
  }

  Status Prefill() {
    const std::vector<int32_t> ids = Ids(options_.prompt, engine_->impl().config.vocab_size);
    LINNET_ASSIGN(const std::unique_ptr<Session> session,
                  Open(options_.prompt + kPromptRoom, options_.prompt));
    std::vector<double> seconds;
    for (int64_t i = 0; i <= options_.repeat; ++i) {  // the first one warms up
      Say(0.1 + 0.5 * static_cast<double>(i) / static_cast<double>(options_.repeat + 1), "reading a prompt");
      LINNET_TRY(session->Truncate(0));
      Status fed;
      const double time = SecondsOf([&] { fed = session->Feed(ids); });
      LINNET_TRY(fed);
      if (i > 0) seconds.push_back(time);
      meter_->MeasureProducts(result_.limits);
    }
    result_.prefill_tok_s = BestAndMedian(Rates(seconds, static_cast<double>(options_.prompt)));
    const double products = result_.prefill_tok_s.best * cost_.macs / 1e12;
    result_.prefill_share = products / result_.limits.int8_peak_tmacs;
    result_.prefill_share_fed = products / result_.limits.int8_fed_tmacs;
    return {};
  }

  // Steps of `rows` rows of one sequence at a given depth.
  Result<Stepper> Writing(int64_t depth, int64_t rows) {
    LINNET_ASSIGN(std::unique_ptr<Session> opened, Open(depth + kDepthRoom, 8));
    const std::shared_ptr<Session> session = std::move(opened);
    session->impl().cache.FillForTiming(depth + 8);
    session->impl().all_logits = rows > 1;
    const std::vector<int32_t> ids = Ids(rows, engine_->impl().config.vocab_size);
    return Stepper{[session, depth, ids](int64_t t) -> Status {
                     LINNET_TRY(session->Truncate(depth + t));
                     return session->Feed(ids);
                   },
                   {}};
  }

  Result<Stepper> OpenStreams() {
    Engine::Impl& e = engine_->impl();
    const auto streams = std::make_shared<Streams>();
    for (int64_t i = 0; i < kStreams; ++i) {
      LINNET_ASSIGN(KvCache cache, KvCache::Create(e.config, e.weights, {options_.kv, 64, 8}));
      streams->caches.push_back(std::move(cache));
    }
    streams->ids = Ids(kStreams, e.config.vocab_size);
    streams->step.Reserve(e.config, kStreams, kStreams);
    return Stepper{[streams, &e](int64_t) { return streams->Run(*e.decoder); }, {}};
  }

  // One repetition: what is measured takes turns step by step, and memory is read before and after each step
  // of the first, because what neighbours leave of a shared machine's memory changes from second to second.
  // Returns the bandwidth.
  Result<double> Repetition(std::span<Stepper*> steppers) {
    std::vector<double> seconds(steppers.size(), 0.0);
    double reading = 0;  // seconds a byte
    for (int64_t t = 0; t < options_.decode; ++t) {
      for (size_t s = 0; s < steppers.size(); ++s) {
        Status stepped;
        if (s == 0) reading += 0.5 / meter_->ReadOnce();
        seconds[s] += SecondsOf([&] { stepped = steppers[s]->step(t % 8); });
        LINNET_TRY(stepped);
        if (s == 0) reading += 0.5 / meter_->ReadOnce();
      }
    }
    const double count = static_cast<double>(options_.decode);
    for (size_t s = 0; s < steppers.size(); ++s) steppers[s]->seconds.push_back(seconds[s] / count);
    return count / reading;
  }

  Status Generation() {
    Say(0.6, "filling a cache");
    engine_->impl().decoder->Reserve(kStreams);
    result_.depth = std::min(options_.depth, engine_->impl().config.max_position_embeddings - kDepthRoom);
    LINNET_ASSIGN(Stepper one, Writing(0, 1));
    LINNET_ASSIGN(Stepper verify, Writing(0, kVerified));
    LINNET_ASSIGN(Stepper streams, OpenStreams());
    Stepper deep;
    std::vector<Stepper*> steppers = {&one, &verify, &streams};
    if (result_.depth > 0) {
      LINNET_ASSIGN(deep, Writing(result_.depth, 1));
      steppers.push_back(&deep);
    }
    std::vector<double> bandwidth;
    for (int64_t i = 0; i <= options_.repeat; ++i) {  // the first one warms up
      Say(0.6 + 0.4 * static_cast<double>(i) / static_cast<double>(options_.repeat + 1), "writing");
      LINNET_ASSIGN(const double rate, Repetition(steppers));
      bandwidth.push_back(rate);
    }
    for (Stepper* stepper : steppers) stepper->seconds.erase(stepper->seconds.begin());
    bandwidth.erase(bandwidth.begin());
    result_.limits.bandwidth_gbs = BestAndMedian(bandwidth).best / 1e9;
    result_.decode_tok_s = BestAndMedian(Rates(one.seconds, 1.0));
    result_.decode_share = BestAndMedian(Ratios(Rates(one.seconds, cost_.bytes), bandwidth));
    result_.verify4_ratio = Median(Ratios(verify.seconds, one.seconds));
    result_.streams8_ratio = kStreams * Median(Ratios(one.seconds, streams.seconds));
    if (result_.depth > 0) {
      result_.depth_tok_s = BestAndMedian(Rates(deep.seconds, 1.0));
      result_.decode_32k_ratio = Median(Ratios(deep.seconds, one.seconds));
    }
    return {};
  }

  // With a session that has read a prompt and then as much as it is made for, before anything else takes
  // memory.
  Status Resident() {
    Say(0.05, "filling a session");
    LINNET_ASSIGN(const std::unique_ptr<Session> session, Open(kResidentContext, options_.prompt));
    LINNET_TRY(
        session->Feed(Ids(std::min(options_.prompt, session->context()), engine_->impl().config.vocab_size)));
    session->impl().cache.FillForTiming(session->context() - 1);
    LINNET_TRY(session->Feed(Ids(1, engine_->impl().config.vocab_size)));
    result_.resident_gb = static_cast<double>(ResidentBytes()) / 1e9;
    return {};
  }

  const BenchOptions& options_;
  const Progress& progress_;
  std::unique_ptr<Engine> engine_;
  BenchResult result_;
  Cost cost_;
  std::unique_ptr<LimitMeter> meter_;
};

}  // namespace

Result<BenchResult> RunBench(const BenchOptions& options, const Progress& progress) {
  return Bench(options, progress).Run();
}

}  // namespace linnet
