#include "runtime/memory_plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/cpu_info.h"
#include "base/memory_guard.h"
#include "media/audio.h"
#include "model/decoder.h"
#include "model/drafter.h"
#include "model/embedders.h"
#include "model/kv_cache.h"
#include "model/step.h"
#include "model/weights.h"
#include "runtime/engine_impl.h"
#include "runtime/load_tokenizer.h"
#include "runtime/media_input.h"
#include "runtime/prompt_reader.h"
#include "runtime/sampler.h"
#include "runtime/scheduler.h"
#include "runtime/soft_rows.h"

namespace linnet {
namespace {

// Address space that no buffer declares: huge pages that buffers begin at, areas of the allocator.
constexpr uint64_t kAddresses = uint64_t{16} << 20;

class Planner {
 public:
  Planner(const PlannedModel& model, const MemoryPlanOptions& options, const SessionOptions& session,
          int threads)
      : model_(model), config_(*model.config), options_(options), session_(session), threads_(threads) {
    const bool sees = model.multimodal != nullptr && config_.vision.present;
    const bool hears = model.multimodal != nullptr && config_.audio.present;
    if (sees) {
      picture_ = options.picture_tokens < 0 ? config_.vision.num_soft_tokens : options.picture_tokens;
    }
    if (hears) {
      sound_ = FrameCount(options.sound_seconds * config_.audio.sampling_rate, config_.audio.frame_samples);
    }
  }

  Result<MemoryPlan> Plan() {
    AddHeld("program", options_.process_bytes);
    if (model_.tokenizer != nullptr) AddHeld("tokenizer", model_.tokenizer->bytes());
    AddWeights("weights", model_.weights ? *model_.weights : WeightsOf(model_, options_.dequantise));
    if (model_.drafter != nullptr) {
      AddWeights("drafter's weights",
                 PlannedWeights(*model_.drafter_config, *model_.drafter, options_.dequantise));
    }
    if (!options_.weights_alone) {
      LINNET_TRY(AddCaches());
      AddWork();
      AddMedia();
      Add("what was read before (--cache-ram)", options_.cache_ram);
    }
    for (const MemoryLine& line : options_.others) {
      if (line.bytes > 0) plan_.lines.push_back(line);
    }
    return std::move(plan_);
  }

 private:
  void Add(std::string name, uint64_t bytes, bool mapped = false) {
    if (bytes > 0) plan_.lines.push_back({std::move(name), bytes, mapped});
  }
  void AddHeld(std::string name, uint64_t bytes) {
    if (bytes > 0) plan_.lines.push_back({.name = std::move(name), .bytes = bytes, .held = true});
  }

  void AddWeights(const std::string& name, const WeightBytes& bytes) {
    Add(name, bytes.own);
    Add(name + ", in their file", bytes.mapped, true);
  }

  Status AddCaches() {
    KvCacheOptions cache{session_.kv, session_.context, session_.rows_per_call};
    LINNET_ASSIGN(const KvCache::Bytes each, KvCache::PlannedBytes(config_, cache, picture_));
    Add("keys and values of sliding layers", sessions() * each.rings);
    if (options_.tokens == 0) {
      Add("keys and values of full layers", sessions() * each.pages);
      return {};
    }
    cache.context = std::clamp(options_.tokens, session_.context, options_.sessions * session_.context);
    LINNET_ASSIGN(const KvCache::Bytes all, KvCache::PlannedBytes(config_, cache, picture_));
    Add("keys and values of full layers", all.pages);
    return {};
  }

  void AddWork() {
    const int64_t call = std::max(session_.rows_per_call, picture_);
    StepSize step{call, WantedRows(1)};
    uint64_t logits = 0;
    if (options_.sessions > 1) {
      step = LargestStep({.turns = options_.sessions}, std::max<int64_t>(picture_, 1));
      logits = static_cast<uint64_t>(options_.sessions) * Step::PlannedBytes(config_, call, 1);
    }
    logits += Step::PlannedBytes(config_, step.rows, step.wanted);
    OpShape ops = Decoder::PlannedOps(config_, step.rows);
    uint64_t work = Decoder::PlannedBytes(config_, step.rows);
    if (model_.drafter != nullptr) {
      ops = Union(ops, Drafter::PlannedOps(config_, *model_.drafter_config));
      work += Drafter::PlannedBytes(config_, *model_.drafter_config);
    }
    if (picture_ > 0) ops = Union(ops, PlannedOps(config_.vision, picture_));
    if (sound_ > 0) ops = Union(ops, PlannedOps(config_.audio, sound_));
    Add("working memory", work);
    const uint64_t scratch = OpContext::PlannedBytes(ops, threads_);
    Add("scratch of threads", scratch);
    plan_.addresses = kAddresses + scratch;  // which lies twice for a moment when it grows
    Add("logits", logits);
    Add("tables of the sampler", sessions() * Sampler::PlannedBytes(config_.vocab_size));
    Add("the prompt", sessions() * PromptReader::PlannedBytes(session_.context) +
                          SoftBytes(std::min(call, session_.context)));
  }

  // The soft tokens of a piece of a prompt, of one conversation at a time.
  uint64_t SoftBytes(int64_t rows) const {
    return picture_ + sound_ == 0 ? 0 : static_cast<uint64_t>(rows * config_.hidden_size) * sizeof(float);
  }
  uint64_t sessions() const { return static_cast<uint64_t>(options_.sessions); }

  // What a medium holds in its conversation, and what it takes while it is read.
  void AddMedia() {
    const int64_t width = config_.hidden_size;
    if (picture_ > 0) {
      Add("a picture of " + std::to_string(picture_) + " tokens",
          sessions() * ImageInput::Bytes(config_.vision, picture_) +
              BytesOf(ImageWorkspace(), config_.vision, picture_) +
              BytesOf(MediumBuffers(), picture_, config_.vision.patch_values(), width));
    }
    if (sound_ > 0) {
      Add(std::to_string(options_.sound_seconds) + " s of sound",
          sessions() * AudioInput::Bytes(config_.audio, options_.sound_seconds) +
              BytesOf(MediumBuffers(), sound_, config_.audio.frame_samples, width));
    }
  }

  const PlannedModel& model_;
  const ModelConfig& config_;
  const MemoryPlanOptions& options_;
  const SessionOptions& session_;
  int threads_;
  int64_t picture_ = 0, sound_ = 0;  // tokens
  MemoryPlan plan_;
};

Status CheckCount(const char* what, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return {};
  return Fail(ErrorCode::kInvalidArgument, std::string(what) + " is " + std::to_string(value),
              "give " + std::to_string(least) + " to " + std::to_string(most));
}

// What is left takes from nobody.
uint64_t CacheRam(const LoadOptions& load) {
  return static_cast<uint64_t>(std::max<int64_t>(load.cache_ram, 0));
}

}  // namespace

WeightBytes WeightsOf(const PlannedModel& model, bool dequantise) {
  return PlannedWeights(*model.config, *model.text, model.multimodal, dequantise);
}

PlannedModel ToPlan(const ModelFiles& files, const Tokenizer* tokenizer) {
  PlannedModel model{.config = &files.config,
                     .text = files.text.get(),
                     .multimodal = files.multimodal,
                     .tokenizer = tokenizer};
  if (files.drafter != nullptr && CheckPairing(files.config, *files.drafter_config)) {
    model.drafter = files.drafter.get();
    model.drafter_config = &*files.drafter_config;
  }
  return model;
}

MemoryPlanOptions ToPlan(const LoadOptions& load) {
  const MemoryUse use = load.use.value_or(MemoryUse{});
  return {.session = use.session,
          .usual_context = use.usual_context,
          .sessions = use.conversations,
          .tokens = use.tokens,
          .threads = load.threads,
          .dequantise = load.dequantise,
          .picture_tokens = use.image_tokens,
          .sound_seconds = use.sound_seconds,
          .others = use.others,
          .weights_alone = !load.use,
          .cache_ram = CacheRam(load)};
}

Result<MemoryPlan> PlanMemory(const PlannedModel& model, const MemoryPlanOptions& options) {
  constexpr int64_t kMost = 1 << 16;
  LINNET_TRY(CheckCount("the number of conversations", options.sessions, 1, kMost));
  LINNET_TRY(CheckCount("the number of tokens of a picture", options.picture_tokens, -1, kMost));
  LINNET_TRY(CheckCount("the number of seconds of sound", options.sound_seconds, 0, kMost));
  LINNET_ASSIGN(const SessionOptions session,
                ResolveSession(*model.config, options.session, options.usual_context));
  LINNET_ASSIGN(const int threads, ThreadCount(options.threads));
  return Planner(model, options, session, threads).Plan();
}

Result<MemoryPlan> PlanMemory(const LoadOptions& load, const SessionOptions& session, int64_t conversations) {
  return WithinMemory("opening this model", "close other programs", [&]() -> Result<MemoryPlan> {
    LINNET_ASSIGN(const ModelFiles files, OpenModel(load.model, load.mmproj, load.drafter, load.use_drafter));
    LINNET_ASSIGN(const std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(files));
    return PlanMemory(ToPlan(files, tokenizer.get()), {.session = session,
                                                       .sessions = conversations,
                                                       .threads = load.threads,
                                                       .dequantise = load.dequantise,
                                                       .cache_ram = CacheRam(load)});
  });
}

}  // namespace linnet
