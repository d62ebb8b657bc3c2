// One layer's attention beside the processor's peak for pairs of bfloat16, measured between the repetitions:
// a token at several depths (writing), chunks of a prompt at 32,768 positions (reading), and what the parts
// of a step over a block of keys take. The shapes are those of the 12B's full and sliding layers.
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/cpu_info.h"
#include "eval/bench_limits.h"
#include "kernels/dispatch.h"
#include "ops/attention.h"

namespace linnet {
namespace {

constexpr int64_t kHeads = 16, kDepth = 32768;
constexpr int kLayers = 8;                   // as many stores as layers, so that none stays in a cache
constexpr int64_t kMostBytes = 700'000'000;  // of all stores of a line
constexpr double kSeconds = 1.5;             // of a line, at least two repetitions
constexpr int64_t kPeakIterations = 1 << 17;

struct Shape {
  std::string_view name;
  int64_t kv_heads, dim, rotated_pairs;
  bool from_values;
};
constexpr Shape kFull = {"full", 1, 512, 64, true}, kSliding = {"sliding", 8, 256, 128, false};

struct Type {
  KvType type;
  std::string_view name;
};
constexpr Type kF32 = {KvType::kF32, "f32"}, kBf16 = {KvType::kBf16, "bf16"}, kInt8 = {KvType::kInt8, "int8"};

struct Limits {
  ThreadPool& pool;
  LimitMeter meter{pool};

  // Of one thread its own time, of which neighbours on a shared machine take nothing.
  double Seconds() const {
    timespec now;
    clock_gettime(pool.threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }

  // Products of pairs of bfloat16 from registers, multiply-adds a second of all threads, in the faster of two
  // ways.
  double PairPeak() const {
    double best = 0;
    for (const KernelTable* table : SupportedKernels()) {
      std::vector<int64_t> products(static_cast<size_t>(pool.threads()));
      const double begin = Seconds();
      pool.Run([&](int t) { products[static_cast<size_t>(t)] = table->cache.pair_peak(kPeakIterations); });
      const double seconds = Seconds() - begin;
      double sum = 0;
      for (const int64_t n : products) sum += static_cast<double>(n);
      best = std::max(best, sum / seconds);
    }
    return best;
  }
};

std::vector<KvStore> Filled(KvType type, const Shape& shape, int64_t keys, std::span<const float> weight) {
  std::vector<KvStore> stores;
  const auto add = [&] {
    stores.emplace_back(type, shape.kv_heads, shape.dim, keys,
                        KeyNorm{shape.rotated_pairs, weight, shape.from_values});
  };
  add();
  std::vector<float> row(static_cast<size_t>(shape.kv_heads * shape.dim));
  for (int64_t p = 0; p < keys; ++p) {
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = std::sin(static_cast<float>(static_cast<size_t>(p) * 37 + i));
    stores[0].Write(p, row.data(), row.data());
  }
  const int64_t bytes = static_cast<int64_t>(stores[0].bytes());
  while (std::ssize(stores) < kLayers && (std::ssize(stores) + 1) * bytes <= kMostBytes) {
    add();
    stores.back().CopyFrom(stores[0], 0, keys);
  }
  return stores;
}

// `rows` tokens at the end of `keys` positions, each of which sees all up to itself.
void Measure(const Limits& limits, const Shape& shape, Type type, int64_t keys, int64_t rows) {
  const std::vector<float> weight(static_cast<size_t>(shape.dim), 1.0f);
  std::vector<KvStore> stores = Filled(type.type, shape, keys, weight);
  if (rows > 1) stores.resize(1);
  OpContext context(limits.pool, Kernels());
  context.Reserve({rows, 32, kHeads, shape.dim});
  const int64_t width = kHeads * shape.dim;
  std::vector<float> q(static_cast<size_t>(rows * width), 0.02f), out(q.size());
  std::vector<KeyRange> visible;
  double products = 0;
  for (int64_t r = 0; r < rows; ++r) {
    visible.push_back({0, keys - rows + r});
    products += 2.0 * static_cast<double>(width * (keys - rows + r + 1));
  }
  double best = 1e9, bandwidth = 0, peak = 0;
  const double until = limits.Seconds() + kSeconds;
  for (int i = 0; i < 2 || limits.Seconds() < until; ++i) {
    peak = std::max(peak, limits.PairPeak());
    const double begin = limits.Seconds();
    for (const KvStore& store : stores) {
      const StoreRows all{&store, 0, rows};
      Attention(context, {MakeRows(q.data(), rows, width), visible, 1.0f}, {&all, 1},
                MakeRows(out.data(), rows, width));
    }
    best = std::min(best, (limits.Seconds() - begin) / static_cast<double>(stores.size()));
    bandwidth = std::max(bandwidth, limits.meter.ReadOnce());
  }
  const double bytes = static_cast<double>(stores[0].bytes());
  fmt::print(
      "{:8} {:5} {:4} rows at {:6}: {:9.0f} us a layer, {:3.0f} % of {:.3f} T multiply-adds/s; "
      "{:6.2f} MB take {:5.0f} us to read at {:.1f} GB/s\n",
      shape.name, type.name, rows, keys, 1e6 * best, 100 * products / best / peak, peak / 1e12, bytes / 1e6,
      1e6 * bytes / bandwidth, bandwidth / 1e9);
}

// What one thread does for a block of keys and a token's heads of a full layer, part by part, all in caches.
class Parts {
 public:
  void Print(const Limits& limits) {
    const std::vector<float> ones(static_cast<size_t>(kFull.dim * kKeyBlock), 0.02f);
    for (int64_t r = 0; r < kHeads; ++r) {
      cache_.pack_pairs(ones.data(), kFull.dim, {q_.data(), kFull.dim * kInputRows, r});
      max_[static_cast<size_t>(r)] = 100.0f;
    }
    const double peak = limits.PairPeak() / limits.pool.threads();
    const double ideal = 2.0 * kHeads * kKeyBlock * kFull.dim / peak;
    fmt::print("bf16, a block of {} keys, {} heads, one thread, against its products at the peak:\n",
               kKeyBlock, kHeads);
    const auto line = [&](std::string_view name, const auto& part) {
      double best = 1e9;
      for (int i = 0; i < 200; ++i) {
        const double begin = limits.Seconds();
        for (int repeat = 0; repeat < 8; ++repeat) part();
        best = std::min(best, (limits.Seconds() - begin) / 8);
      }
      fmt::print("  {:24} {:6.2f} us, {:3.0f} %\n", name, 1e6 * best, 100 * best / ideal);
    };
    line("keys of shared rows", [&] { Regroup(); });
    line("scores", [&] { Score(); });
    line("softmax", [&] { Softmax(); });
    line("weights to pairs", [&] { Pack(); });
    line("values", [&] { AddValues(); });
  }

 private:
  void Regroup() { cache_.regroup_pairs({rows_.data() + 256, kWidth, kKeyBlock, kFull.dim}, keys_.data()); }
  void Score() {
    cache_.pair_product({{keys_.data(), kFull.dim * 16, 32, kFull.dim / 2, kKeyBlock},
                         {q_.data(), kFull.dim * kInputRows},
                         scores_.data(),
                         kKeyBlock,
                         kHeads,
                         false,
                         {}});
  }
  void Softmax() {
    for (size_t r = 0; r < kHeads; ++r)
      Kernels().softmax_block(&scores_[r * kKeyBlock], kKeyBlock, &max_[r], &total_[r]);
  }
  void Pack() {
    for (int64_t r = 0; r < kHeads; ++r) {
      cache_.pack_pairs(&scores_[static_cast<size_t>(r * kKeyBlock)], kKeyBlock,
                        {weights_.data(), kKeyBlock * kInputRows, r});
    }
  }
  void AddValues() {
    cache_.pair_product({{rows_.data(), 32, kWidth * 2, kKeyBlock / 2, kFull.dim},
                         {weights_.data(), kKeyBlock * kInputRows},
                         sums_.data(),
                         kFull.dim,
                         kHeads,
                         true,
                         {}});
  }

  static constexpr int64_t kWidth = 640;
  template <typename T>
  static AlignedBuffer<T> Zeros(int64_t n) {
    return AlignedBuffer<T>(static_cast<size_t>(n));
  }
  const CacheKernels& cache_ = Kernels().cache;
  AlignedBuffer<uint16_t> rows_ = Zeros<uint16_t>(kKeyBlock * kWidth),
                          keys_ = Zeros<uint16_t>(kKeyBlock * kFull.dim);
  AlignedBuffer<float> q_ = Zeros<float>(kHeads * kFull.dim), scores_ = Zeros<float>(kHeads * kKeyBlock),
                       weights_ = Zeros<float>(kHeads * kKeyBlock), sums_ = Zeros<float>(kHeads * kFull.dim),
                       max_ = Zeros<float>(kHeads), total_ = Zeros<float>(kHeads);
};

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  using namespace linnet;
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : GetCpuInfo().cores);
  const Limits limits{pool};
  fmt::print("kernels {}, {} threads\n", Kernels().name, pool.threads());
  Parts().Print(limits);
  for (const Type type : {kBf16, kInt8}) {
    for (const int64_t keys : {int64_t{1024}, int64_t{16384}, kDepth, 4 * kDepth})
      Measure(limits, kFull, type, keys, 1);
    for (const int64_t rows : {128, 512}) Measure(limits, kFull, type, kDepth, rows);
    Measure(limits, kSliding, type, 1024, 1);
    Measure(limits, kSliding, type, 1024, 128);
  }
  Measure(limits, kFull, kF32, kDepth, 1);
  Measure(limits, kSliding, kF32, 1024, 1);
}
