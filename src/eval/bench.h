// `linnet bench`: speed of a model beside the limits of the machine, measured in the same run, so that every
// figure can be read as a share of what is possible (docs/performance.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/bench_limits.h"
#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

struct BenchOptions {
  std::string synthetic;  // a spec of quant/synthetic.h; empty = `load`
  LoadOptions load;
  int64_t prompt = 512;  // tokens of the prefill
  int64_t decode = 12;   // tokens a decode repetition
  int64_t repeat = 5;
  int64_t depth =
      32768;  // filled cache positions at which decoding is measured too, lowered to the model's; 0 = none
  KvType kv = KvType::kBf16;
};

// Best and median of the repetitions.
struct Spread {
  double best = 0;
  double median = 0;
};

struct BenchResult {
  std::string kernels;
  int threads = 0;
  std::string model;
  double load_s = 0;
  double weight_gb = 0;    // packed, resident
  double file_gb = 0;      // as a file would hold it; 0 if unknown
  double resident_gb = 0;  // of the process with a session of 8,192 positions, all filled
  double planned_gb = 0;   // the same, as PlanMemory() says before anything is loaded
  MachineLimits limits;    // the best seen; the bandwidth as the mean of the repetition that had most
  Spread prefill_tok_s;
  double prefill_share = 0;  // of int8_peak, best
  double prefill_share_fed = 0;
  Spread decode_tok_s;  // with an empty cache
  Spread decode_share;  // bytes read a second over the bandwidth of the same repetition
  int64_t depth = 0;    // that was measured
  Spread depth_tok_s;
  // Medians over the repetitions, in each of which all of them take turns.
  double decode_32k_ratio = 0;  // time of a token at that depth over one with an empty cache
  double verify4_ratio = 0;     // time of five rows of one sequence over that of one
  double streams8_ratio = 0;    // tokens a second of eight sequences over those of one
};

Result<BenchResult> RunBench(const BenchOptions& options, const Progress& progress);

}  // namespace linnet
