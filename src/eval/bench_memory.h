// `linnet bench memory`: what a conversation with a full context takes, beside what is planned for it.
#pragma once

#include <cstdint>
#include <string>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/memory_plan.h"
#include "linnet/options.h"

namespace linnet {

struct MemoryBenchOptions {
  std::string synthetic;  // a spec of quant/synthetic.h; empty = `load`
  LoadOptions load;
  int64_t context = 0;          // 0 = all that the model was made for
  int64_t image_tokens = 1120;  // of the picture that is read at the end; 0 = none
  int64_t tokens = 32;          // that are written behind it
  KvType kv = KvType::kBf16;
};

struct MemoryBenchResult {
  std::string model, kernels;
  int threads = 0;
  int64_t context = 0, filled = 0;  // positions, and those that were filled before the picture
  int64_t image_tokens = 0, tokens = 0;
  MemoryPlan plan;
  uint64_t peak_bytes = 0;  // resident, of the whole process
  double load_seconds = 0, read_seconds = 0, write_seconds = 0;

  double ratio() const { return static_cast<double>(peak_bytes) / static_cast<double>(plan.total()); }
};

// Fills the cache with made-up keys and values, reads a picture and writes tokens, so that the last position
// is used. Errors: those of loading; kOutOfMemory where the plan does not fit; kInvalidArgument.
Result<MemoryBenchResult> RunMemoryBench(const MemoryBenchOptions& options, const Progress& progress);

}  // namespace linnet
