#include "eval/bench_memory.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/process.h"
#include "base/stopwatch.h"
#include "linnet/session.h"
#include "model/model_files.h"
#include "quant/synthetic.h"
#include "runtime/engine_impl.h"
#include "runtime/memory_fit.h"
#include "runtime/sampler.h"

namespace linnet {
namespace {

constexpr int32_t kAnyToken = 7;
// Markers around the picture.
constexpr int64_t kAround = 2;

// A picture as wide as high, of one grey.
ImageInput GreyPicture(const VisionConfig& vision, int64_t tokens) {
  std::vector<uint8_t> pixels(static_cast<size_t>(tokens * vision.patch_values()), 128);
  std::vector<int32_t> positions;
  int64_t width = 1;
  while (width * width < tokens) ++width;
  for (int64_t i = 0; i < tokens; ++i) {
    positions.push_back(static_cast<int32_t>(i % width));
    positions.push_back(static_cast<int32_t>(i / width));
  }
  return {tokens, std::move(pixels), PixelScale::kProduct, std::move(positions), {}};
}

class MemoryBench {
 public:
  MemoryBench(const MemoryBenchOptions& options, const Progress& progress)
      : options_(options), progress_(progress) {}

  Result<MemoryBenchResult> Run() {
    LINNET_TRY(Load());
    result_.kernels = engine_->impl().context.kernels().name;
    result_.threads = engine_->impl().pool.threads();
    Say(0.3, "filling the cache");
    LINNET_ASSIGN(const std::unique_ptr<Session> session, engine_->NewSession(session_));
    session->impl().cache.FillForTiming(result_.filled);
    LINNET_TRY(ReadPicture(*session));
    LINNET_TRY(Write(*session));
    result_.peak_bytes = PeakResidentBytes();
    return std::move(result_);
  }

 private:
  void Say(double fraction, std::string_view what) {
    if (progress_) progress_(fraction, what);
  }

  Status Load() {
    const uint64_t held = ResidentBytes();
    Status loaded;
    if (options_.synthetic.empty()) {
      const LoadOptions& load = options_.load;
      result_.model = load.model.empty() ? "Chick (built in)" : load.model;
      LINNET_ASSIGN(const ModelFiles files,
                    OpenModel(load.model, load.mmproj, load.drafter, load.use_drafter));
      LINNET_TRY(Plan(ToPlan(files, nullptr), held));
      LINNET_ASSIGN(engine_, LoadEngine(load, false, progress_));
      return {};
    }
    result_.model = "synthetic " + options_.synthetic;
    LINNET_ASSIGN(SyntheticModel model, MakeSynthetic(options_.synthetic, true));
    const TensorSource& source = *model.source;
    LINNET_TRY(Plan({.config = &model.config, .text = &source, .multimodal = &source}, held));
    result_.load_seconds = SecondsOf([&]() {
      auto engine = EngineOf({std::move(model.config), source, &source}, options_.load.threads, progress_);
      if (engine) {
        engine_ = std::move(*engine);
      } else {
        loaded = std::unexpected(engine.error());
      }
    });
    return loaded;
  }

  Status Plan(const PlannedModel& model, uint64_t held) {
    const ModelConfig& config = *model.config;
    const bool sees = model.multimodal != nullptr && config.vision.present;
    result_.image_tokens = sees ? options_.image_tokens : 0;
    result_.tokens = options_.tokens;
    session_.kv = options_.kv;
    session_.context = options_.context == 0 ? config.max_position_embeddings : options_.context;
    LINNET_ASSIGN(session_, ResolveSession(config, session_));
    result_.context = session_.context;
    result_.filled = result_.context - result_.image_tokens - result_.tokens - kAround;
    const int64_t most = config.vision.mm_posemb_size;
    if (result_.filled < 1 || result_.image_tokens < 0 || result_.tokens < 1 ||
        (sees && result_.image_tokens > most)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "a picture of " + std::to_string(result_.image_tokens) + " tokens and " +
                      std::to_string(result_.tokens) + " to write do not fit a context of " +
                      std::to_string(result_.context),
                  "give fewer, or a larger --context");
    }
    LoadOptions load = options_.load;
    load.use = MemoryUse{.session = session_};
    load.use->image_tokens = result_.image_tokens;
    load.use->sound_seconds = 0;
    load.use->knobs = {.drafter = "", .pictures = "--image-tokens N"};
    LINNET_TRY(RequireFit(model, load, result_.model));
    MemoryPlanOptions plan = ToPlan(load);
    plan.process_bytes = held;
    LINNET_ASSIGN(result_.plan, PlanMemory(model, plan));
    return {};
  }

  // A picture between two tokens: the first is what is read where there is none.
  Status ReadPicture(Session& session) {
    Say(0.5, "reading a picture at depth");
    Prompt prompt;
    prompt.ids.assign(static_cast<size_t>(result_.image_tokens + kAround), kAnyToken);
    prompt.types.assign(prompt.ids.size(), TokenType::kText);
    if (result_.image_tokens > 0) {
      std::fill(prompt.types.begin() + 1, prompt.types.end() - 1, TokenType::kImage);
      prompt.images.push_back(GreyPicture(engine_->impl().config.vision, result_.image_tokens));
    }
    Status fed;
    result_.read_seconds = SecondsOf([&] { fed = session.impl().Feed(prompt); });
    return fed;
  }

  Status Write(Session& session) {
    Say(0.9, "writing at depth");
    Status fed;
    result_.write_seconds = SecondsOf([&] {
      for (int64_t t = 0; t < result_.tokens && fed; ++t) {
        const int32_t id = std::max(0, ArgMax(session.logits()));
        fed = session.Feed({&id, 1});
      }
    });
    return fed;
  }

  const MemoryBenchOptions& options_;
  const Progress& progress_;
  SessionOptions session_;
  std::unique_ptr<Engine> engine_;
  MemoryBenchResult result_;
};

}  // namespace

Result<MemoryBenchResult> RunMemoryBench(const MemoryBenchOptions& options, const Progress& progress) {
  return MemoryBench(options, progress).Run();
}

}  // namespace linnet
