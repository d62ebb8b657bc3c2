#include "runtime/continuation.h"

#include "base/stopwatch.h"

namespace linnet {
namespace {

std::unexpected<Error> NoChoice(std::span<const float> logits, const AllowedTokens& allowed) {
  if (allowed.error() != nullptr) return std::unexpected(*allowed.error());
  if (ArgMax(logits) >= 0) {
    return Fail(ErrorCode::kInvalidArgument, "the token mask allows none of the tokens that can follow",
                "let it allow one, such as the end of the turn");
  }
  return Fail(ErrorCode::kBadFile, "the model computes no usable number for any token",
              "its weights are damaged or not for this architecture; check the file with 'linnet info'");
}

}  // namespace

Continuation::Continuation(Session::Impl& session, Choosing choosing, int32_t draft)
    : session_(session), choosing_(choosing), speculator_(session.engine, session.cache, choosing, draft) {}

Status Continuation::Begin(const Prompt& prompt, std::span<const int32_t> earlier,
                           const ReadingStops* stops) {
  LINNET_TRY(CheckPrompt(session_.engine, session_.cache, prompt));
  session_.logits = {};
  reader_.emplace(session_.engine, session_.cache, prompt, session_.probe, stops);
  LINNET_TRY(session_.cache.ReserveBlock(reader_->largest_block()));
  for (const std::span<const int32_t> ids : {earlier, std::span<const int32_t>(prompt.ids)}) {
    choosing_.sampler.Accept(ids);
    speculator_.Add(ids);
  }
  return {};
}

SequenceRows Continuation::Want(const RowLimits& limits) {
  SequenceRows rows;
  if (reader_) {
    rows = reader_->Next(PromptRows(limits));
  } else {
    round_ = speculator_.Propose(next_, {limits.drafts, limits.beside});
    rows = {.cache = &session_.cache, .ids = round_, .wanted = static_cast<int64_t>(round_.size())};
  }
  rows.mask_rule = session_.mask_rule;
  choosing_.allowed.Prepare(round_.empty() ? round_ : round_.subspan(1));
  return rows;
}

Status Continuation::Take(const Computed& computed, const Choose& choose) {
  if (reader_) {
    reader_->Read();
    if (!reader_->done()) return {};
    reader_.reset();
    round_ = {};
  }
  const int64_t held = session_.cache.length() - static_cast<int64_t>(round_.size());
  int64_t kept = round_.empty() ? 0 : 1;
  int64_t row = 0;
  fed_ += kept;
  while (true) {
    length_ = held + kept;
    const std::span<const float> logits(computed.logits.row(row), static_cast<size_t>(computed.logits.width));
    next_ = choosing_.Sample(logits);
    if (next_ < 0) return NoChoice(logits, choosing_.allowed);
    ended_ = !choose(next_, logits);
    if (ended_) break;
    choosing_.Accept(next_);
    speculator_.Add({&next_, 1});
    if (kept == 0 || kept == static_cast<int64_t>(round_.size()) ||
        round_[static_cast<size_t>(kept)] != next_) {
      break;
    }
    ++kept, ++row, ++fed_;  // a draft that was right: its row has been computed
  }
  speculator_.Remember(computed.hidden.row(row));
  if (kept > 0) speculator_.Settle({kept, !ended_, computed.seconds});
  if (session_.cache.length() > held + kept) LINNET_TRY(session_.cache.Truncate(held + kept));
  return {};
}

Status RunAlone(Session& session, Continuation& continuation, const Continuation::Choose& choose) {
  Session::Impl& s = session.impl();
  s.Reserve(kMaxDrafts + 1);
  while (!continuation.ended()) {
    const bool reading = continuation.reading();
    s.step.Clear();
    LINNET_TRY(s.step.Add(continuation.Want({})));
    const Clock::time_point begin = Clock::now();
    LINNET_TRY(s.engine.RunStep(s.step, nullptr, s.probe));
    const double seconds = reading ? 0 : SecondsSince(begin);
    LINNET_TRY(continuation.Take({s.step.hidden(0), s.step.logits(0), seconds}, choose));
  }
  return {};
}

}  // namespace linnet
