#include "eval/parity_drafter.h"

#include <algorithm>
#include <memory>
#include <string>

#include "eval/golden_inputs.h"
#include "linnet/session.h"
#include "runtime/engine_impl.h"
#include "runtime/sampler.h"

namespace linnet {
namespace {

class DrafterCase {
 public:
  DrafterCase(Engine& engine, const GoldenFile& golden, Tolerance tolerance)
      : engine_(engine.impl()), public_engine_(engine), golden_(golden), tolerance_(tolerance) {}

  Result<std::vector<ProbeResult>> Run(bool reference_window) {
    const int64_t vocabulary = engine_.config.vocab_size;
    LINNET_ASSIGN(const GoldenTensor* ids, NeedIntegers(golden_, "in.input_ids", -1, vocabulary));
    LINNET_ASSIGN(const GoldenTensor* bonus, NeedIntegers(golden_, "in.bonus", 1, vocabulary));
    prompt_ = ids->integers;
    const int64_t tokens = ids->elements();
    LINNET_ASSIGN(const GoldenTensor* position, NeedIntegers(golden_, "in.position", 1, tokens + 1));
    if (position->integers[0] != tokens) {
      return Fail(ErrorCode::kBadFile, "the tensor in.position holds " +
                                           std::to_string(position->integers[0]) + ", but the prompt has " +
                                           std::to_string(tokens) + " tokens");
    }
    LINNET_TRY(CheckTarget());
    KvStore sliding, full;
    SharedKeys keys;
    keys.position = tokens;
    keys.sliding = &sliding;
    keys.full = &full;
    keys.full_keys = {0, keys.position - 1};
    LINNET_TRY(Fill("sliding", LayerKind::kSliding, sliding));
    LINNET_TRY(Fill("full", LayerKind::kFull, full));
    const int64_t window = LastPlan(LayerKind::kSliding).window;
    const int64_t first = keys.position - window + (reference_window ? -1 : 1);
    keys.sliding_keys = {std::max<int64_t>(0, first), keys.position - 1};
    LINNET_TRY(Draft(bonus->integers[0], keys));
    return std::move(probes_);
  }

 private:
  Result<const GoldenTensor*> Floats(const std::string& name, int64_t elements) const {
    return NeedFloats(golden_, name, elements);
  }

  // The first layer where there is none of the kind.
  int64_t LastLayer(LayerKind kind) const { return std::max<int64_t>(0, engine_.config.LastLayer(kind)); }
  const LayerPlan& LastPlan(LayerKind kind) const {
    return engine_.config.layers[static_cast<size_t>(LastLayer(kind))];
  }

  // `in.h` and `in.kv.*` are results of the target: they are compared before they are used.
  Status CheckTarget() {
    SessionOptions options;
    options.kv = KvType::kF32;
    options.context =
        std::min<int64_t>(engine_.config.max_position_embeddings, static_cast<int64_t>(prompt_.size()) + 64);
    LINNET_ASSIGN(const std::unique_ptr<Session> session, public_engine_.NewSession(options));
    LINNET_TRY(session->Feed(prompt_));
    const Rows hidden = session->impl().step.hidden(0);
    LINNET_ASSIGN(const GoldenTensor* h, Floats("in.h", hidden.width));
    probes_.push_back(
        Compare("in.h", {hidden.row(hidden.rows - 1), static_cast<size_t>(hidden.width)}, *h, tolerance_));
    for (const LayerKind kind : {LayerKind::kSliding, LayerKind::kFull}) {
      const KvStore& store = session->impl().cache.layer(LastLayer(kind));
      const size_t width = static_cast<size_t>(store.head_dim());
      std::vector<float> keys, values, key(width), value(width);
      for (int64_t p = 0; p < static_cast<int64_t>(prompt_.size()); ++p) {
        for (int64_t head = 0; head < store.kv_heads(); ++head) {
          store.Read(p, head, key.data(), value.data());
          keys.insert(keys.end(), key.begin(), key.end());
          values.insert(values.end(), value.begin(), value.end());
        }
      }
      const std::string name = kind == LayerKind::kSliding ? "in.kv.sliding" : "in.kv.full";
      LINNET_ASSIGN(const GoldenTensor* k, Floats(name + ".k", -1));
      LINNET_ASSIGN(const GoldenTensor* v, Floats(name + ".v", -1));
      probes_.push_back(Compare(name + ".k", keys, *k, tolerance_));
      probes_.push_back(Compare(name + ".v", values, *v, tolerance_));
    }
    return {};
  }

  Status Fill(const std::string& name, LayerKind kind, KvStore& store) const {
    const LayerPlan& plan = LastPlan(kind);
    const int64_t tokens = static_cast<int64_t>(prompt_.size()), width = plan.kv_heads * plan.head_dim;
    LINNET_ASSIGN(const GoldenTensor* keys, Floats("in.kv." + name + ".k", tokens * width));
    LINNET_ASSIGN(const GoldenTensor* values, Floats("in.kv." + name + ".v", tokens * width));
    store = KvStore(KvType::kF32, plan.kv_heads, plan.head_dim, tokens);
    for (int64_t p = 0; p < tokens; ++p) {
      store.Write(p, keys->values.data() + p * width, values->values.data() + p * width);
    }
    return {};
  }

  Status Draft(int32_t token, const SharedKeys& keys) {
    Drafter& drafter = *engine_.drafter;
    LINNET_ASSIGN(const GoldenTensor* expected,
                  NeedIntegers(golden_, "out.tokens", -1, engine_.config.vocab_size));
    LINNET_ASSIGN(const GoldenTensor* h, Floats("in.h", engine_.config.hidden_size));
    std::copy(h->values.begin(), h->values.end(), drafter.hidden().begin());
    std::vector<int32_t> tokens;
    std::vector<float> embeddings, logits, hidden;
    for (size_t step = 0; step < expected->integers.size(); ++step) {
      engine_.decoder->Embed(token, drafter.embedding());
      embeddings.insert(embeddings.end(), drafter.embedding().begin(), drafter.embedding().end());
      const std::span<const float> row = drafter.Step(keys);
      logits.insert(logits.end(), row.begin(), row.end());
      hidden.insert(hidden.end(), drafter.hidden().begin(), drafter.hidden().end());
      token = ArgMax(row);
      if (token < 0) return Fail(ErrorCode::kInternal, "the drafter computes no usable number");
      tokens.push_back(token);
    }
    probes_.push_back(CompareIntegers("out.tokens", tokens, *expected));
    const std::pair<const char*, const std::vector<float>*> results[] = {
        {"out.e", &embeddings}, {"out.logits", &logits}, {"out.last_hidden_state", &hidden}};
    for (const auto& [name, found] : results) {
      LINNET_ASSIGN(const GoldenTensor* tensor, Floats(name, -1));
      probes_.push_back(Compare(name, *found, *tensor, tolerance_));
    }
    return {};
  }

  Engine::Impl& engine_;
  Engine& public_engine_;
  const GoldenFile& golden_;
  Tolerance tolerance_;
  std::vector<int32_t> prompt_;
  std::vector<ProbeResult> probes_;
};

}  // namespace

Result<std::vector<ProbeResult>> RunDrafterCase(Engine& engine, const GoldenFile& golden,
                                                bool reference_window, Tolerance tolerance) {
  if (engine.impl().drafter == nullptr) return Fail(ErrorCode::kInternal, "the engine has no drafter");
  return DrafterCase(engine, golden, tolerance).Run(reference_window);
}

}  // namespace linnet
