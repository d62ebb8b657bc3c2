#include "runtime/speculative.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "base/check.h"
#include "base/stopwatch.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

bool Contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

int64_t DraftStats::drafts() const { return std::accumulate(drafted.begin(), drafted.end(), int64_t{0}); }

double DraftStats::Gain() const {
  const double seconds = draft_seconds + verify_seconds;
  return seconds > 0 ? static_cast<double>(tokens) * plain_seconds / seconds : 0;
}

Speculator::Speculator(Engine::Impl& engine, const KvCache& cache, Choosing choosing, int32_t draft)
    : engine_(engine),
      cache_(cache),
      choosing_(choosing),
      draft_(draft),
      depth_(engine.draft_depth),
      lookup_(draft == 0 ? 0 : cache.context() + 1) {
  LINNET_CHECK(draft >= -1 && draft <= kMaxDrafts);
  ids_.reserve(kMaxDrafts + 1);
  if (draft != 0 && engine.drafter != nullptr) hidden_.resize(static_cast<size_t>(engine.config.hidden_size));
}

void Speculator::Remember(const float* hidden) { std::copy_n(hidden, hidden_.size(), hidden_.begin()); }

std::span<const int32_t> Speculator::Propose(int32_t id, const Limits& limits) {
  const auto begin = Clock::now();
  const int64_t length = cache_.length();
  ids_.assign(1, id);
  beside_ = limits.beside;
  draft_seconds_ = 0;
  const int64_t room =
      std::min({limits.drafts, kMaxDrafts, cache_.rows_per_call() - 1, cache_.context() - length - 1});
  if (draft_ == 0 || room <= 0) return ids_;

  const auto choose = [&](DraftSource source, int64_t available) {
    if (draft_ < 0) return depth_.Choose(source, available, beside_);
    const int64_t count = std::min<int64_t>(available, draft_);
    return DraftDepth::Choice{count, depth_.ExpectedTokens(source, count)};
  };
  const PromptLookup::Match match = use_lookup_ ? lookup_.Find() : PromptLookup::Match{};
  const DraftSource matched = match.length > 3 ? DraftSource::kLongMatch : DraftSource::kShortMatch;
  DraftDepth::Choice copy, guess;
  if (match.length > 0) copy = choose(matched, room);
  if (engine_.drafter != nullptr) guess = choose(DraftSource::kDrafter, room);
  if (copy.drafts > 0 && (guess.drafts == 0 || copy.gain > guess.gain)) {
    source_ = matched;
    for (int64_t i = 0; i < copy.drafts; ++i) ids_.push_back(match.At(i));
  } else if (guess.drafts > 0) {
    source_ = DraftSource::kDrafter;
    ProposeFromDrafter(id, guess.drafts);
  }
  if (edit_ && ids_.size() > 1) edit_(std::span(ids_).subspan(1), length + 1);
  draft_seconds_ = SecondsSince(begin);
  if (ids_.size() > 1) depth_.RecordDraftCost(source_, draft_seconds_ / static_cast<double>(ids_.size() - 1));
  return ids_;
}

// The drafter's rows are chosen from as the target's will be, with the random number of their place: the two
// agree more often than the most probable token would.
void Speculator::ProposeFromDrafter(int32_t id, int64_t count) {
  Drafter& drafter = *engine_.drafter;
  const ThreadPool::Lease lease(engine_.pool);
  const SharedKeys keys = drafter.KeysOf(cache_);
  std::ranges::copy(hidden_, drafter.hidden().begin());
  int64_t advanced = 0;
  for (int64_t k = 0; k < count; ++k) {
    engine_.decoder->Embed(id, drafter.embedding());
    id = choosing_.sampler.Guess(drafter.Step(keys), static_cast<uint64_t>(k), choosing_.allowed.Words());
    if (id < 0) break;
    ids_.push_back(id);
    if (Contains(engine_.config.tokens.eos, id)) break;
    choosing_.allowed.Advance(id);
    ++advanced;
  }
  choosing_.allowed.RollBack(advanced);
}

void Speculator::Settle(const Outcome& outcome) {
  const int64_t drafted = static_cast<int64_t>(ids_.size()) - 1, accepted = outcome.kept - 1;
  for (int64_t i = 0; i < drafted; ++i) ++stats_.drafted[static_cast<size_t>(i)];
  for (int64_t i = 0; i < accepted; ++i) ++stats_.accepted[static_cast<size_t>(i)];
  stats_.drafted_by[static_cast<size_t>(source_)] += drafted;
  stats_.accepted_by[static_cast<size_t>(source_)] += accepted;
  stats_.tokens += outcome.kept;
  ++stats_.passes;
  stats_.draft_seconds += draft_seconds_;
  stats_.verify_seconds += outcome.seconds;
  if (drafted > 0) depth_.RecordDrafts(source_, drafted, accepted, outcome.decided);
  if (outcome.seconds > 0) depth_.RecordPass(beside_ + drafted + 1, outcome.seconds);
  if (outcome.seconds > 0 && beside_ == 0) depth_.Settle(outcome.kept, draft_seconds_ + outcome.seconds);
  stats_.plain_seconds = depth_.plain_seconds();
}

}  // namespace linnet
