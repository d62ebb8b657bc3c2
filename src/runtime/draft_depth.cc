#include "runtime/draft_depth.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr double kEarned = 0.02;       // plain steps a token earns for trying
constexpr double kLargestBalance = 8;  // more would allow a long stretch of losses after a good one
constexpr double kWorthwhile = 1.03;   // expected gain below which measuring errors decide
constexpr double kSmoothing = 0.25;
constexpr double kOutlier = 3.0;  // a longer call was interrupted by something else
constexpr double kForget = 0.95;  // weight of the rounds before
constexpr double kPriorTries = 2;
constexpr double kRowGuess = 0.12;  // share of a plain step for each further row, before it is measured
constexpr int64_t kFirstPatience = 8, kLongestPatience = 128;

void Smooth(double& mean, double value) {
  if (mean == 0) {
    mean = value;
  } else {
    mean += kSmoothing * (std::min(value, kOutlier * mean) - mean);
  }
}

}  // namespace

DraftDepth::DraftDepth() {
  Of(DraftSource::kDrafter).prior = 0.7;
  Of(DraftSource::kShortMatch).prior = 0.4;
  Of(DraftSource::kLongMatch).prior = 0.7;
  for (Source& source : sources_) source.patience = kFirstPatience;
}

double DraftDepth::Acceptance(DraftSource source, int64_t position) const {
  const Source& s = sources_[static_cast<size_t>(source)];
  double rate = s.prior;  // what is not known of a position is taken from the one before it
  for (int64_t i = 0; i <= position; ++i) {
    const size_t at = static_cast<size_t>(i);
    rate = (s.hits[at] + kPriorTries * rate) / (s.tries[at] + kPriorTries);
  }
  return rate;
}

double DraftDepth::ExpectedTokens(DraftSource source, int64_t drafts) const {
  double tokens = 1, reached = 1;
  for (int64_t i = 0; i < drafts; ++i) tokens += reached *= Acceptance(source, i);
  return tokens;
}

double DraftDepth::PassSeconds(int64_t rows) const {
  const auto measured = [&](int64_t r) { return pass_[static_cast<size_t>(r)]; };
  rows = std::min(rows, kMostRows);
  if (measured(rows) > 0) return measured(rows);
  int64_t low = rows, high = rows;
  while (low > 0 && measured(low) == 0) --low;
  while (high <= kMostRows && measured(high) == 0) ++high;
  if (low == 0) return high <= kMostRows ? measured(high) : 0;
  if (high <= kMostRows) {
    const double share = static_cast<double>(rows - low) / static_cast<double>(high - low);
    return measured(low) + share * (measured(high) - measured(low));
  }
  const double plain = measured(1);
  const double slope = low > 1 && plain > 0
                           ? std::max(0.0, measured(low) - plain) / static_cast<double>(low - 1)
                           : kRowGuess * measured(low);
  return measured(low) + slope * static_cast<double>(rows - low);
}

DraftDepth::Choice DraftDepth::Choose(DraftSource source, int64_t available, int64_t beside) {
  const double plain = beside == 0 ? plain_seconds() : PassSeconds(beside + 1);
  if (plain == 0) return {};  // nothing to compare with yet
  Source& s = Of(source);
  Choice best;
  for (int64_t k = 1; k <= std::min(available, kMaxDrafts); ++k) {
    const double time = PassSeconds(beside + k + 1) + static_cast<double>(k) * s.seconds;
    if (beside == 0 && time / plain - 1 > balance_) continue;
    const double others = static_cast<double>(beside);
    const double gain = (others + ExpectedTokens(source, k)) / (others + 1) * plain / time;
    if (gain > best.gain) best = {k, gain};
    if (k == 1 && gain < kWorthwhile && s.idle >= s.patience) {  // perhaps the text has changed
      s.idle = 0;
      s.patience = std::min(2 * s.patience, kLongestPatience);
      best = {1, kWorthwhile};
    }
  }
  return best.gain >= kWorthwhile ? best : Choice{};
}

void DraftDepth::RecordDrafts(DraftSource source, int64_t drafted, int64_t accepted, bool decided) {
  Source& s = Of(source);
  s.idle = 0;
  const int64_t looked_at = std::min(drafted, accepted + (decided ? 1 : 0));
  for (int64_t i = 0; i < looked_at; ++i) {
    const size_t at = static_cast<size_t>(i);
    s.tries[at] = kForget * s.tries[at] + 1;
    s.hits[at] = kForget * s.hits[at] + (i < accepted ? 1 : 0);
  }
  if (accepted > 0) s.patience = kFirstPatience;
}

void DraftDepth::RecordPass(int64_t rows, double seconds) {
  if (rows >= 1 && rows <= kMostRows) Smooth(pass_[static_cast<size_t>(rows)], seconds);
}

void DraftDepth::RecordDraftCost(DraftSource source, double seconds) { Smooth(Of(source).seconds, seconds); }

void DraftDepth::Settle(int64_t tokens, double seconds) {
  for (Source& s : sources_) s.idle += tokens;
  if (plain_seconds() == 0) return;
  const double steps = static_cast<double>(tokens);
  balance_ = std::min(kLargestBalance, balance_ + steps * (1 + kEarned) - seconds / plain_seconds());
}

}  // namespace linnet
