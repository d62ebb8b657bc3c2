// How many tokens to draft: decided from measured acceptance and measured cost, under a ledger that bounds
// the loss.
//
// All times are in the caller's unit. A round is one call of the target with 1 + K rows and yields the
// accepted drafts and one token more. K maximises expected tokens per time; where no K beats plain decoding,
// K is 0 but for a rare probe.
//
// Invariant: over any run of rounds, time <= 1.02 * tokens * (time of a plain step) + one plain step, as far
// as the measured times hold: each token earns 2 % of a step, each round pays or earns its difference from
// plain decoding, and a round is only begun when the balance covers the rejection of all its drafts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "linnet/turn.h"

namespace linnet {

class DraftDepth {
 public:
  DraftDepth();

  struct Choice {
    int64_t drafts = 0;
    double gain = 1.0;  // expected speed over plain decoding
  };
  // The best number of at most `available` drafts from a source, in a call that also computes `beside` rows
  // of others. Beside others the ledger does not count: what a call takes is not one's own.
  Choice Choose(DraftSource source, int64_t available, int64_t beside = 0);

  // The outcome of a round with drafts. `decided` false: the answer ended before draft `accepted` was looked
  // at.
  void RecordDrafts(DraftSource source, int64_t drafted, int64_t accepted, bool decided);
  // What a call of the target with `rows` rows took, and what one draft of a source took.
  void RecordPass(int64_t rows, double seconds);
  void RecordDraftCost(DraftSource source, double seconds);
  // Closes a round: `tokens` came out of it and it took `seconds` in all.
  void Settle(int64_t tokens, double seconds);

  double plain_seconds() const { return pass_[1]; }  // of one row; 0 before it was measured
  double Acceptance(DraftSource source, int64_t position) const;
  double ExpectedTokens(DraftSource source, int64_t drafts) const;  // of a round
  double PassSeconds(int64_t rows) const;  // measured, or estimated from its neighbours

 private:
  struct Source {
    std::array<double, kMaxDrafts> tries{}, hits{};
    double prior = 0;
    double seconds = 0;    // of one draft
    int64_t idle = 0;      // tokens since it was last used
    int64_t patience = 0;  // idle tokens before the next probe
  };
  Source& Of(DraftSource source) { return sources_[static_cast<size_t>(source)]; }

  std::array<Source, kDraftSources> sources_;
  static constexpr int64_t kMostRows = 64;
  std::array<double, kMostRows + 1> pass_{};  // by rows, 0 = not measured
  double balance_ = 1.0;                      // of the ledger, in plain steps
};

}  // namespace linnet
