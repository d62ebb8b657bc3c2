// Products of packed weights beside the machine's limits: `linnet_bench_products [FORMAT] [N K]`.
//   rows 512     share of the int8 peak measured in the same run
//   rows 1 to 8  share of the memory bandwidth; weights are read from memory, a different matrix every time;
//   and the
//                share of the peak that one thread reaches on weights from its caches
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
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
constexpr int kRepeat = 7;

struct FormatName {
  std::string_view name;
  PanelFormat format;
};
constexpr FormatName kFormats[] = {
    {"q4_0", PanelFormat::kQ4_0}, {"q4_1", PanelFormat::kQ4_1}, {"q5_0", PanelFormat::kQ5_0},
    {"q5_1", PanelFormat::kQ5_1}, {"q8_0", PanelFormat::kQ8_0}, {"q4_k", PanelFormat::kQ4K},
    {"q5_k", PanelFormat::kQ5K},  {"q6_k", PanelFormat::kQ6K},  {"bf16", PanelFormat::kBf16},
    {"f16", PanelFormat::kF16},   {"f32", PanelFormat::kF32},
};

// Bits that are harmless as factors of any format: 0x2e2e is a small positive float16 and bfloat16.
Matrix MakeMatrix(PanelFormat format, int64_t n, int64_t k) {
  Matrix matrix = AllocateMatrix(format, n, k);
  std::fill_n(matrix.panels.writable(), matrix.panels.size(), uint8_t{0x2e});
  return matrix;
}

double Seconds(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Product {
  PanelFormat format;
  int64_t n, k, rows;
};

// Best seconds of one product.
double Time(ThreadPool& pool, const Product& product, const LimitMeter& meter, MachineLimits& limits) {
  const int64_t bytes = PanelBytes(product.format, product.k) * PanelCount(product.n);
  const int64_t count = product.rows > Kernels().few_rows ? 1 : std::max<int64_t>(1, kFromMemory / bytes);
  std::vector<Matrix> matrices;
  for (int64_t i = 0; i < count; ++i) matrices.push_back(MakeMatrix(product.format, product.n, product.k));
  AlignedBuffer<float> x(static_cast<size_t>(product.rows * product.k)),
      y(static_cast<size_t>(product.rows * product.n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i % 1000));
  OpContext context(pool, Kernels());
  context.Reserve(product.rows, product.k, 1, 64);
  double best = 1e9;
  for (int i = 0; i < kRepeat; ++i) {
    const double seconds = Seconds([&] {
      for (const Matrix& matrix : matrices) {
        MatMul(context, matrix, MakeRows(x.data(), product.rows, product.k),
               MakeRows(y.data(), product.rows, product.n));
      }
    });
    best = std::min(best, seconds / static_cast<double>(count));
    if (i % 3 == 0) meter.MeasureProducts(limits);
    limits.bandwidth_gbs = std::max(limits.bandwidth_gbs, meter.ReadOnce() / 1e9);
  }
  return best;
}

// The share of one thread's int8 peak that the kernel of few rows reaches on panels that stay in the
// second-level cache.
double FromCaches(PanelFormat format, int64_t k, int64_t rows) {
  constexpr int64_t kPanels = 8, kRounds = 100;
  const KernelTable& kernels = Kernels();
  if (format < kFirstBlockFormat || rows > kernels.few_rows) return 0;
  const Matrix matrix = MakeMatrix(format, kPanels * kPanel, k);
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
  for (int i = 0; i < kRepeat; ++i) {
    seconds = std::min(seconds, Seconds([&] {
                         for (int64_t r = 0; r < kRounds; ++r)
                           kernels.formats[static_cast<int>(format)].few(product);
                       }));
    int64_t macs = 0;
    const double peak_seconds = Seconds([&] { macs = kernels.int8_peak(1 << 18); });
    peak = std::max(peak, static_cast<double>(macs) / peak_seconds);
  }
  return static_cast<double>(kRounds * matrix.n * k * rows) / seconds / peak;
}

void Run(const FormatName& format, int64_t n, int64_t k) {
  ThreadPool pool(GetCpuInfo().cores);
  const LimitMeter meter(pool);
  const double bytes = static_cast<double>(PanelBytes(format.format, k) * PanelCount(n));
  double one = 0;
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 8, 16, 512}) {
    MachineLimits limits;
    const double seconds = Time(pool, {format.format, n, k, rows}, meter, limits);
    if (rows == 1) one = seconds;
    fmt::print(
        "{} N {} K {} rows {:3}: {:5.1f} % of {:.1f} GB/s, {:5.1f} % of {:.3f} T int8, {:.2f} times one row",
        format.name, n, k, rows, 100 * bytes / seconds / 1e9 / limits.bandwidth_gbs, limits.bandwidth_gbs,
        100 * static_cast<double>(rows * n * k) / seconds / 1e12 / limits.int8_peak_tmacs,
        limits.int8_peak_tmacs, seconds / one);
    const double from_caches = FromCaches(format.format, k, rows);
    fmt::print("{}\n", from_caches > 0 ? fmt::format("; from the caches {:.1f} %", 100 * from_caches) : "");
  }
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  const std::string_view wanted = argc > 1 ? argv[1] : "q4_0";
  const int64_t n = argc > 3 ? std::atoll(argv[2]) : 3840, k = argc > 3 ? std::atoll(argv[3]) : 3840;
  for (const linnet::FormatName& format : linnet::kFormats) {
    if (wanted == format.name || wanted == "all") linnet::Run(format, n, k);
  }
}
