// What the machine can do at best, beside which benchmarks put what a model reaches.
#pragma once

#include "base/aligned.h"
#include "base/thread_pool.h"

namespace linnet {

struct MachineLimits {
  double int8_peak_tmacs = 0;  // integer products from registers, 10^12 multiply-adds a second, all threads
  double int8_fed_tmacs = 0;   // fed from the first-level cache
  double bandwidth_gbs = 0;    // reading memory, 10^9 bytes a second, all threads
};

// Holds the memory that bandwidth is measured on.
class LimitMeter {
 public:
  // Larger than any cache: the shared third level of a server can hold hundreds of megabytes for a moment.
  static constexpr int64_t kBytes = int64_t{1} << 29;

  explicit LimitMeter(ThreadPool& pool);

  // Runs the integer loops for a short time and keeps the better of `limits` and the new.
  void MeasureProducts(MachineLimits& limits) const;
  // Bytes a second of reading the memory once.
  double ReadOnce() const;

 private:
  ThreadPool& pool_;
  AlignedBuffer<uint8_t> memory_;
};

}  // namespace linnet
