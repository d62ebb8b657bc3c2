#include "eval/bench_limits.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "kernels/dispatch.h"

namespace linnet {
namespace {

constexpr int64_t kPeakIterations = 1 << 19;
constexpr int64_t kFedIterations = 1 << 12;

// What all threads together do a second; work(thread) returns how much it did.
template <typename Work>
double Rate(ThreadPool& pool, const Work& work) {
  std::vector<int64_t> amounts(static_cast<size_t>(pool.threads()));
  const auto begin = std::chrono::steady_clock::now();
  pool.Run([&](int t) { amounts[static_cast<size_t>(t)] = work(t); });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return static_cast<double>(std::accumulate(amounts.begin(), amounts.end(), int64_t{0})) / seconds;
}

}  // namespace

LimitMeter::LimitMeter(ThreadPool& pool) : pool_(pool), memory_(static_cast<size_t>(kBytes)) {
  for (size_t i = 0; i < memory_.size(); i += 64) memory_[i] = static_cast<uint8_t>(i >> 6);
}

void LimitMeter::MeasureProducts(MachineLimits& limits) const {
  const KernelTable& kernels = Kernels();
  const double peak = Rate(pool_, [&](int) { return kernels.int8_peak(kPeakIterations); });
  const double fed = Rate(pool_, [&](int) { return kernels.int8_fed(memory_.data(), kFedIterations); });
  limits.int8_peak_tmacs = std::max(limits.int8_peak_tmacs, peak / 1e12);
  limits.int8_fed_tmacs = std::max(limits.int8_fed_tmacs, fed / 1e12);
}

double LimitMeter::ReadOnce() const {
  const int64_t share = kBytes / pool_.threads() / kReadUnit * kReadUnit;
  return Rate(pool_, [&](int t) {
    static_cast<void>(Kernels().read(memory_.data() + t * share, share, AheadFor(1)));
    return share;
  });
}

}  // namespace linnet
