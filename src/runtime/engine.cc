#include "linnet/engine.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string>
#include <utility>

#include "base/cpu_info.h"
#include "base/memory_guard.h"
#include "kernels/dispatch.h"
#include "linnet/version.h"
#include "model/chick.h"
#include "model/model_files.h"
#include "runtime/engine_impl.h"
#include "runtime/load_tokenizer.h"
#include "runtime/memory_fit.h"
#include "runtime/prompt.h"

namespace linnet {
namespace {

bool NamesQat(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text.find("qat") != std::string::npos;
}

// Weights trained for their quantisation have an assistant of their own; no field of a file says which, names
// do.
void NoteQatPairing(const ModelFiles& files, Engine::Impl& engine) {
  const bool model = NamesQat(std::filesystem::path(files.path).filename().string() + engine.config.name);
  const bool drafter = NamesQat(std::filesystem::path(files.drafter_path).filename().string() +
                                files.drafter_config->text.name);
  if (model == drafter) return;
  engine.notes.push_back(
      files.drafter_path +
      (drafter ? " is a QAT assistant but the model is not" : " is no QAT assistant but the model is QAT") +
      "; the text stays the same, fewer guesses will be right");
}

constexpr char kAnotherSession[] = "another session", kShorterContext[] = "give it a shorter --context";

// Files that hold packed matrices stay mapped as long as the engine lives.
void KeepPacked(std::unique_ptr<TensorSource>& source, Engine::Impl& engine) {
  if (source != nullptr && std::ranges::any_of(source->tensors(), &TensorInfo::packed)) {
    engine.mapped.push_back(std::move(source));
  }
}

}  // namespace

Status Engine::Impl::CheckFiles() const {
  for (const auto& source : mapped) LINNET_TRY(source->CheckUnchanged());
  return {};
}

Status Engine::Impl::RunStep(Step& step, const std::atomic<bool>* cancel, Probe* probe) {
  Status done = CheckFiles();  // before the call, so that one that was cut meanwhile is not touched
  if (!done) return done;
  const ThreadPool::Lease lease(pool);
  decoder->set_probe(probe);
  done = decoder->Forward(step, cancel);
  if (done) done = CheckFiles();  // after it: nothing comes from bytes that changed during it
  if (!done) step.TakeBack();
  return done;
}

Result<std::shared_ptr<KvPagePool>> Engine::Impl::PoolOf(KvType type) {
  std::shared_ptr<KvPagePool>& pool_of_type = pools[type];
  if (pool_of_type == nullptr) {
    LINNET_ASSIGN(pool_of_type, KvCache::NewPool(config, type, 0));
  }
  return pool_of_type;
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Load(const LoadOptions& options, const Progress& progress) {
  return LoadEngine(options, true, progress);
}

namespace {

// The threads (as LoadOptions::threads) and kernels of an engine. Errors: kInvalidArgument for a number of
// threads or a LINNET_ISA that cannot be.
Result<std::unique_ptr<Engine::Impl>> MakeEngineImpl(int threads) {
  LINNET_ASSIGN(const int count, ThreadCount(threads));
  LINNET_TRY(CheckIsa());
  return std::make_unique<Engine::Impl>(count, Kernels());
}

// An engine around weights that are already there. The tokenizer may be null.
std::unique_ptr<Engine> MakeEngine(std::unique_ptr<Engine::Impl> impl) {
  impl->decoder = std::make_unique<Decoder>(impl->config, impl->weights, impl->context);
  return std::make_unique<Engine>(std::move(impl));
}

// Whether what is asked for fits, before any weight is read.
Status CheckMemory(const LoadOptions& options, const ModelFiles& files, Engine::Impl& engine) {
  const std::string name = options.model.empty() ? "Chick" : options.model;
  LINNET_ASSIGN(Fitted fitted, RequireFit(ToPlan(files, engine.tokenizer.get()), options, name));
  engine.conversations = options.use ? fitted.conversations : 0;
  const bool open = options.use && options.use->session.context == 0;
  if (open && fitted.context > 0) engine.usual_context = fitted.context;
  std::ranges::move(fitted.notes, std::back_inserter(engine.notes));
  // A part stays for what no plan knows; without `use` conversations are among that.
  const uint64_t left = options.use ? fitted.left / 8 * 7 : fitted.left / 2;
  engine.prefixes.SetCap(options.cache_ram == kCacheRamLeft ? std::min<uint64_t>(left, kMostCacheRam)
                                                            : static_cast<uint64_t>(options.cache_ram));
  return {};
}

Result<std::unique_ptr<Engine>> LoadParts(const LoadOptions& options, bool with_tokenizer,
                                          const Progress& progress) {
  if (options.cache_ram < 0 && options.cache_ram != kCacheRamLeft) {
    return Fail(ErrorCode::kInvalidArgument,
                "a store of prefixes of " + std::to_string(options.cache_ram) + " bytes cannot be",
                "give 0 for none, or more");
  }
  LINNET_ASSIGN(ModelFiles files,
                OpenModel(options.model, options.mmproj, options.drafter, options.use_drafter));
  LINNET_ASSIGN(std::unique_ptr<Engine::Impl> impl, MakeEngineImpl(options.threads));
  impl->prompts_json = std::move(files.prompts_json);
  impl->notes = files.not_fetched;
  if (with_tokenizer) {
    LINNET_ASSIGN(impl->tokenizer, LoadTokenizer(files));
  }
  LINNET_TRY(CheckMemory(options, files, *impl));
  impl->config = std::move(files.config);
  LINNET_ASSIGN(impl->weights, LoadWeights(impl->config, *files.text, files.multimodal, impl->pool,
                                           {options.dequantise, progress}));
  impl->fingerprint = FingerprintOf(impl->config, *files.text, files.multimodal, options.dequantise);
  Engine::Impl& loaded = *impl;
  std::unique_ptr<Engine> engine = MakeEngine(std::move(impl));
  if (files.drafter != nullptr) {
    const Status fits = CheckPairing(loaded.config, *files.drafter_config);
    if (!fits && options.drafter.empty()) {  // one that merely lies beside the model need not belong to it
      loaded.notes.push_back(
          files.drafter_path +
          " lies beside the model but is not its assistant, so it is not used: " + fits.error().what);
    } else {
      NoteQatPairing(files, loaded);
      Status added =
          AddDrafter(loaded, *files.drafter_config, *files.drafter, {options.dequantise, progress});
      if (!added) return Prefixed(files.drafter_path, std::move(added.error()));
    }
  }
  for (auto* source : {&files.text, &files.multimodal_file, &files.drafter}) {
    if (*source != nullptr) LINNET_TRY((*source)->CheckUnchanged());
    KeepPacked(*source, loaded);
  }
  if (files.kind == ModelFiles::Kind::kBuiltIn) ForgetChickFiles();
  return engine;
}

}  // namespace

Result<std::unique_ptr<Engine>> LoadEngine(const LoadOptions& options, bool with_tokenizer,
                                           const Progress& progress) {
  return WithinMemory("this model", "use a smaller quantisation, or close other programs",
                      [&] { return LoadParts(options, with_tokenizer, progress); });
}

Status AddDrafter(Engine::Impl& engine, const DrafterConfig& config, const TensorSource& source,
                  const WeightLoading& loading) {
  LINNET_TRY(CheckPairing(engine.config, config));
  engine.drafter_config = config;
  LINNET_ASSIGN(engine.drafter_weights,
                LoadDrafterWeights(engine.drafter_config, source, engine.pool, loading));
  engine.drafter =
      std::make_unique<Drafter>(engine.config, engine.drafter_config, engine.drafter_weights, engine.context);
  return {};
}

Result<std::unique_ptr<Engine>> EngineOf(ModelTensors model, int threads, const Progress& progress) {
  LINNET_ASSIGN(std::unique_ptr<Engine::Impl> impl, MakeEngineImpl(threads));
  impl->config = std::move(model.config);
  LINNET_ASSIGN(impl->weights,
                LoadWeights(impl->config, model.text, model.multimodal, impl->pool, {false, progress}));
  return MakeEngine(std::move(impl));
}

ModelFacts Engine::facts() const {
  const ModelConfig& config = impl_->config;
  return {.name = config.name,
          .type = config.model_type,
          .layers = static_cast<int64_t>(config.layers.size()),
          .width = config.hidden_size,
          .vocabulary = config.vocab_size,
          .context = config.max_position_embeddings,
          .sees = config.vision.present,
          .hears = config.audio.present,
          .watches = config.vision.present && config.tokens.video >= 0,
          .image_tokens = config.vision.present ? config.vision.num_soft_tokens : 0,
          .drafts = impl_->drafter != nullptr,
          .weight_bytes = impl_->weights.bytes.total() + impl_->drafter_weights.bytes.total(),
          .kernels = impl_->context.kernels().name,
          .threads = impl_->pool.threads(),
          .conversations = impl_->conversations};
}

const std::vector<std::string>& Engine::notes() const { return impl_->notes; }

std::vector<int32_t> Engine::Tokenise(std::string_view text) const {
  return impl_->tokenizer->EncodeOrdinary(text);
}

Result<std::vector<int32_t>> Engine::TokeniseMarked(std::string_view text) const {
  return WithinMemory("the tokens of this text", "shorten it", [&]() -> Result<std::vector<int32_t>> {
    LINNET_ASSIGN(Prompt prompt, BuildPlainPrompt(*impl_->tokenizer, impl_->config, text));
    return std::move(prompt.ids);
  });
}

std::string Engine::Text(std::span<const int32_t> ids) const {
  return impl_->tokenizer->Decode({ids.begin(), ids.end()});
}

std::string_view Version() { return LINNET_VERSION; }

KernelFacts DescribeKernels() {
  KernelFacts facts{Kernels().name, {}, CheckIsa()};
  for (const KernelTable* table : SupportedKernels()) facts.supported.emplace_back(table->name);
  return facts;
}

Result<SessionOptions> ResolveSession(const ModelConfig& config, SessionOptions options, int64_t usual) {
  const int64_t longest = config.max_position_embeddings;
  if (options.context < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "a context of " + std::to_string(options.context) + " tokens cannot be",
                "give 1 to " + std::to_string(longest) + ", or 0 for the usual");
  }
  if (options.context == 0) options.context = std::min(longest, usual);
  if (options.context > longest) {
    return Fail(ErrorCode::kInvalidArgument,
                "a context of " + std::to_string(options.context) + " tokens is more than this model's " +
                    std::to_string(longest),
                "ask for at most " + std::to_string(longest));
  }
  options.rows_per_call = std::clamp<int64_t>(options.rows_per_call, 1, options.context);
  return options;
}

Result<KvPageRoom> Engine::Impl::RoomFor(KvType type, int64_t pages) {
  return WithinMemory(kAnotherSession, kShorterContext, [&]() -> Result<KvPageRoom> {
    LINNET_ASSIGN(auto of_type, PoolOf(type));
    return KvPageRoom(std::move(of_type), pages);
  });
}

Result<std::unique_ptr<Session>> Engine::Impl::NewSession(const SessionOptions& options, KvPageRoom room) {
  return WithinMemory(kAnotherSession, kShorterContext, [&]() -> Result<std::unique_ptr<Session>> {
    LINNET_ASSIGN(auto of_type, PoolOf(options.kv));
    LINNET_ASSIGN(KvCache cache,
                  KvCache::Create(config, weights,
                                  {options.kv, options.context, options.rows_per_call, std::move(of_type)}));
    auto session = std::make_unique<Session::Impl>(*this, std::move(cache), std::move(room));
    session->mask_rule = options.mask_rule;
    session->Reserve();
    return std::make_unique<Session>(std::move(session));
  });
}

Result<std::unique_ptr<Session>> Engine::NewSession(const SessionOptions& wanted) {
  LINNET_ASSIGN(const SessionOptions options, ResolveSession(impl_->config, wanted, impl_->usual_context));
  LINNET_ASSIGN(KvPageRoom room, impl_->RoomFor(options.kv, KvCache::PagesOf(options.context)));
  return impl_->NewSession(options, std::move(room));
}

}  // namespace linnet
