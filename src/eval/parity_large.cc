#include "eval/parity_large.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "eval/case_recorder.h"
#include "eval/golden_file.h"
#include "eval/golden_inputs.h"
#include "io/json.h"
#include "linnet/session.h"
#include "model/config_files.h"
#include "quant/synthetic.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int64_t kHead = 8;  // hashed values that are stored

// Keeps chosen rows of chosen intermediates: the whole run would be gigabytes. Rows count over all calls.
class RowRecorder : public Probe {
 public:
  void Want(const std::string& name, std::vector<int64_t> rows) { wanted_[name] = std::move(rows); }

  void See(std::string_view name, int64_t layer, Rows rows) override {
    const std::string key = name == "out" ? "layer" + std::to_string(layer) : std::string(name);
    int64_t& seen = seen_[key];
    for (const int64_t row : wanted_[key]) {
      if (row < seen || row >= seen + rows.rows) continue;
      std::vector<float>& values = values_[key];
      values.insert(values.end(), rows.row(row - seen), rows.row(row - seen) + rows.width);
    }
    seen += rows.rows;
  }

  const std::vector<float>& Values(const std::string& key) { return values_[key]; }

 private:
  std::map<std::string, std::vector<int64_t>> wanted_;
  std::map<std::string, int64_t> seen_;
  std::map<std::string, std::vector<float>> values_;
};

Result<std::unique_ptr<Engine>> MakeLargeEngine(const ModelConfig& config, const ParityOptions& options) {
  const std::unique_ptr<TensorSource> source = HashedWeights(config);
  return EngineOf({config, *source, source.get()}, options.threads);
}

// Everything that the file gives to the model, before there is one: making it takes a while.
Status CheckLarge(const GoldenFile& golden, const ModelConfig& config) {
  LINNET_ASSIGN(const GoldenTensor* ids, NeedIntegers(golden, "in.mixed.input_ids", -1, config.vocab_size));
  LINNET_TRY(NeedIntegers(golden, "in.mixed.mm_token_type_ids", ids->elements(), 4));
  LINNET_ASSIGN(const GoldenTensor* positions,
                NeedIntegers(golden, "in.mixed.positions", -1, config.vision.mm_posemb_size));
  LINNET_TRY(NeedIntegers(golden, "in.mixed.positions", positions->elements() / 2 * 2,
                          config.vision.mm_posemb_size));
  LINNET_TRY(NeedFloats(golden, "in.patches.head", kHead));
  LINNET_TRY(NeedFloats(golden, "in.samples.head", kHead));
  if (golden.contains("in.long.input_ids")) {
    LINNET_TRY(NeedIntegers(golden, "in.long.input_ids", -1, config.vocab_size));
  }
  if (config.vision.present && config.audio.present && config.vision.patch_values() >= kHead) return {};
  return Fail(ErrorCode::kBadFile, "the config in large.json is not of a model that sees and hears");
}

// The picture and the sound of the mixed prompt are hashed as well; their first values are stored.
Prompt MixedPrompt(const GoldenFile& golden, const ModelConfig& config, std::vector<ProbeResult>& probes) {
  Prompt prompt;
  prompt.ids = golden.at("in.mixed.input_ids").integers;
  for (const int32_t type : golden.at("in.mixed.mm_token_type_ids").integers) {
    prompt.types.push_back(static_cast<TokenType>(type));
  }
  ImageInput image;
  image.positions = golden.at("in.mixed.positions").integers;
  image.rows = static_cast<int64_t>(image.positions.size()) / 2;
  std::vector<float> patches(static_cast<size_t>(image.rows * config.vision.patch_values())), samples(1280);
  HashedValues("in.patches", 0, 0.5f, 0.5f, patches);
  HashedValues("in.samples", 0, 0.0f, 0.25f, samples);
  probes.push_back(
      Compare("in.patches.head", std::span(patches).first(kHead), golden.at("in.patches.head"), {}));
  probes.push_back(
      Compare("in.samples.head", std::span(samples).first(kHead), golden.at("in.samples.head"), {}));
  image.patches = std::move(patches);
  prompt.images.push_back(std::move(image));
  prompt.clips.push_back({std::move(samples)});
  return prompt;
}

void CompareAll(const GoldenFile& golden, const std::string& prefix, RowRecorder& recorder,
                Tolerance tolerance, std::vector<ProbeResult>& probes) {
  for (const auto& [name, expected] : golden) {
    if (!name.starts_with(prefix)) continue;
    probes.push_back(Compare(name, recorder.Values(name.substr(prefix.size())), expected, tolerance));
  }
}

Result<std::unique_ptr<Session>> OpenSession(Engine& engine, MaskRule rule, Probe& probe) {
  SessionOptions options;
  options.kv = KvType::kF32;
  options.context = 1280;
  options.mask_rule = rule;
  LINNET_ASSIGN(std::unique_ptr<Session> session, engine.NewSession(options));
  session->impl().probe = &probe;
  session->impl().all_logits = true;
  return session;
}

Status RunMixed(Engine& engine, const GoldenFile& golden, Tolerance tolerance,
                std::vector<ProbeResult>& probes) {
  const Prompt prompt = MixedPrompt(golden, engine.impl().config, probes);
  const int64_t tokens = static_cast<int64_t>(prompt.ids.size());
  const auto image = std::find(prompt.types.begin(), prompt.types.end(), TokenType::kImage);
  for (const MaskRule rule : {MaskRule::kA, MaskRule::kB}) {
    RowRecorder recorder;
    for (const char* name : {"layer0", "layer1", "final_norm"}) {
      recorder.Want(name, {image - prompt.types.begin(), tokens - 1});
    }
    recorder.Want("logits", {tokens - 3, tokens - 2, tokens - 1});
    recorder.Want("soft", {5, 7});  // the picture's six rows, then the clip's two
    LINNET_ASSIGN(const std::unique_ptr<Session> session, OpenSession(engine, rule, recorder));
    LINNET_TRY(session->impl().Feed(prompt));
    CompareAll(golden, rule == MaskRule::kA ? "out.mixed.A." : "out.mixed.B.", recorder, tolerance, probes);
    const std::span<const float> soft = recorder.Values("soft");
    const size_t width = static_cast<size_t>(engine.impl().config.hidden_size);
    if (rule == MaskRule::kB || soft.size() != 2 * width) continue;
    if (golden.contains("out.mixed.soft_image_row5")) {
      probes.push_back(Compare("out.mixed.soft_image_row5", soft.first(width),
                               golden.at("out.mixed.soft_image_row5"), tolerance));
    }
    if (golden.contains("out.mixed.soft_audio_row1")) {
      probes.push_back(Compare("out.mixed.soft_audio_row1", soft.last(width),
                               golden.at("out.mixed.soft_audio_row1"), tolerance));
    }
  }
  return {};
}

Status RunLong(Engine& engine, const GoldenFile& golden, Tolerance tolerance,
               std::vector<ProbeResult>& probes) {
  if (!golden.contains("in.long.input_ids")) return {};
  const std::vector<int32_t>& ids = golden.at("in.long.input_ids").integers;
  const int64_t last = static_cast<int64_t>(ids.size()) - 1;
  RowRecorder recorder;
  recorder.Want("layer0", {last});
  recorder.Want("final_norm", {last});
  recorder.Want("logits", {last - 2, last - 1, last});
  LINNET_ASSIGN(const std::unique_ptr<Session> session, OpenSession(engine, MaskRule::kA, recorder));
  LINNET_TRY(session->Feed(ids));
  CompareAll(golden, "out.long.", recorder, tolerance, probes);
  return {};
}

Result<std::vector<ProbeResult>> Run(const fs::path& root, const ParityOptions& options) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(root / "model" / "large.json"));
  LINNET_ASSIGN(const Json description, ParseJson(file.bytes(), "large.json"));
  if (!description.is_object()) return Fail(ErrorCode::kBadFile, "large.json: is not an object");
  Tolerance tolerance;
  if (const auto it = description.find("rtol"); it != description.end() && it->is_number())
    tolerance.rtol = *it;
  if (const auto it = description.find("atol"); it != description.end() && it->is_number())
    tolerance.atol = *it;
  const fs::path path = root / "model" / "large.safetensors";
  LINNET_ASSIGN(const GoldenFile golden, ReadGolden(path));
  const auto described = description.find("config");
  if (described == description.end()) return Fail(ErrorCode::kBadFile, "large.json: has no config");
  LINNET_ASSIGN(const ModelConfig config, ConfigFromJson({described->dump(), "", ""}));
  if (Status inputs = CheckLarge(golden, config); !inputs) return Prefixed(path.string(), inputs.error());
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, MakeLargeEngine(config, options));
  std::vector<ProbeResult> probes;
  LINNET_TRY(RunMixed(*engine, golden, tolerance, probes));
  LINNET_TRY(RunLong(*engine, golden, tolerance, probes));
  return probes;
}

}  // namespace

Status RunLargeCase(const fs::path& root, const ParityOptions& options, const CaseSink& sink) {
  CaseResult result;
  result.name = "model/large";
  if (!fs::exists(root / "model" / "large.json") || !Wanted(options, result.name)) return {};
  Result<std::vector<ProbeResult>> probes = Run(root, options);
  if (probes) {
    Conclude(result, std::move(*probes));
  } else {
    result.state = CaseState::kFail;
    result.note = probes.error().Message();
  }
  sink(result);
  return {};
}

}  // namespace linnet
