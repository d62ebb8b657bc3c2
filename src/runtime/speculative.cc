#include "runtime/speculative.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string>

#include "base/check.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

bool Contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

int64_t DraftStats::drafts() const { return std::accumulate(drafted.begin(), drafted.end(), int64_t{0}); }

double DraftStats::Gain() const {
  const double seconds = draft_seconds + verify_seconds;
  return seconds > 0 ? static_cast<double>(tokens) * plain_seconds / seconds : 0;
}

Speculator::Speculator(Session& session, Sampler& sampler, int32_t draft)
    : session_(session.impl()),
      sampler_(sampler),
      draft_(draft),
      depth_(session_.engine.draft_depth),
      lookup_(draft == 0 ? 0 : session_.cache.context() + 1) {
  LINNET_CHECK(draft >= -1 && draft <= kMaxDrafts);
  ids_.reserve(kMaxDrafts + 1);
  if (draft != 0) session_.ReserveResults(kMaxDrafts + 1);
}

void Speculator::Begin(std::span<const int32_t> earlier, std::span<const int32_t> prompt) {
  if (draft_ != 0) {
    lookup_.Add(earlier);
    lookup_.Add(prompt);
  }
  base_ = session_.cache.length() - 1;
  row_ = 0;
  output_row_ = session_.step.hidden(0).rows - 1;
}

std::span<const float> Speculator::logits() const {
  const Rows logits = session_.step.logits(0);
  return {logits.row(ids_.empty() ? logits.rows - 1 : output_row_), static_cast<size_t>(logits.width)};
}

Status Speculator::Feed(int32_t id) {
  if (draft_ != 0) lookup_.Add(id);
  if (row_ + 1 < static_cast<int64_t>(ids_.size()) && ids_[static_cast<size_t>(row_ + 1)] == id) {
    ++row_;
    ++output_row_;
    return {};
  }
  const int64_t length = this->length();
  if (length >= session_.cache.context()) {
    return Fail(ErrorCode::kInvalidArgument, "the context of " + std::to_string(length) + " tokens is full",
                "ask for a larger --context");
  }
  CloseRound(true);
  if (session_.cache.length() > length) LINNET_TRY(session_.cache.Truncate(length));
  Propose(id);
  return RunTarget();
}

Status Speculator::Finish() {
  CloseRound(false);
  const int64_t length = this->length();
  session_.logits = logits();
  ids_.clear();
  if (session_.cache.length() == length) return {};
  return session_.cache.Truncate(length);
}

// Accounts for the drafts of the round that ends.
void Speculator::CloseRound(bool decided) {
  if (ids_.empty()) return;
  const int64_t drafted = static_cast<int64_t>(ids_.size()) - 1;
  for (int64_t i = 0; i < drafted; ++i) ++stats_.drafted[static_cast<size_t>(i)];
  for (int64_t i = 0; i < row_; ++i) ++stats_.accepted[static_cast<size_t>(i)];
  stats_.drafted_by[static_cast<size_t>(source_)] += drafted;
  stats_.accepted_by[static_cast<size_t>(source_)] += row_;
  stats_.tokens += row_ + 1;
  if (drafted > 0) depth_.RecordDrafts(source_, drafted, row_, decided);
  depth_.Settle(row_ + 1, round_seconds_);
  stats_.plain_seconds = depth_.plain_seconds();
}

// Fills ids_ with the token and the drafts that promise most.
void Speculator::Propose(int32_t id) {
  const auto begin = Clock::now();
  const int64_t length = this->length();
  ids_.assign(1, id);
  round_seconds_ = 0;
  const int64_t room =
      std::min({kMaxDrafts, session_.cache.rows_per_call() - 1, session_.cache.context() - length - 1});
  if (draft_ == 0 || room <= 0) return;

  const auto choose = [&](DraftSource source, int64_t available) {
    if (draft_ < 0) return depth_.Choose(source, available);
    const int64_t count = std::min<int64_t>(available, draft_);
    return DraftDepth::Choice{count, depth_.ExpectedTokens(source, count)};
  };
  const PromptLookup::Match match = use_lookup_ ? lookup_.Find() : PromptLookup::Match{};
  const DraftSource matched = match.length > 3 ? DraftSource::kLongMatch : DraftSource::kShortMatch;
  DraftDepth::Choice copy, guess;
  if (match.length > 0) copy = choose(matched, room);
  if (session_.engine.drafter != nullptr) guess = choose(DraftSource::kDrafter, room);
  if (copy.drafts > 0 && (guess.drafts == 0 || copy.gain > guess.gain)) {
    source_ = matched;
    for (int64_t i = 0; i < copy.drafts; ++i) ids_.push_back(match.At(i));
  } else if (guess.drafts > 0) {
    source_ = DraftSource::kDrafter;
    ProposeFromDrafter(id, guess.drafts);
  }
  if (edit_ && ids_.size() > 1) edit_(std::span(ids_).subspan(1), length + 1);
  round_seconds_ = SecondsSince(begin);
  stats_.draft_seconds += round_seconds_;
  if (ids_.size() > 1) depth_.RecordDraftCost(source_, round_seconds_ / static_cast<double>(ids_.size() - 1));
}

// The drafter's rows are chosen from as the target's will be, with the random number of their place: the two
// agree more often than the most probable token would.
void Speculator::ProposeFromDrafter(int32_t id, int64_t count) {
  Engine::Impl& engine = session_.engine;
  Drafter& drafter = *engine.drafter;
  const SharedKeys keys = drafter.KeysOf(session_.cache);
  const Rows hidden = session_.step.hidden(0);
  std::copy_n(hidden.row(output_row_), hidden.width, drafter.hidden().begin());
  for (int64_t k = 0; k < count && id >= 0; ++k) {
    engine.decoder->Embed(id, drafter.embedding());
    const std::span<float> logits = drafter.Step(keys);
    SuppressTokens(engine.config, logits);
    id = sampler_.Guess(logits, static_cast<uint64_t>(k));
    if (id >= 0) ids_.push_back(id);
    if (Contains(engine.config.tokens.eos, id)) break;
  }
}

Status Speculator::RunTarget() {
  const auto begin = Clock::now();
  base_ = session_.cache.length();
  row_ = output_row_ = 0;
  SequenceRows rows = session_.RowsOf(ids_, true);
  rows.wanted = static_cast<int64_t>(ids_.size());
  LINNET_TRY(session_.Forward(rows));
  const double seconds = SecondsSince(begin);
  round_seconds_ += seconds;
  stats_.verify_seconds += seconds;
  ++stats_.passes;
  depth_.RecordPass(static_cast<int64_t>(ids_.size()), seconds);
  return {};
}

}  // namespace linnet
