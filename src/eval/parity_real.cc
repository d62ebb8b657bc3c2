// The cases of real/cases.json: logits of a real, quantised checkpoint, which is given with --model. Weights
// dequantised to float32 are compared with the reference; then the quantised kernels with those weights.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "eval/case_recorder.h"
#include "eval/golden_file.h"
#include "eval/golden_inputs.h"
#include "eval/invariants.h"
#include "eval/parity.h"
#include "eval/perplexity.h"
#include "eval/scoring.h"
#include "io/json.h"
#include "model/config.h"
#include "runtime/engine_impl.h"
#include "runtime/sha256.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr Tolerance kLogits = {0, 1e-3};
constexpr float kDecided = 0.05f;   // a smaller distance between the two best logits decides nothing
constexpr double kKlBound = 2e-3;   // mean divergence of the quantised kernels from float32 weights
constexpr double kNllBound = 0.01;  // change of the mean negative log likelihood

std::string Text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// Why the cases cannot be run with this model; empty if they can.
std::string WhyNot(const fs::path& model, const Json& index) {
  const std::string wanted = Text(index, "sha256");
  if (model.empty())
    return fmt::format("needs --model {} (docs/quality.md says where it is)", Text(index, "model"));
  std::error_code ignored;
  if (!fs::is_regular_file(model, ignored)) return fmt::format("{} is not a file", model.string());
  const auto file = MappedFile::Open(model);
  if (!file) return file.error().Message();
  const std::string found = Sha256Hex(file->bytes());
  if (found == wanted) return "";
  return fmt::format("the SHA-256 of {} begins with {}, that of the reference's file with {}", model.string(),
                     found.substr(0, 12), wanted.substr(0, 12));
}

// What the reference stores of the logits of every position.
struct Measured {
  std::vector<float> top_logits, log_sums, nll, last;
};

// Feeds all ids and keeps of every row what the reference kept.
Result<Measured> Measure(ScoringSession& session, std::span<const int32_t> ids,
                         std::span<const int32_t> top_ids) {
  Measured measured;
  const size_t count = top_ids.size() / ids.size();
  for (size_t begin = 0; begin < ids.size(); begin += ScoringSession::kRows) {
    const size_t rows = std::min<size_t>(ScoringSession::kRows, ids.size() - begin);
    LINNET_ASSIGN(const Rows logits, session.Feed(ids.subspan(begin, rows)));
    for (size_t t = begin; t < begin + rows; ++t) {
      const std::span<const float> row{logits.row(static_cast<int64_t>(t - begin)),
                                       static_cast<size_t>(logits.width)};
      for (const int32_t id : top_ids.subspan(t * count, count)) {
        measured.top_logits.push_back(row[static_cast<size_t>(id)]);
      }
      const double log_sum = LogSumExp(row);
      measured.log_sums.push_back(static_cast<float>(log_sum));
      if (t + 1 < ids.size())
        measured.nll.push_back(static_cast<float>(log_sum - row[static_cast<size_t>(ids[t + 1])]));
      if (t + 1 == ids.size()) measured.last.assign(row.begin(), row.end());
    }
  }
  return measured;
}

// The greedy continuation up to the first step that the reference itself hardly decides.
Result<ProbeResult> CompareGreedy(Session& session, const GoldenTensor& expected, const GoldenTensor& gaps) {
  GoldenTensor decided;
  decided.integer = true;
  std::vector<int32_t> found;
  for (size_t step = 0; step < expected.integers.size() && gaps.values[step] >= kDecided; ++step) {
    found.push_back(Argmax(session.logits()));
    decided.integers.push_back(expected.integers[step]);
    LINNET_TRY(session.Feed(std::span<const int32_t>(&expected.integers[step], 1)));
  }
  ProbeResult result = CompareIntegers("out.greedy_ids", found, decided);
  if (result.note.empty())
    result.note = fmt::format("{} of {} steps are decided", found.size(), expected.elements());
  return result;
}

std::vector<int32_t> TextIds(const Engine& engine, const std::string& text) {
  std::vector<int32_t> ids = engine.impl().tokenizer->Encode(text);
  ids.insert(ids.begin(), engine.impl().config.tokens.bos);
  return ids;
}

Result<std::vector<ProbeResult>> RunCase(const fs::path& file, const std::string& text, Engine& engine) {
  LINNET_ASSIGN(const GoldenFile golden, ReadGolden(file));
  const int64_t vocabulary = engine.impl().config.vocab_size;
  LINNET_ASSIGN(const GoldenTensor* ids, NeedIntegers(golden, "in.input_ids", -1, vocabulary));
  const int64_t tokens = ids->elements();
  LINNET_ASSIGN(const GoldenTensor* top_ids, NeedIntegers(golden, "out.top_ids", -1, vocabulary));
  if (top_ids->elements() % tokens != 0) return Fail(ErrorCode::kBadFile, "out.top_ids has no whole rows");
  std::vector<ProbeResult> probes = {CompareIntegers("in.input_ids", TextIds(engine, text), *ids)};

  const int64_t steps = golden.contains("out.greedy_ids") ? golden.at("out.greedy_ids").elements() : 0;
  LINNET_ASSIGN(ScoringSession session, ScoringSession::Open(engine, tokens + steps));
  LINNET_ASSIGN(const Measured measured, Measure(session, ids->integers, top_ids->integers));
  const std::pair<const char*, const std::vector<float>*> outputs[] = {
      {"out.top_logits", &measured.top_logits},
      {"out.logsumexp", &measured.log_sums},
      {"out.nll", &measured.nll},
      {"out.logits.last", &measured.last}};
  for (const auto& [name, found] : outputs) {
    if (golden.contains(name)) probes.push_back(Compare(name, *found, golden.at(name), kLogits));
  }
  if (steps > 0) {
    LINNET_ASSIGN(const GoldenTensor* greedy, NeedIntegers(golden, "out.greedy_ids", steps, vocabulary));
    LINNET_ASSIGN(const GoldenTensor* gaps, NeedFloats(golden, "out.greedy_gaps", steps));
    LINNET_ASSIGN(ProbeResult probe, CompareGreedy(session.session(), *greedy, *gaps));
    probes.push_back(std::move(probe));
  }
  return probes;
}

ProbeResult Bounded(std::string name, double deviation, double bound) {
  return {std::move(name), deviation, bound, deviation <= bound,
          deviation <= bound ? "" : "is beyond its bound"};
}

// The model in both forms, each read when a case wants it.
class RealModel {
 public:
  explicit RealModel(const ParityOptions& options) : options_(options) {}

  Result<Engine*> Exact() { return Get(exact_, true, options_.threads); }
  Result<Engine*> Quantised() { return Get(quantised_, false, options_.threads); }
  Result<Engine*> OneThread() { return Get(one_thread_, false, 1); }

 private:
  Result<Engine*> Get(std::unique_ptr<Engine>& engine, bool dequantise, int threads) {
    if (engine == nullptr) {
      LoadOptions load;
      load.model = options_.model.string();
      load.over_plan = options_.over_plan;
      load.threads = threads;
      load.dequantise = dequantise;
      LINNET_ASSIGN(engine, Engine::Load(load));
    }
    return engine.get();
  }

  const ParityOptions& options_;
  std::unique_ptr<Engine> exact_, quantised_, one_thread_;
};

Result<std::vector<ProbeResult>> RunKernels(const std::vector<std::string>& texts, RealModel& model,
                                            std::string& note) {
  LINNET_ASSIGN(Engine * exact, model.Exact());
  LINNET_ASSIGN(Engine * quantised, model.Quantised());
  std::vector<TokenText> tokens;
  for (const std::string& text : texts) tokens.push_back({"real", quantised->impl().tokenizer->Encode(text)});
  LINNET_ASSIGN(const PerplexityResult result, MeasurePerplexity(*quantised, exact, tokens, {}));
  const ModelComparison& comparison = *result.total.comparison;
  note =
      fmt::format("{} tokens, KL mean {:.2g}, 99 % {:.2g}, max {:.2g}; top-1 {:.2f} %; nll {:.5f} for {:.5f}",
                  result.total.tokens, comparison.kl_mean, comparison.kl_99, comparison.kl_max,
                  100 * comparison.top1, result.total.mean_nll, comparison.reference_nll);
  return std::vector<ProbeResult>{
      Bounded("mean KL divergence", comparison.kl_mean, kKlBound),
      Bounded("change of mean nll", std::fabs(result.total.mean_nll - comparison.reference_nll), kNllBound)};
}

Result<std::vector<ProbeResult>> RunInvariants(const std::vector<std::string>& texts, RealModel& model) {
  LINNET_ASSIGN(Engine * quantised, model.Quantised());
  LINNET_ASSIGN(Engine * one_thread, model.OneThread());
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& text : texts) ids.push_back(TextIds(*quantised, text));
  return CheckInvariants(*quantised, *one_thread, ids);
}

void Send(const CaseSink& sink, const std::string& name, Result<std::vector<ProbeResult>> probes,
          const std::string& note = "") {
  CaseResult result;
  result.name = name;
  if (probes) {
    Conclude(result, std::move(*probes));
    if (!note.empty()) result.note += (result.note.empty() ? "" : "; ") + note;
  } else {
    result.state = CaseState::kFail;
    result.note = probes.error().Message();
  }
  sink(result);
}

Result<Json> ReadIndex(const fs::path& path) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  LINNET_ASSIGN(Json index, ParseJson(file.bytes(), path.string()));
  const bool whole =
      index.is_object() && index.contains("cases") && index["cases"].is_array() &&
      std::all_of(index["cases"].begin(), index["cases"].end(), [](const Json& c) { return c.is_object(); });
  if (!whole)
    return Fail(ErrorCode::kBadFile, path.string() + ": has no list of objects named \"cases\"",
                "see docs/parity.md");
  return index;
}

}  // namespace

bool IsRealModel(const fs::path& root, const fs::path& model) {
  const auto index = ReadIndex(root / "real" / "cases.json");
  return index && !model.empty() && WhyNot(model, *index).empty();
}

Status RunRealCases(const fs::path& root, const ParityOptions& options, const CaseSink& sink) {
  const fs::path path = root / "real" / "cases.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  LINNET_ASSIGN(const Json index, ReadIndex(path));
  std::vector<std::string> texts;
  std::vector<std::pair<std::string, const Json*>> wanted;  // by name; nullptr = of the whole model
  for (const Json& entry : index["cases"]) {
    texts.push_back(Text(entry, "text"));
    wanted.emplace_back("real/" + Text(entry, "name"), &entry);
  }
  wanted.emplace_back("real/kernels", nullptr);
  wanted.emplace_back("real/invariants", nullptr);
  std::erase_if(wanted, [&](const auto& item) { return !Wanted(options, item.first); });
  if (wanted.empty()) return {};
  if (const std::string why = WhyNot(options.model, index); !why.empty()) {
    for (const auto& [name, entry] : wanted) SkipCase(sink, options, name, why);
    return {};
  }
  RealModel model(options);
  for (const auto& [name, entry] : wanted) {
    std::string note;
    if (entry != nullptr) {
      const auto exact = model.Exact();
      if (!exact) return std::unexpected(exact.error());
      const fs::path file =
          root / "real" / (fs::path(Text(*entry, "name")).filename().string() + ".safetensors");
      auto probes = RunCase(file, Text(*entry, "text"), **exact);
      if (!probes && !probes.error().what.starts_with(root.string())) {
        probes = Prefixed(file.string(), probes.error());
      }
      Send(sink, name, std::move(probes));
    } else if (name == "real/kernels") {
      auto probes = RunKernels(texts, model, note);
      Send(sink, name, std::move(probes), note);
    } else {
      Send(sink, name, RunInvariants(texts, model));
    }
  }
  return {};
}

}  // namespace linnet
