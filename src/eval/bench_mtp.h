// `linnet bench mtp`: what drafting brings. Plain and drafting runs of the same text alternate piece by
// piece, so that a busy machine slows both.
#pragma once

#include <cstdint>
#include <string>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

struct MtpBenchOptions {
  std::string synthetic;  // a spec of quant/synthetic.h, target and drafter; empty = `load`
  LoadOptions load;
  double acceptance =
      -1;  // imposed: each draft is right with this probability, at the cost of a real one; < 0 = as it is
  int32_t draft = -1;    // as GenerateOptions::draft
  int64_t prompt = 64;   // tokens before the measured ones
  int64_t tokens = 128;  // measured, written plainly and with drafts
  int64_t piece = 32;    // tokens of a piece
  KvType kv = KvType::kBf16;
};

struct MtpBenchResult {
  std::string model;
  std::string kernels;
  int threads = 0;
  double drafter_gb = 0;       // its weights
  double drafter_work_mb = 0;  // its workspace
  double plain_tok_s = 0;      // medians over the pieces
  double draft_tok_s = 0;
  double speedup = 0;        // median over the pieces of a drafting piece over the plain one beside it
  double slowest_piece = 0;  // the smallest and the largest of these ratios
  double fastest_piece = 0;
  // False: the speedup is above the tokens a pass, although a pass costs at least a plain step. Something
  // else slowed the plain pieces, and the times of this run say nothing.
  bool plausible = false;
  double tokens_per_pass = 0;
  double accepted_per_pass = 0;  // drafts
  double drafts_per_pass = 0;
  double draft_share = 0;  // of the drafting time that was spent on guessing
  bool identical = false;  // every token
};

// Errors: those of loading; kInvalidArgument for options out of range.
Result<MtpBenchResult> RunMtpBench(const MtpBenchOptions& options, const Progress& progress);

}  // namespace linnet
