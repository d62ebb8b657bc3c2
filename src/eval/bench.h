// `linnet bench`: speed of a model beside the limits of the machine, measured in the same run, so that every figure can
// be read as a share of what is possible (docs/performance.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

struct BenchOptions {
  std::string synthetic;  // a spec of model/synthetic.h; empty = `load`
  LoadOptions load;
  int64_t prompt = 512;     // tokens of the prefill
  int64_t decode = 12;      // tokens a decode repetition
  int64_t repeat = 5;
  int64_t depth = 32768;    // filled cache positions at which decoding is measured too, lowered to the model's; 0 = none
  KvType kv = KvType::kBf16;
};

// Best and median of the repetitions.
struct Spread {
  double best = 0;
  double median = 0;
};

struct MachineLimits {
  double int8_peak_tmacs = 0;  // integer products from registers, 10^12 multiply-adds a second, all threads
  double int8_fed_tmacs = 0;   // fed from the first-level cache
  double bandwidth_gbs = 0;    // reading memory, 10^9 bytes a second, all threads
};

struct BenchResult {
  std::string kernels;
  int threads = 0;
  std::string model;
  double load_s = 0;
  double weight_gb = 0;    // packed, resident
  double file_gb = 0;      // as a file would hold it; 0 if unknown
  double resident_gb = 0;  // of the process with a session of 8,192 positions, all filled
  MachineLimits limits;    // the best seen between the measurements
  Spread prefill_tok_s;
  double prefill_share = 0;  // of int8_peak, best
  double prefill_share_fed = 0;
  Spread decode_tok_s;  // with an empty cache
  double decode_share = 0;   // bytes read a second over the bandwidth, best
  int64_t depth = 0;         // that was measured
  Spread depth_tok_s;
  double decode_32k_ratio = 0;  // time of a token at that depth over an empty cache, medians
  double verify4_ratio = 0;     // five rows of one sequence over one, medians
  double streams8_ratio = 0;    // tokens a second of eight sequences over one, medians
};

Result<BenchResult> RunBench(const BenchOptions& options, const Progress& progress);

// Runs the limit loops on all threads of the pool for a short time and keeps the better of `limits` and the new.
void MeasureLimits(ThreadPool& pool, MachineLimits& limits);

}  // namespace linnet
