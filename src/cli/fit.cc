// linnet fit: what a model takes of this machine's memory, or of another's, and what fits.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/printable.h"
#include "base/process.h"
#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/plan_args.h"
#include "cli/report.h"
#include "media/patches.h"
#include "model/file_format.h"
#include "model/model_files.h"
#include "quant/synthetic.h"
#include "runtime/engine_impl.h"
#include "runtime/load_tokenizer.h"
#include "runtime/memory_fit.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// What a desktop system and its programs hold of a machine that is only planned for.
constexpr char kSystemShare[] = "2G";

struct FitArgs {
  PlanArgs plan;
  std::string synthetic, as, ram;
  std::string system = kSystemShare;
  bool json = false;
  std::set<std::string> given;
};

// The parts of a model, of files or made up, and what they are called.
struct PlannedParts {
  ModelFiles files;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<SyntheticModel> synthetic;
  std::optional<SyntheticDrafter> drafter;
  std::string name;

  PlannedModel planned() const {
    if (!synthetic) return ToPlan(files, tokenizer.get());
    return {.config = &synthetic->config,
            .text = synthetic->source.get(),
            .multimodal = synthetic->source.get(),
            .drafter_config = drafter ? &drafter->config : nullptr,
            .drafter = drafter ? drafter->source.get() : nullptr};
  }
};

// A picture of so many tokens, beside everything else as asked.
struct PictureCost {
  int64_t tokens = 0;
  uint64_t bytes = 0;
};
// The columns of what fits.
constexpr std::array kCacheTypes = {KvType::kBf16, KvType::kInt8, KvType::kF32};
struct FormatRow {
  std::string name;  // "q4_0"; empty: of the file as it is
  uint64_t weights = 0;
  MemoryFit fit;
  std::array<int64_t, kCacheTypes.size()> largest = {};  // context, by kCacheTypes
};

struct FitAnswer {
  std::string name, of;
  std::vector<MemoryLimit> limits;
  MemoryFit fit;
  uint64_t available = 0;  // to a process that holds nothing yet, by the tightest limit
  std::vector<PictureCost> pictures;
  std::vector<FormatRow> rows;  // the first is the model as it is
  std::vector<std::string> notes;
};

Result<std::vector<MemoryLimit>> LimitsOf(const FitArgs& args) {
  if (!args.given.contains("--ram")) return MemoryLimits();
  LINNET_ASSIGN(const uint64_t ram, BytesIn("--ram", args.ram));
  LINNET_ASSIGN(const uint64_t share, BytesIn("--system", args.system));
  if (share > ram) {
    const bool given = args.given.contains("--system");
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("--ram is {}, less than its system and other programs hold, {} ({})",
                            HumanBytes(ram), HumanBytes(share), given ? "--system" : "assumed"),
                given ? "give more, or a smaller --system"
                      : "give more, as 16G, or say what they hold with --system");
  }
  return std::vector<MemoryLimit>{
      {MemoryLimit::Kind::kAsked,
       fmt::format("a machine with {}, of which its system and other programs hold {}{}", HumanBytes(ram),
                   HumanBytes(share), args.given.contains("--system") ? "" : " (assumed: --system)"),
       ram, ram - share}};
}

Result<PlannedParts> OpenParts(const FitArgs& args, bool drafts) {
  PlannedParts opened;
  if (args.given.contains("--synthetic")) {
    LINNET_ASSIGN(opened.synthetic, MakeSynthetic(args.synthetic, true));
    if (drafts) {
      LINNET_ASSIGN(opened.drafter, MakeSyntheticDrafter(args.synthetic));
    }
    opened.name = "synthetic " + args.synthetic;
    return opened;
  }
  const ModelArgs& model = args.plan.model;
  LINNET_ASSIGN(opened.files, OpenModel(model.model, model.mmproj, model.drafter, drafts));
  LINNET_ASSIGN(opened.tokenizer, LoadTokenizer(opened.files));
  opened.name = model.model.empty() ? "Chick (built in)" : model.model;
  return opened;
}

Result<std::vector<PictureCost>> PicturesOf(FitRequest request) {
  std::vector<PictureCost> costs;
  if (request.model.multimodal == nullptr || !request.model.config->vision.present) return costs;
  request.options.picture_tokens = 0;
  LINNET_ASSIGN(const MemoryPlan none, PlanMemory(request.model, request.options));
  for (const int64_t budget : kImageBudgets) {
    request.options.picture_tokens = budget;
    LINNET_ASSIGN(const MemoryPlan plan, PlanMemory(request.model, request.options));
    costs.push_back({budget, plan.total() - none.total()});
  }
  return costs;
}

Result<FormatRow> RowOf(std::string name, FitRequest request) {
  FormatRow row{.name = std::move(name), .weights = request.model.weights->total()};
  LINNET_ASSIGN(row.fit, FitPlan(request));
  for (size_t i = 0; i < kCacheTypes.size(); ++i) {
    request.options.session.kv = kCacheTypes[i];
    row.largest[i] = LargestContext(request).value_or(0);  // none: its heads do not fit this type
  }
  return row;
}

Result<std::vector<FormatRow>> RowsOf(const FitArgs& args, const FitRequest& request) {
  std::vector<FormatRow> rows;
  LINNET_ASSIGN(rows.emplace_back(), RowOf("", request));
  for (const FileFormat& format : FileFormats()) {
    if (!args.as.empty() && format.name != args.as) continue;
    const OtherFormat other = InFormat(request.model, format);
    FitRequest changed = request;
    changed.model = other.model;
    changed.options.dequantise = false;
    LINNET_ASSIGN(rows.emplace_back(), RowOf(std::string(format.name), std::move(changed)));
  }
  return rows;
}

Result<FitAnswer> MakeFitAnswer(const FitArgs& args) {
  FitAnswer answer;
  LINNET_ASSIGN(const int32_t drafts, DraftsOf(args.plan.model));
  FitRequest request;
  LINNET_ASSIGN(request.options, ToPlanOptions(args.plan));
  request.options.process_bytes = ResidentBytes();
  LINNET_ASSIGN(const PlannedParts opened, OpenParts(args, drafts != 0));
  request.model = opened.planned();
  request.model.weights = WeightsOf(request.model, request.options.dequantise);
  LINNET_ASSIGN(request.limits, LimitsOf(args));
  if (args.given.contains("--ram")) {  // where nothing is held yet
    const uint64_t tokenizer = opened.tokenizer ? opened.tokenizer->bytes() : 0;
    uint64_t& available = request.limits[0].available;
    available -= std::min(available, request.options.process_bytes + tokenizer);
  }
  request.knobs.pictures = "--image-tokens N";
  request.knobs.conversations = args.plan.conversations > 1 ? "--conversations N" : "";
  request.knobs.over_plan = "";
  LINNET_ASSIGN(answer.fit, FitPlan(request));
  answer.limits = request.limits;
  if (!answer.fit.fits()) answer.fit.remedies = FindRemedies(request);
  LINNET_ASSIGN(answer.fit.largest_context, LargestContext(request));
  LINNET_ASSIGN(answer.pictures, PicturesOf(request));
  LINNET_ASSIGN(answer.rows, RowsOf(args, request));
  LINNET_ASSIGN(answer.of, PlanOf(args.plan, answer.fit.context));
  answer.name = opened.name;
  if (opened.synthetic)
    answer.notes.emplace_back("made-up weights have no tokenizer: that of the 12B is not counted");
  return answer;
}

std::string SignedBytes(int64_t bytes) {
  return bytes < 0 ? "-" + HumanBytes(static_cast<uint64_t>(-bytes))
                   : HumanBytes(static_cast<uint64_t>(bytes));
}

std::string ContextText(int64_t context) { return context == 0 ? "none" : std::to_string(context); }

void PrintPlan(const FitAnswer& answer) {
  const MemoryFit& fit = answer.fit;
  for (const MemoryLimit& limit : answer.limits) {
    Write(fmt::format("{:<10}{}: {}, {} available\n", "limit", Printable(limit.name), HumanBytes(limit.bytes),
                      HumanBytes(limit.available)));
  }
  if (answer.limits.empty()) Write("limit     none that this system tells of\n");
  Write(fmt::format("{:<10}{}: {}\n", "model", Printable(answer.name), answer.of));
  for (const MemoryLine& line : fit.plan.lines) {
    Write(fmt::format("  {:<36}{:>12}{}\n", line.name, HumanBytes(line.bytes),
                      line.held ? "  (held now)" : ""));
  }
  Write(fmt::format("  {:<36}{:>12}\n", "all", HumanBytes(fit.plan.total())));
  if (!fit.tightest.name.empty()) {
    Write(fmt::format("  {:<36}{:>12}  {}\n", "headroom", SignedBytes(fit.headroom),
                      fit.fits() ? "it fits" : "it does not fit: " + Printable(fit.tightest.name)));
  }
  for (const MemoryRemedy& remedy : fit.remedies) {
    Write(fmt::format("  {:<36}{:>12}  makes it fit\n", remedy.change, "-" + HumanBytes(remedy.saves)));
  }
  if (answer.pictures.empty()) return;
  Write("one picture, with the room it takes while it is read:\n");
  for (const PictureCost& cost : answer.pictures) {
    Write(fmt::format("  {:>4} tokens {:>12}\n", cost.tokens, HumanBytes(cost.bytes)));
  }
}

void PrintText(const FitAnswer& answer) {
  PrintPlan(answer);
  Write(fmt::format("the largest context, by format and cache:\n  {:<14}{:>12}{:>12}{:>12}", "", "weights",
                    "all", "headroom"));
  for (const KvType type : kCacheTypes) Write(fmt::format("{:>9}", NameOf(type)));
  Write("\n");
  for (const FormatRow& row : answer.rows) {
    Write(fmt::format("  {:<14}{:>12}{:>12}{:>12}", row.name.empty() ? "as it is" : "as " + row.name,
                      HumanBytes(row.weights), HumanBytes(row.fit.plan.total()),
                      row.fit.tightest.name.empty() ? "" : SignedBytes(row.fit.headroom)));
    for (const int64_t context : row.largest) Write(fmt::format("{:>9}", ContextText(context)));
    Write("\n");
  }
  for (const std::string& note : answer.notes) Write("note: " + note + "\n");
}

Json AsJson(const MemoryLimit& limit) {
  return {{"name", limit.name}, {"bytes", limit.bytes}, {"available", limit.available}};
}

void PrintJson(const FitAnswer& answer) {
  Json lines = Json::array(), limits = Json::array(), pictures = Json::array(), formats = Json::array(),
       remedies = Json::array();
  const MemoryFit& fit = answer.fit;
  for (const MemoryLine& line : fit.plan.lines) {
    lines.push_back(
        {{"name", line.name}, {"bytes", line.bytes}, {"mapped", line.mapped}, {"held", line.held}});
  }
  for (const MemoryLimit& limit : answer.limits) limits.push_back(AsJson(limit));
  for (const PictureCost& cost : answer.pictures) {
    pictures.push_back({{"tokens", cost.tokens}, {"bytes", cost.bytes}});
  }
  for (const MemoryRemedy& remedy : fit.remedies) {
    remedies.push_back({{"change", remedy.change}, {"saves", remedy.saves}});
  }
  for (const FormatRow& row : answer.rows) {
    Json largest;
    for (size_t i = 0; i < kCacheTypes.size(); ++i) largest[NameOf(kCacheTypes[i])] = row.largest[i];
    formats.push_back({{"format", row.name.empty() ? Json() : Json(row.name)},
                       {"weights", row.weights},
                       {"bytes", row.fit.plan.total()},
                       {"fits", row.fit.fits()},
                       {"headroom", row.fit.headroom},
                       {"largest_context", largest}});
  }
  const Json json = {{"model", answer.name},
                     {"of", answer.of},
                     {"context", fit.context},
                     {"limits", limits},
                     {"bytes", fit.plan.total()},
                     {"lines", lines},
                     {"addresses", fit.plan.Needed(MemoryLimit::Kind::kAddressSpace)},
                     {"fits", fit.fits()},
                     {"tightest", fit.tightest.name.empty() ? Json() : AsJson(fit.tightest)},
                     {"headroom", fit.tightest.name.empty() ? Json() : Json(fit.headroom)},
                     {"largest_context", fit.largest_context},
                     {"remedies", remedies},
                     {"pictures", pictures},
                     {"formats", formats},
                     {"notes", answer.notes}};
  Write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<int> Run(const FitArgs& args) {
  const bool synthetic = args.given.contains("--synthetic");
  LINNET_TRY(CheckUseful(args.given,
                         {{{"--system"}, args.given.contains("--ram"), "is for --ram"},
                          {{"--model", "--mmproj", "--drafter"}, !synthetic, "is not for --synthetic"}}));
  if (synthetic && !args.plan.model.model.empty()) {
    return Fail(ErrorCode::kInvalidArgument, args.plan.model.model + " and --synthetic are given",
                "plan one of them");
  }
  if (args.given.contains("--as") && !FileFormatOf(args.as)) {
    std::vector<std::string_view> names;
    for (const FileFormat& format : FileFormats()) names.push_back(format.name);
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--as is '{}'", args.as),
                fmt::format("give one of {}", fmt::join(names, ", ")));
  }
  LINNET_ASSIGN(const FitAnswer answer, MakeFitAnswer(args));
  args.json ? PrintJson(answer) : PrintText(answer);
  return kExitDone;
}

}  // namespace

Command FitCommand() {
  return {
      "fit", "say what a model takes of memory and how long a context fits, before anything is loaded",
      [](Args& args) {
        auto values = std::make_shared<FitArgs>();
        args.Given(values->given);
        DeclarePlan(args, values->plan);
        args.Option("--synthetic", values->synthetic,
                    "instead of a model, made-up weights of an exact shape, as 'linnet bench' takes them");
        args.Option("--as", values->as, "beside the file, this format only; default: every format");
        args.Option("--ram", values->ram, "plan for another machine, of 16G (or 16Gi), instead of this one");
        args.Option("--system", values->system,
                    fmt::format("with --ram: what its system and other programs hold, assumed to be {}",
                                kSystemShare));
        args.Flag("--json", values->json, "one JSON object");
        args.Footer(
            "Examples:\n  linnet fit gemma-4-12b-it-q4_0.gguf\n"
            "  linnet fit gemma-4-12b-it-q4_0.gguf --context 65536 --kv int8 --image-tokens 1120\n"
            "  linnet fit --synthetic 12b:q4_0 --ram 16G\n  linnet fit ~/models/gemma-4-12B-it --as q4_0\n");
        return [values] { return Run(*values); };
      }};
}

}  // namespace linnet
