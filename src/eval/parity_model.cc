// The cases of model/cases.json: tensors of the reference implementation, probe by probe.
#include <algorithm>
#include <cstring>
#include <map>

#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "eval/case_recorder.h"
#include "eval/golden_file.h"
#include "eval/golden_inputs.h"
#include "eval/parity.h"
#include "eval/parity_drafter.h"
#include "eval/parity_large.h"
#include "io/json.h"
#include "linnet/session.h"
#include "model/embedders.h"
#include "ops/rope.h"
#include "runtime/engine_impl.h"
#include "runtime/media_input.h"

namespace linnet {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Keeps every intermediate of a run; the rows of several calls are joined.
class Recorder : public Probe {
 public:
  void See(std::string_view name, int64_t layer, Rows rows) override {
    const std::string key = (layer < 0 ? "" : "layer" + std::to_string(layer) + ".") + std::string(name);
    std::vector<float>& values = values_[key];
    for (int64_t r = 0; r < rows.rows; ++r)
      values.insert(values.end(), rows.row(r), rows.row(r) + rows.width);
  }
  void Clear() { values_.clear(); }
  const std::vector<float>* Find(const std::string& name) const {
    const auto it = values_.find(name);
    return it == values_.end() ? nullptr : &it->second;
  }

 private:
  std::map<std::string, std::vector<float>> values_;
};

// A field of an untrusted JSON object, or the fallback where it is absent or of another type.
std::string Text(const Json& object, const char* key, std::string fallback) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : fallback;
}

double Number(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number() ? it->get<double>() : 0.0;
}

struct Case {
  std::string name;
  Tolerance tolerance;
  GoldenFile golden;
  Engine* engine = nullptr;

  const GoldenTensor* Find(const std::string& tensor) const {
    const auto it = golden.find(tensor);
    return it == golden.end() ? nullptr : &it->second;
  }
  const ModelConfig& config() const { return engine->impl().config; }
};

ImageInput ImageOf(const GoldenTensor& patches, const GoldenTensor& positions) {
  return {.rows = patches.shape.empty() ? 0 : patches.shape[0],
          .pixels = {},
          .positions = positions.integers,
          .patches = patches.values};
}

// The images or frames `in.KIND0`, `in.KIND1`, … of a case.
std::vector<ImageInput> Pictures(const Case& c, const std::string& kind) {
  std::vector<ImageInput> pictures;
  for (int i = 0;; ++i) {
    const std::string prefix = "in." + kind + std::to_string(i);
    const GoldenTensor* patches = c.Find(prefix + ".patches");
    const GoldenTensor* positions = c.Find(prefix + ".positions");
    if (patches == nullptr || positions == nullptr) return pictures;
    pictures.push_back(ImageOf(*patches, *positions));
  }
}

std::vector<AudioInput> Clips(const Case& c) {
  std::vector<AudioInput> clips;
  for (int i = 0;; ++i) {
    const GoldenTensor* samples = c.Find("in.clip" + std::to_string(i) + ".samples");
    if (samples == nullptr) return clips;
    clips.push_back({samples->values});
  }
}

// Ids, types and media as the session takes them: pictures and frames in the order of their runs. REQUIRES:
// CheckInputs.
Prompt PromptOf(const Case& c) {
  Prompt prompt;
  prompt.ids = c.Find("in.input_ids")->integers;
  prompt.types.assign(prompt.ids.size(), TokenType::kText);
  if (const GoldenTensor* types = c.Find("in.mm_token_type_ids")) {
    for (size_t t = 0; t < prompt.types.size(); ++t) {
      prompt.types[t] = static_cast<TokenType>(types->integers[t]);
    }
  }
  std::vector<ImageInput> images = Pictures(c, "image"), frames = Pictures(c, "frame");
  size_t image = 0, frame = 0;
  for (size_t t = 0; t < prompt.types.size();) {
    const TokenType type = prompt.types[t];
    std::vector<ImageInput>* pictures = type == TokenType::kImage ? &images : &frames;
    size_t& next = type == TokenType::kImage ? image : frame;
    if ((type == TokenType::kImage || type == TokenType::kVideo) && next < pictures->size()) {
      t += static_cast<size_t>((*pictures)[next].rows);
      prompt.images.push_back((*pictures)[next++]);
    } else {
      ++t;
    }
  }
  prompt.clips = Clips(c);
  return prompt;
}

Result<std::unique_ptr<Session>> NewSession(const Case& c, MaskRule rule, Recorder& recorder,
                                            int64_t tokens) {
  SessionOptions options;
  options.kv = KvType::kF32;
  options.context = std::min<int64_t>(c.config().max_position_embeddings, tokens + 64);
  options.mask_rule = rule;
  if (const GoldenTensor* chunk = c.Find("in.chunk")) options.rows_per_call = chunk->integers.at(0);
  LINNET_ASSIGN(std::unique_ptr<Session> session, c.engine->NewSession(options));
  session->impl().probe = &recorder;
  session->impl().all_logits = true;
  return session;
}

// Rotary tables of length E: the angles of all E/2 pairs twice, 1 and 0 where a pair does not rotate.
std::vector<float> RopeReference(const Case& c, LayerKind kind, bool cosine, int64_t tokens) {
  const auto plan = std::ranges::find(c.config().layers, kind, &LayerPlan::kind);
  if (plan == c.config().layers.end()) return {};
  const int64_t pairs = plan->rope.rotated_pairs, dim = plan->head_dim;
  std::vector<int64_t> positions(static_cast<size_t>(tokens));
  for (int64_t t = 0; t < tokens; ++t) positions[static_cast<size_t>(t)] = t;
  std::vector<float> cos(static_cast<size_t>(tokens * pairs)), sin(cos.size());
  FillRopeTable(InverseFrequencies(plan->rope.theta, plan->rope.linear_factor, dim, pairs), positions,
                MakeRows(cos.data(), tokens, pairs), MakeRows(sin.data(), tokens, pairs));
  std::vector<float> table(static_cast<size_t>(tokens * dim), cosine ? 1.0f : 0.0f);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < 2 * pairs; ++i) {
      const int64_t place = i < pairs ? i : dim / 2 + i - pairs;
      table[static_cast<size_t>(t * dim + place)] =
          (cosine ? cos : sin)[static_cast<size_t>(t * pairs + i % pairs)];
    }
  }
  return table;
}

// Compares every stored result under `prefix` ("out.", "out.A.") with what the recorder saw.
void CompareRecorded(const Case& c, const std::string& prefix, const Recorder& recorder, int64_t tokens,
                     std::vector<ProbeResult>& probes) {
  for (const auto& [name, expected] : c.golden) {
    if (!name.starts_with(prefix)) continue;
    const std::string key = name.substr(prefix.size());
    if (prefix == "out." && (key.starts_with("A.") || key.starts_with("B."))) continue;
    if (key.starts_with("rope.")) {
      const LayerKind kind = key.starts_with("rope.sliding") ? LayerKind::kSliding : LayerKind::kFull;
      probes.push_back(
          Compare(name, RopeReference(c, kind, key.ends_with("cos"), tokens), expected, c.tolerance));
      continue;
    }
    const std::vector<float>* found = recorder.Find(key);
    if (found == nullptr) {
      probes.push_back({name, 0, 0, false, "Linnet has no intermediate of this name"});
    } else {
      probes.push_back(Compare(name, *found, expected, c.tolerance));
    }
  }
}

bool HasRule(const Case& c, const std::string& rule) {
  return std::any_of(c.golden.begin(), c.golden.end(),
                     [&](const auto& item) { return item.first.starts_with("out." + rule + "."); });
}

Result<std::vector<ProbeResult>> RunForward(const Case& c) {
  std::vector<ProbeResult> probes;
  const Prompt prompt = PromptOf(c);
  const int64_t tokens = static_cast<int64_t>(prompt.ids.size());
  const bool ruled = HasRule(c, "A") || HasRule(c, "B");
  for (const MaskRule rule : {MaskRule::kA, MaskRule::kB}) {
    const std::string letter = rule == MaskRule::kA ? "A" : "B";
    if (ruled ? !HasRule(c, letter) : rule == MaskRule::kB) continue;
    Recorder recorder;
    LINNET_ASSIGN(const std::unique_ptr<Session> session, NewSession(c, rule, recorder, tokens));
    LINNET_TRY(session->impl().Feed(prompt));
    CompareRecorded(c, ruled ? "out." + letter + "." : "out.", recorder, tokens, probes);
  }
  return probes;
}

Result<std::vector<ProbeResult>> RunGreedy(const Case& c) {
  const GoldenTensor& tokens = *c.Find("out.tokens");
  const std::vector<int32_t> suppressed = c.Find("in.suppress_tokens") != nullptr
                                              ? c.Find("in.suppress_tokens")->integers
                                              : c.config().tokens.suppressed;
  const Prompt prompt = PromptOf(c);
  const int64_t steps = tokens.elements();
  Recorder recorder;
  LINNET_ASSIGN(const std::unique_ptr<Session> session,
                NewSession(c, MaskRule::kA, recorder, static_cast<int64_t>(prompt.ids.size()) + steps));
  LINNET_TRY(session->impl().Feed(prompt));
  std::vector<int32_t> chosen;
  std::vector<float> logits;
  const size_t width = static_cast<size_t>(c.config().vocab_size);
  for (int64_t step = 0; step < steps; ++step) {
    const std::vector<float>& seen = *recorder.Find("logits");  // before suppression
    std::vector<float> row(seen.end() - static_cast<std::ptrdiff_t>(width), seen.end());
    logits.insert(logits.end(), row.begin(), row.end());
    for (const int32_t id : suppressed) {
      if (id >= 0 && id < c.config().vocab_size) row[static_cast<size_t>(id)] = -INFINITY;
    }
    chosen.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    recorder.Clear();
    if (step + 1 < steps) {
      LINNET_TRY(session->Feed(std::span<const int32_t>(&chosen.back(), 1)));
    }
  }
  std::vector<ProbeResult> probes{CompareIntegers("out.tokens", chosen, tokens)};
  if (const GoldenTensor* expected = c.Find("out.logits")) {
    probes.push_back(Compare("out.logits", logits, *expected, c.tolerance));
  }
  return probes;
}

void ComparePrefixed(const Case& c, const std::string& prefix, const Recorder& recorder,
                     std::vector<ProbeResult>& probes) {
  if (std::any_of(c.golden.begin(), c.golden.end(),
                  [&](const auto& i) { return i.first.starts_with(prefix); })) {
    CompareRecorded(c, prefix, recorder, 0, probes);
  }
}

// The embedders alone: `imageI.*`, `clipI.*`, and for a video all frames' rows as one `soft`.
Result<std::vector<ProbeResult>> RunSoft(const Case& c) {
  std::vector<ProbeResult> probes;
  Engine::Impl& engine = c.engine->impl();
  const int64_t width = engine.config.hidden_size;
  std::vector<float> soft, video;
  const auto embed = [&](const ImageInput& image, Probe* probe) {
    soft.assign(static_cast<size_t>(image.rows * width), 0.0f);
    const int64_t each = engine.config.vision.patch_values();
    std::vector<float> values(static_cast<size_t>(image.rows * each));
    PatchValues(image, values);
    EmbedImage(engine.context, {engine.config.vision, engine.weights.vision},
               {MakeRows(values.data(), image.rows, each), image.positions},
               MakeRows(soft.data(), image.rows, width), probe);
  };
  const std::vector<ImageInput> images = Pictures(c, "image");
  for (size_t i = 0; i < images.size(); ++i) {
    Recorder recorder;
    embed(images[i], &recorder);
    ComparePrefixed(c, "out.image" + std::to_string(i) + ".", recorder, probes);
  }
  for (const ImageInput& frame : Pictures(c, "frame")) {
    embed(frame, nullptr);
    video.insert(video.end(), soft.begin(), soft.end());
  }
  if (const GoldenTensor* expected = c.Find("out.soft"))
    probes.push_back(Compare("out.soft", video, *expected, c.tolerance));
  const std::vector<AudioInput> clips = Clips(c);
  for (size_t i = 0; i < clips.size(); ++i) {
    Recorder recorder;
    const int64_t samples = engine.config.audio.frame_samples;
    const int64_t rows = (static_cast<int64_t>(clips[i].samples.size()) + samples - 1) / samples;
    std::vector<float> frames(static_cast<size_t>(rows * samples));
    soft.assign(static_cast<size_t>(rows * width), 0.0f);
    FrameSamples(clips[i].samples, MakeRows(frames.data(), rows, samples));
    EmbedAudio(engine.context, {engine.config.audio, engine.weights.audio},
               MakeRows(frames.data(), rows, samples), MakeRows(soft.data(), rows, width), &recorder);
    ComparePrefixed(c, "out.clip" + std::to_string(i) + ".", recorder, probes);
  }
  return probes;
}

Result<std::vector<ProbeResult>> RunCase(const Case& c) {
  if (c.Find("in.input_ids") == nullptr) return RunSoft(c);
  if (c.Find("out.tokens") != nullptr) return RunGreedy(c);
  return RunForward(c);
}

// Engines by directory: most cases share one.
class Engines {
 public:
  explicit Engines(const ParityOptions& options) : options_(options) {}

  // `drafter` may be empty.
  Result<Engine*> Get(const fs::path& directory, const fs::path& drafter) {
    const std::string model = options_.model.empty() ? directory.string() : options_.model.string();
    const std::string key = model + '\n' + drafter.string();
    auto it = engines_.find(key);
    if (it == engines_.end()) {
      LoadOptions load;
      load.model = model;
      load.over_plan = options_.over_plan;
      load.drafter = drafter.string();
      load.threads = options_.threads;
      load.dequantise = true;
      LINNET_ASSIGN(std::unique_ptr<Engine> engine, LoadEngine(load, false));
      // The reference computes in float32, also with weights that are stored as bf16.
      engine->impl().config.embed_scale_bf16 = false;
      it = engines_.emplace(key, std::move(engine)).first;
    }
    return it->second.get();
  }

 private:
  const ParityOptions& options_;
  std::map<std::string, std::unique_ptr<Engine>> engines_;
};

CaseResult RunEntry(const fs::path& root, const Json& entry, Engines& engines) {
  CaseResult result;
  const std::string name = Text(entry, "name", "");
  result.name = "model/" + name;
  if (name.starts_with("grad-")) {
    result.note = "gradients: this version does not train";
    return result;
  }
  const fs::path file = root / "model" / Text(entry, "file", name + ".safetensors");
  const auto run = [&]() -> Result<std::vector<ProbeResult>> {
    Case c{name, {Number(entry, "rtol"), Number(entry, "atol")}, {}, nullptr};
    LINNET_ASSIGN(c.golden, ReadGolden(file));
    const std::string model = Text(entry, "model", "target");
    if (name.starts_with("drafter-")) {  // the case names the drafter
      LINNET_ASSIGN(c.engine, engines.Get(root / "model" / "target", root / "model" / model));
      LINNET_TRY(CheckInputs(c.golden, c.config()));
      return RunDrafterCase(*c.engine, c.golden, name.ends_with("-reference"), c.tolerance);
    }
    LINNET_ASSIGN(c.engine, engines.Get(root / "model" / model, {}));
    LINNET_TRY(CheckInputs(c.golden, c.config()));
    return RunCase(c);
  };
  Result<std::vector<ProbeResult>> probes = run();
  if (!probes) {
    result.state = CaseState::kFail;
    result.note = probes.error().Message();
    if (!result.note.starts_with(root.string())) result.note = file.string() + ": " + result.note;
    return result;
  }
  Conclude(result, std::move(*probes));
  return result;
}

}  // namespace

Status RunModelCases(const fs::path& root, const ParityOptions& options, const CaseSink& sink) {
  const fs::path index = root / "model" / "cases.json";
  if (fs::exists(index)) {
    LINNET_ASSIGN(const MappedFile file, MappedFile::Open(index));
    LINNET_ASSIGN(const Json cases, ParseJson(file.bytes(), index.string()));
    if (!cases.is_object() || !cases.contains("cases") || !cases["cases"].is_array()) {
      return Fail(ErrorCode::kBadFile, index.string() + ": has no list named \"cases\"",
                  "see docs/parity.md");
    }
    Engines engines(options);
    for (const Json& entry : cases["cases"]) {
      if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string()) {
        return Fail(ErrorCode::kBadFile, index.string() + ": a case without a \"name\"",
                    "see docs/parity.md");
      }
      if (!Wanted(options, "model/" + Text(entry, "name", ""))) continue;
      sink(RunEntry(root, entry, engines));
    }
  }
  return RunLargeCase(root, options, sink);
}

}  // namespace linnet
