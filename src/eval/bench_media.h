// `linnet bench media`: what the front end for pictures and sound costs beside the prefill of the tokens it
// makes.
#pragma once

#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

struct MediaBenchOptions {
  std::string synthetic = "12b:q4_0";  // a spec of quant/synthetic.h; empty = `load`
  LoadOptions load;
  int64_t repeat = 3;
};

// Of one medium; times are the best of the repetitions.
struct FrontEndCost {
  std::string what;  // "a picture of 1920 x 1080 at 1120"
  int64_t tokens = 0;
  double prepare_seconds = 0;  // resize and cut, or mix and resample, on one thread
  double embed_seconds = 0;    // norms and projection into the model's width
  double prefill_seconds = 0;  // of as many tokens
  double share() const { return (prepare_seconds + embed_seconds) / prefill_seconds; }
};

struct MediaBenchResult {
  std::string model, kernels;
  int threads = 0;
  double prefill_tok_s = 0;
  std::vector<FrontEndCost> costs;
};

// Errors: those of loading; kUnsupported for a model without eyes or ears.
Result<MediaBenchResult> RunMediaBench(const MediaBenchOptions& options, const Progress& progress);

}  // namespace linnet
