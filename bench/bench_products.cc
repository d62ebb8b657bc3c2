// Products of packed weights with 1 to 512 rows beside the machine's limits, one table:
//   linnet_bench_products [FORMAT,…|all] [N K] [ROWS,…] [THREADS]
//   times      the time of a product over that of one row
//   peak       multiply-adds a second as a share of the int8 peak
//   memory     weights read a second as a share of the memory bandwidth
// Weights come from memory: another matrix every time. Formats and row counts take turns in every round, and
// all figures are of the best rounds, so that what a neighbour takes away falls on all of them. With one
// thread the time is what the processor spent on this program: steady where others keep the machine busy.
// `linnet_bench_products caches [FORMAT,…|all]` prints the share of the peak that one thread reaches with few
// rows on weights from its second-level cache.
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/cpu_info.h"
#include "eval/bench_limits.h"
#include "kernels/dispatch.h"
#include "ops/matmul.h"

namespace linnet {
namespace {

constexpr int64_t kFromMemory = int64_t{1} << 29;  // bytes of all matrices together: more than any cache
constexpr int64_t kMostRows = 512;
constexpr int kRounds = 21;
constexpr double kTurnSeconds = 0.004;

struct FormatName {
  std::string_view name;
  PanelFormat format;
};
constexpr FormatName kFormats[] = {
    {"q4_0", PanelFormat::kQ4_0},    {"q4_1", PanelFormat::kQ4_1},   {"q5_0", PanelFormat::kQ5_0},
    {"q5_1", PanelFormat::kQ5_1},    {"q8_0", PanelFormat::kQ8_0},   {"q4_k", PanelFormat::kQ4K},
    {"q5_k", PanelFormat::kQ5K},     {"q6_k", PanelFormat::kQ6K},    {"iq4_nl", PanelFormat::kIq4Nl},
    {"iq4_xs", PanelFormat::kIq4Xs}, {"mxfp4", PanelFormat::kMxfp4}, {"nvfp4", PanelFormat::kNvfp4},
    {"bf16", PanelFormat::kBf16},    {"f16", PanelFormat::kF16},     {"f32", PanelFormat::kF32},
};
constexpr int64_t kRowCounts[] = {1,  2,   3,   4,   5,   6,   7,   8,   9,   10,  12,  13,  15,
                                  16, 17,  20,  24,  31,  32,  33,  40,  48,  63,  64,  65,  80,
                                  96, 100, 127, 128, 129, 160, 192, 200, 255, 256, 257, 384, 512};

double Seconds(clockid_t clock, const auto& work) {
  const auto now = [clock] {
    timespec t;
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

std::vector<std::string_view> Split(std::string_view list) {
  std::vector<std::string_view> parts;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    parts.push_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

int64_t Number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<FormatName> Wanted(std::string_view list) {
  std::vector<FormatName> wanted;
  for (const std::string_view name : Split(list)) {
    for (const FormatName& format : kFormats) {
      if (name == format.name || name == "all") wanted.push_back(format);
    }
  }
  return wanted;
}

// Products of one shape with matrices that take turns, all views of the same memory.
class Products {
 public:
  Products(ThreadPool& pool, int64_t n, int64_t k)
      : clock_(pool.threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC),
        n_(n),
        k_(k),
        context_(pool, Kernels()) {
    // Bits that are harmless as factors of any format: 0x2e2e is a small positive float16 and bfloat16.
    std::fill_n(weights_.data(), weights_.size(), uint8_t{0x2e});
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = std::sin(static_cast<float>(i % 1000));
    context_.Reserve({kMostRows, k, 1, 64});
  }

  int64_t Bytes(PanelFormat format) const { return PanelBytes(format, k_) * PanelCount(n_); }

  // Seconds of a product: of one that warms up, or the mean of a turn.
  double Time(PanelFormat format, int64_t rows) {
    const double one = Seconds(clock_, [&] { Multiply(format, rows); });
    const int count = static_cast<int>(std::clamp(kTurnSeconds / one, 1.0, 500.0));
    return Seconds(clock_,
                   [&] {
                     for (int i = 0; i < count; ++i) Multiply(format, rows);
                   }) /
           count;
  }

 private:
  void Multiply(PanelFormat format, int64_t rows) {
    const int64_t bytes = Bytes(format), apart = (bytes + 63) / 64 * 64;
    if (next_ + bytes > kFromMemory) next_ = 0;
    const Matrix matrix = ViewMatrix(format, n_, k_, {weights_.data() + next_, static_cast<size_t>(bytes)});
    MatMul(context_, matrix, MakeRows(x_.data(), rows, k_), MakeRows(y_.data(), rows, n_));
    next_ += apart;
  }

  clockid_t clock_;
  int64_t n_, k_, next_ = 0;
  OpContext context_;
  AlignedBuffer<uint8_t> weights_{static_cast<size_t>(kFromMemory + (1 << 16))};
  AlignedBuffer<float> x_{static_cast<size_t>(kMostRows * k_)}, y_{static_cast<size_t>(kMostRows * n_)};
};

struct Plan {
  std::vector<FormatName> formats;
  std::vector<int64_t> rows;
  int64_t n, k;
  int threads;
};

void Run(const Plan& plan) {
  ThreadPool pool(plan.threads);
  const LimitMeter meter(pool);
  MachineLimits limits;
  Products products(pool, plan.n, plan.k);
  std::vector<std::vector<double>> best(plan.rows.size(), std::vector<double>(plan.formats.size(), 1e9));
  for (int round = 0; round < kRounds; ++round) {
    limits.bandwidth_gbs = std::max(limits.bandwidth_gbs, meter.ReadOnce() / 1e9);
    for (size_t r = 0; r < plan.rows.size(); ++r) {
      meter.MeasureProducts(limits);
      for (size_t f = 0; f < plan.formats.size(); ++f)
        best[r][f] = std::min(best[r][f], products.Time(plan.formats[f].format, plan.rows[r]));
    }
  }
  fmt::print("kernels {}, {} threads, N {} K {}: int8 peak {:.3f} T multiply-adds/s, memory {:.1f} GB/s\n",
             Kernels().name, plan.threads, plan.n, plan.k, limits.int8_peak_tmacs, limits.bandwidth_gbs);
  fmt::print("rows");
  for (const FormatName& format : plan.formats) fmt::print(" | {:4}  times   peak memory", format.name);
  fmt::print("\n");
  for (size_t r = 0; r < plan.rows.size(); ++r) {
    fmt::print("{:4}", plan.rows[r]);
    for (size_t f = 0; f < plan.formats.size(); ++f) {
      const double seconds = best[r][f], macs = static_cast<double>(plan.rows[r] * plan.n * plan.k);
      const double bytes = static_cast<double>(products.Bytes(plan.formats[f].format));
      fmt::print(" | {:10.2f} {:4.1f} % {:4.1f} %", seconds / best[0][f],
                 100 * macs / seconds / 1e12 / limits.int8_peak_tmacs,
                 100 * bytes / seconds / 1e9 / limits.bandwidth_gbs);
    }
    fmt::print("\n");
  }
}

// The share of one thread's int8 peak that the kernel of few rows reaches on panels that stay in the
// second-level cache.
double FromCaches(PanelFormat format, int64_t k, int64_t rows) {
  constexpr int64_t kPanels = 8, kTurns = 100;
  const KernelTable& kernels = Kernels();
  Matrix matrix = AllocateMatrix(format, kPanels * kPanel, k);
  std::fill_n(matrix.panels.writable(), matrix.panels.size(), uint8_t{0x2e});
  const size_t blocks = static_cast<size_t>(k / kActBlock), count = static_cast<size_t>(rows);
  const std::vector<int8_t> q(count * static_cast<size_t>(k), 1);
  const std::vector<float> scale(count * blocks);
  const std::vector<int32_t> start(2 * count * blocks);
  std::vector<float> y(count * kPanels * kPanel);
  const FewProduct product{matrix.panels.data(),
                           PanelBytes(format, k),
                           {q.data(), scale.data(), start.data(), start.data(), scale.data(), k / kActBlock},
                           y.data(),
                           matrix.n,
                           matrix.n,
                           rows,
                           AheadFor(rows)};
  double seconds = 1e9, peak = 0;
  for (int i = 0; i < kRounds; ++i) {
    seconds = std::min(seconds, Seconds(CLOCK_PROCESS_CPUTIME_ID, [&] {
                         for (int64_t r = 0; r < kTurns; ++r)
                           kernels.formats[static_cast<int>(format)].few(product);
                       }));
    int64_t macs = 0;
    const double peak_seconds = Seconds(CLOCK_PROCESS_CPUTIME_ID, [&] { macs = kernels.int8_peak(1 << 18); });
    peak = std::max(peak, static_cast<double>(macs) / peak_seconds);
  }
  return static_cast<double>(kTurns * matrix.n * k * rows) / seconds / peak;
}

void RunFromCaches(std::span<const FormatName> formats) {
  for (const FormatName& format : formats) {
    if (format.format < kFirstBlockFormat) continue;
    fmt::print("{} from the caches:", format.name);
    for (int64_t rows = 1; rows <= Kernels().few_rows; ++rows)
      fmt::print(" {:.1f} %", 100 * FromCaches(format.format, 3840, rows));
    fmt::print(" of the peak of one thread\n");
  }
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  using namespace linnet;
  const std::span<char*> args(argv + 1, static_cast<size_t>(argc - 1));
  const auto arg = [&](size_t i, std::string_view other) {
    return i < args.size() ? std::string_view(args[i]) : other;
  };
  if (arg(0, "") == "caches") return RunFromCaches(Wanted(arg(1, "q4_0"))), 0;
  Plan plan{Wanted(arg(0, "q4_0,q4_k,q6_k,q8_0")),
            {},
            Number(arg(1, "3840")),
            Number(arg(2, "3840")),
            args.size() > 4 ? static_cast<int>(Number(args[4])) : GetCpuInfo().cores};
  for (const std::string_view rows : Split(arg(3, ""))) plan.rows.push_back(Number(rows));
  if (plan.rows.empty()) plan.rows.assign(std::begin(kRowCounts), std::end(kRowCounts));
  Run(plan);
}
