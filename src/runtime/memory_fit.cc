#include "runtime/memory_fit.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "base/memory_limits.h"
#include "base/printable.h"
#include "media/patches.h"
#include "model/generated_source.h"
#include "runtime/engine_impl.h"
#include "runtime/load_tokenizer.h"

namespace linnet {
namespace {

constexpr int64_t kContextStep = 256;
// Nobody is told to do with less.
constexpr int64_t kShortestTold = 1024;
constexpr size_t kMostRemedies = 3;
// A line of a plan that is a smaller part of it is not named in a message.
constexpr uint64_t kWorthNaming = 50;

bool Fits(const FitRequest& request) {
  const Result<MemoryFit> fit = FitPlan(request);
  return fit && fit->fits();
}

// The largest of the values 1..most for which `fits`, which holds for smaller ones too; 0 = none.
template <typename Predicate>
int64_t LargestThat(int64_t most, const Predicate& fits) {
  int64_t least = 0;
  while (least < most) {
    const int64_t middle = least + (most - least + 1) / 2;
    fits(middle) ? least = middle : most = middle - 1;
  }
  return least;
}

// Leaves as many of the conversations as fit, at least one fewer and never none; false where not even one
// fits.
bool TakeFewerConversations(FitRequest& request) {
  int64_t& sessions = request.options.sessions;
  const int64_t fit = LargestThat(sessions - 1, [&](int64_t count) {
    sessions = count;
    return Fits(request);
  });
  sessions = std::max<int64_t>(1, fit);
  return fit > 0;
}

// What can be changed, cheapest first: a set of them is a number whose bits they are.
enum Change : unsigned {
  kChangeStore = 1,
  kChangeDrafter = 2,
  kChangeCache = 4,  // the cache in int8
  kChangePictures = 8,
  kChangeConversations = 16,
  kChangeContext = 32,
  kChangeFormat = 64,
  kAllChanges = 128
};
constexpr unsigned kChangeAmounts = kChangePictures | kChangeConversations | kChangeContext | kChangeFormat;

std::string Named(const std::string& knob, int64_t value) {
  const size_t place = knob.rfind('N');
  return place == knob.npos ? knob : knob.substr(0, place) + std::to_string(value) + knob.substr(place + 1);
}

// One set of changes, tried on a request. All but the last of those that have an amount are made as small as
// can be, the last as large as fits.
class Trial {
 public:
  Trial(const FitRequest& request, unsigned changes) : now_(request), changes_(changes) {}

  std::optional<MemoryRemedy> Run(uint64_t needed) {
    for (const unsigned change : {kChangeStore, kChangeDrafter, kChangeCache, kChangePictures,
                                  kChangeConversations, kChangeContext, kChangeFormat}) {
      if ((changes_ & change) == 0) continue;
      const bool last = change > (changes_ & kChangeAmounts & ~change);
      if (!Make(change, last)) return std::nullopt;
    }
    const Result<MemoryFit> fit = FitPlan(now_);
    if (!fit || !fit->fits()) return std::nullopt;
    const uint64_t then = fit->plan.Needed(MemoryLimit::Kind::kMachine);
    return MemoryRemedy{std::move(said_), needed > then ? needed - then : 0};
  }

 private:
  // False where there is nothing to change.
  bool Make(unsigned change, bool last) {
    switch (change) {
      case kChangeStore:  // asked for in bytes; otherwise it takes what is left
        if (now_.options.cache_ram == 0) return false;
        now_.options.cache_ram = 0;
        return Say("--cache-ram auto");
      case kChangeDrafter:
        if (now_.model.drafter == nullptr || !Say(now_.knobs.drafter)) return false;
        now_.model.drafter = nullptr;
        return true;
      case kChangeCache:
        if (now_.options.weights_alone || now_.options.session.kv == KvType::kInt8) return false;
        now_.options.session.kv = KvType::kInt8;
        return Say(now_.knobs.kv);
      case kChangePictures:
        return SmallerPictures(last);
      case kChangeConversations:
        return FewerConversations(last);
      case kChangeContext:
        return ShorterContext(last);
      default:
        return SmallerFormat();
    }
  }

  bool Say(const std::string& what, const char* joined = " ") {
    if (what.empty()) return false;
    said_ += (said_.empty() ? "" : joined) + what;
    return true;
  }

  bool SmallerPictures(bool search) {
    int64_t& tokens = now_.options.picture_tokens;
    const int64_t asked = tokens < 0 ? now_.model.config->vision.num_soft_tokens : tokens;
    if (now_.options.weights_alone || now_.model.multimodal == nullptr || asked <= kImageBudgets.front()) {
      return false;
    }
    for (auto budget = kImageBudgets.rbegin(); budget != kImageBudgets.rend(); ++budget) {
      if (*budget >= asked) continue;
      tokens = *budget;
      if (search && Fits(now_)) break;
    }
    return !now_.knobs.pictures.empty() && Say(Named(now_.knobs.pictures, tokens));
  }

  bool FewerConversations(bool search) {
    int64_t& sessions = now_.options.sessions;
    if (sessions <= 1 || now_.knobs.conversations.empty()) return false;
    if (search) {
      TakeFewerConversations(now_);
    } else {
      sessions = 1;
    }
    return Say(Named(now_.knobs.conversations, sessions));
  }

  bool ShorterContext(bool search) {
    const auto session = ResolveSession(*now_.model.config, now_.options.session, now_.options.usual_context);
    if (now_.options.weights_alone || now_.knobs.context.empty() || !session) return false;
    const int64_t asked = session->context;
    int64_t context = kLeastContext;
    if (search) context = LargestContext(now_).value_or(0);
    if (context < kShortestTold || context >= asked) return false;
    now_.options.session.context = context;
    return Say(Named(now_.knobs.context, context));
  }

  bool SmallerFormat() {
    if (now_.options.dequantise) {
      now_.options.dequantise = false;
      now_.model.weights = WeightsOf(now_.model, false);
      return Say("no --dequantise", " and ");
    }
    const PlannedModel model = now_.model;
    const uint64_t bytes = model.weights->total();
    std::string file;
    for (const char* name : {"q8_0", "q4_0"}) {
      OtherFormat other = InFormat(model, *FileFormatOf(name));
      if (other.model.weights->total() >= bytes) continue;
      now_.model = other.model;
      now_.options.dequantise = false;
      format_ = std::move(other.text);
      file = fmt::format("a {} file of this model", name);
      if (Fits(now_)) break;
    }
    return Say(file, " and ");
  }

  FitRequest now_;
  unsigned changes_;
  std::unique_ptr<TensorSource> format_;
  std::string said_;
};

std::string Lines(const MemoryPlan& plan) {
  std::string text;
  const uint64_t total = plan.Needed(MemoryLimit::Kind::kMachine);
  for (const MemoryLine& line : plan.lines) {
    if (line.held || line.bytes * kWorthNaming < total) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", line.name, HumanBytes(line.bytes));
  }
  return text;
}

std::string Room(const MemoryFit& fit) {
  return fmt::format("{} of {} are available ({})", HumanBytes(fit.tightest.available),
                     HumanBytes(fit.tightest.bytes), fit.tightest.name);
}

Error NoFit(const FitRequest& request, const std::string& name, const MemoryFit& fit) {
  std::string advice;
  for (const MemoryRemedy& remedy : FindRemedies(request)) {
    advice += fmt::format("{}{} (saves {})", advice.empty() ? "give " : ", or ", remedy.change,
                          HumanBytes(remedy.saves));
  }
  if (advice.empty()) advice = "take a smaller model, or close other programs";
  if (!request.knobs.over_plan.empty()) {
    advice += fmt::format("; {} loads it nevertheless", request.knobs.over_plan);
  }
  return {ErrorCode::kOutOfMemory,
          fmt::format("not enough memory: {} needs {}, but {}: {}", name,
                      HumanBytes(fit.plan.Needed(fit.tightest.kind)), Room(fit), Lines(fit.plan)),
          std::move(advice)};
}

// What happens with a plan that does not fit.
std::string OverPlan(const MemoryFit& fit) {
  const auto missing = static_cast<uint64_t>(-fit.headroom);
  uint64_t mapped = 0;
  for (const MemoryLine& line : fit.plan.lines) mapped += line.mapped ? line.bytes : 0;
  std::string text = fmt::format("over the plan by {}: {}", HumanBytes(missing), Room(fit));
  if (fit.tightest.kind == MemoryLimit::Kind::kAddressSpace) {
    text += "; it ends in an error when that is used up";
  } else if (mapped > 0) {
    text += fmt::format(
        "; the weights are read where they lie in their file, so each token reads {} to {} of it "
        "from the disk",
        HumanBytes(std::min(mapped, missing)), HumanBytes(mapped));
  } else {
    text += "; expect the system to swap, or to end the program";
  }
  return text;
}

}  // namespace

Result<MemoryFit> FitPlan(const FitRequest& request) {
  MemoryFit fit;
  LINNET_ASSIGN(fit.plan, PlanMemory(request.model, request.options));
  LINNET_ASSIGN(const SessionOptions session, ResolveSession(*request.model.config, request.options.session,
                                                             request.options.usual_context));
  fit.context = session.context;
  fit.headroom = std::numeric_limits<int64_t>::max();
  for (const MemoryLimit& limit : request.limits) {
    const int64_t left =
        static_cast<int64_t>(limit.available) - static_cast<int64_t>(fit.plan.Needed(limit.kind));
    if (left >= fit.headroom) continue;
    fit.headroom = left;
    fit.tightest = limit;
  }
  return fit;
}

Result<int64_t> LargestContext(FitRequest request) {
  const int64_t most = request.model.config->max_position_embeddings;
  int64_t& context = request.options.session.context;
  context = most;
  LINNET_ASSIGN(const MemoryFit all, FitPlan(request));  // says what is wrong beside the context
  if (all.fits()) return most;
  return kContextStep * LargestThat(most / kContextStep, [&](int64_t steps) {
           context = steps * kContextStep;
           return Fits(request);
         });
}

std::vector<MemoryRemedy> FindRemedies(const FitRequest& request) {
  const Result<MemoryFit> fit = FitPlan(request);
  if (!fit) return {};
  const uint64_t needed = fit->plan.Needed(MemoryLimit::Kind::kMachine);
  std::array<unsigned, kAllChanges> sets;
  for (unsigned set = 0; set < kAllChanges; ++set) sets[set] = set;
  std::ranges::stable_sort(sets, {}, [](unsigned set) { return std::popcount(set); });
  std::vector<MemoryRemedy> remedies;
  std::vector<unsigned> enough;
  for (const unsigned set : std::span(sets).subspan(1)) {
    if (remedies.size() == kMostRemedies) break;
    if (std::ranges::any_of(enough, [&](unsigned known) { return (set & known) == known; })) continue;
    std::optional<MemoryRemedy> remedy = Trial(request, set).Run(needed);
    if (!remedy) continue;
    remedies.push_back(std::move(*remedy));
    enough.push_back(set);
  }
  return remedies;
}

OtherFormat InFormat(const PlannedModel& model, const FileFormat& format) {
  const int layers = static_cast<int>(model.config->layers.size());
  OtherFormat other{model, nullptr};
  other.text = std::make_unique<GeneratedSource>(
      *model.config, [&](const ExpectedTensor& tensor) { return FormatIn(format, tensor, layers); }, nullptr);
  other.model.text = other.text.get();
  other.model.weights = WeightsOf(other.model, false);
  return other;
}

Result<Fitted> RequireFit(FitRequest request, const std::string& name, bool fewer_conversations,
                          bool over_plan) {
  if (!request.model.weights) request.model.weights = WeightsOf(request.model, request.options.dequantise);
  MemoryPlanOptions& options = request.options;
  Fitted fitted{.context = options.session.context, .conversations = options.sessions};
  LINNET_ASSIGN(const MemoryFit asked, FitPlan(request));
  if (asked.fits()) {
    fitted.left = static_cast<uint64_t>(asked.headroom);
    return fitted;
  }
  FitRequest other = request;
  if (fewer_conversations && options.sessions > 1) {
    const bool fits = TakeFewerConversations(other);
    fitted.conversations = other.options.sessions;
    fitted.notes.push_back(fmt::format("{} at once, not {}: more do not fit, {}", fitted.conversations,
                                       options.sessions, Room(asked)));
    if (fits) return fitted;
  }
  if (options.session.context == 0 && !options.weights_alone) {
    LINNET_ASSIGN(const int64_t context, LargestContext(other));
    if (context >= kLeastContext) {
      fitted.context = context;
      fitted.notes.push_back(fmt::format("a context of {} tokens, not the usual {}: more does not fit, {}",
                                         context, asked.context, Room(asked)));
      return fitted;
    }
  }
  if (!over_plan) return std::unexpected(NoFit(request, name, asked));
  return Fitted{options.session.context, options.sessions, {OverPlan(asked)}};
}

Result<Fitted> RequireFit(const PlannedModel& model, const LoadOptions& load, const std::string& name) {
  const MemoryUse use = load.use.value_or(MemoryUse{});
  return RequireFit({model, ToPlan(load), use.knobs, MemoryLimits()}, name, use.fewer_conversations,
                    load.over_plan);
}

std::vector<MemoryLimit> MemoryLimits() { return ReadMemoryLimits("/"); }

Result<MemoryFit> FitMemory(const LoadOptions& load) {
  return WithinMemory("opening this model", "close other programs", [&]() -> Result<MemoryFit> {
    LINNET_ASSIGN(const ModelFiles files, OpenModel(load.model, load.mmproj, load.drafter, load.use_drafter));
    LINNET_ASSIGN(const std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(files));
    LoadOptions asked = load;
    if (!asked.use) asked.use = MemoryUse{};
    FitRequest request{ToPlan(files, tokenizer.get()), ToPlan(asked), asked.use->knobs, MemoryLimits()};
    request.model.weights = WeightsOf(request.model, load.dequantise);
    LINNET_ASSIGN(MemoryFit fit, FitPlan(request));
    LINNET_ASSIGN(fit.largest_context, LargestContext(request));
    if (!fit.fits()) fit.remedies = FindRemedies(request);
    return fit;
  });
}

}  // namespace linnet
