// What Engine and Session hold. For the floors above that need more than the public interface: parity,
// benchmarks.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "linnet/engine.h"
#include "linnet/session.h"
#include "model/config.h"
#include "model/decoder.h"
#include "model/drafter.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "ops/context.h"
#include "runtime/draft_depth.h"
#include "runtime/fingerprint.h"
#include "runtime/prefix_store.h"
#include "runtime/prompt.h"
#include "text/tokenizer.h"

namespace linnet {

struct LINNET_HIDDEN Engine::Impl {
  Impl(int threads, const KernelTable& kernels)
      : shared_pool(ThreadPool::Shared(threads)), pool(*shared_pool), context(pool, kernels) {}

  // One call of the decoder. Errors: kCancelled; kBadFile where a file whose matrices are used in place is no
  // longer what it was. The caches are then as Step::TakeBack() leaves them. `probe` may be null.
  Status RunStep(Step& step, const std::atomic<bool>* cancel, Probe* probe);
  Status CheckFiles() const;

  std::shared_ptr<ThreadPool> shared_pool;  // with the other engines that have as many threads
  ThreadPool& pool;
  OpContext context;
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string prompts_json;
  ModelFingerprint fingerprint;  // empty where the weights come from no file
  std::vector<std::string> notes;
  int64_t usual_context = kUsualContext;  // of sessions that ask for none: less where that does not fit
  int64_t conversations = 0;              // that were planned, as far as they fit; 0 = none were
  std::vector<std::unique_ptr<TensorSource>> mapped;  // files whose packed matrices the weights view
  Weights weights;
  std::unique_ptr<Decoder> decoder;
  DrafterConfig drafter_config;
  DrafterWeights drafter_weights;
  std::unique_ptr<Drafter> drafter;  // null where the model has none
  DraftDepth draft_depth;            // what drafting has cost and gained so far

  // The pool that all sessions with this type of cache share. Errors: those of KvCache::NewPool().
  Result<std::shared_ptr<KvPagePool>> PoolOf(KvType type);
  std::map<KvType, std::shared_ptr<KvPagePool>> pools;
  // Room for so many pages of that pool. Error: kOutOfMemory.
  Result<KvPageRoom> RoomFor(KvType type, int64_t pages);
  // A session of resolved options that has so much room of its own; without, others see to it that there is
  // always room for what it holds. Errors: those of Engine::NewSession().
  Result<std::unique_ptr<Session>> NewSession(const SessionOptions& options, KvPageRoom room);
  PrefixStore prefixes;
};

// Engine::Load; without a tokenizer the engine takes token ids only (tokenizer() must not be called).
Result<std::unique_ptr<Engine>> LoadEngine(const LoadOptions& options, bool with_tokenizer,
                                           const Progress& progress = {});

// The options with what they leave open filled in: context, rows of a call. Error: kInvalidArgument.
Result<SessionOptions> ResolveSession(const ModelConfig& config, SessionOptions options,
                                      int64_t usual = kUsualContext);

struct ModelTensors {
  ModelConfig config;
  const TensorSource& text;
  const TensorSource* multimodal = nullptr;
};
// An engine of tensors that need be in no file: synthetic models, generated cases. Without a tokenizer it
// takes token ids only. Errors: kInvalidArgument for a number of threads (as LoadOptions::threads) or a
// LINNET_ISA that cannot be; those of LoadWeights.
Result<std::unique_ptr<Engine>> EngineOf(ModelTensors model, int threads, const Progress& progress = {});

// Gives an engine its drafter. Errors: those of CheckPairing and LoadDrafterWeights.
Status AddDrafter(Engine::Impl& engine, const DrafterConfig& config, const TensorSource& source,
                  const WeightLoading& loading);

struct LINNET_HIDDEN Session::Impl {
  Impl(Engine::Impl& engine_impl, KvCache kv_cache, KvPageRoom page_room = {})
      : engine(engine_impl), room(std::move(page_room)), cache(std::move(kv_cache)) {}

  // Appends rows of its own cache, under its own mask rule. Errors: those of RunStep().
  Status Forward(SequenceRows rows, const std::atomic<bool>* cancel = nullptr);
  // Room for calls of the cache's rows, logits of so many of them wanted. Logits are no longer known where
  // memory must grow. Throws std::bad_alloc.
  void Reserve(int64_t wanted = 1);
  // Session::Feed of a prompt with media. Errors: also kUnsupported, the model lacks the sense.
  Status Feed(const Prompt& prompt, const FeedHooks& hooks = {});
  // The same once it is known to fit.
  Status FeedPrompt(const Prompt& prompt, const FeedHooks& hooks);
  Status FeedIds(std::span<const int32_t> ids, const FeedHooks& hooks);

  Engine::Impl& engine;
  KvPageRoom room;  // what the cache can need of its pool
  KvCache cache;
  MaskRule mask_rule = MaskRule::kA;
  bool all_logits = false;  // compute the logits of every row, for a probe
  Probe* probe = nullptr;   // sees the decoder's and the embedders' intermediates
  Step step;
  std::span<const float> logits;  // of the last token; empty where they are not known
};

}  // namespace linnet
