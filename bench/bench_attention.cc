// One layer's attention for a token at 32,768 positions, for each type of the cache: microseconds, beside the
// time its keys and values take to be read. The shapes are those of the 12B's full and sliding layers.
#include <chrono>
#include <cmath>
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
constexpr int kRepeat = 9, kLayers = 8;  // as many stores as layers, so that none stays in a cache

struct Shape {
  std::string_view name;
  int64_t kv_heads, dim, keys, rotated_pairs;
  bool from_values;
};
constexpr Shape kShapes[] = {{"full", 1, 512, kDepth, 64, true}, {"sliding", 8, 256, 1024, 128, false}};

KvStore Filled(KvType type, const Shape& shape, std::span<const float> weight) {
  KvStore store(type, shape.kv_heads, shape.dim, shape.keys,
                {shape.rotated_pairs, weight, shape.from_values});
  std::vector<float> row(static_cast<size_t>(shape.kv_heads * shape.dim));
  for (int64_t p = 0; p < shape.keys; ++p) {
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = std::sin(static_cast<float>(static_cast<size_t>(p) * 37 + i));
    store.Write(p, row.data(), row.data());
  }
  return store;
}

void Measure(ThreadPool& pool, const LimitMeter& meter, const Shape& shape, KvType type,
             std::string_view type_name) {
  const std::vector<float> weight(static_cast<size_t>(shape.dim), 1.0f);
  std::vector<KvStore> stores;
  for (int i = 0; i < kLayers; ++i) stores.push_back(Filled(type, shape, weight));
  OpContext context(pool, Kernels());
  context.Reserve({1, 32, kHeads, shape.dim});
  std::vector<float> q(static_cast<size_t>(kHeads * shape.dim), 0.02f), out(q.size());
  const KeyRange visible{0, shape.keys - 1};
  double best = 1e9, bandwidth = 0;
  for (int i = 0; i < kRepeat; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    for (const KvStore& store : stores) {
      const StoreRows rows{&store, 0, 1};
      Attention(context, {MakeRows(q.data(), 1, kHeads * shape.dim), {&visible, 1}, 1.0f}, {&rows, 1},
                MakeRows(out.data(), 1, kHeads * shape.dim));
    }
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / kLayers);
    bandwidth = std::max(bandwidth, meter.ReadOnce());
  }
  const double bytes = static_cast<double>(stores[0].bytes());
  const double macs = 2.0 * kHeads * static_cast<double>(shape.keys * shape.dim);
  fmt::print(
      "{:8} {:5}: {:6.0f} us a layer, {:.2f} MB take {:5.0f} us to read at {:.1f} GB/s; {:.3f} T "
      "multiply-adds/s\n",
      shape.name, type_name, 1e6 * best, bytes / 1e6, 1e6 * bytes / bandwidth, bandwidth / 1e9,
      macs / best / 1e12);
}

}  // namespace
}  // namespace linnet

int main() {
  using namespace linnet;
  ThreadPool pool(GetCpuInfo().cores);
  const LimitMeter meter(pool);
  fmt::print("kernels {}\n", Kernels().name);
  for (const Shape& shape : kShapes) {
    Measure(pool, meter, shape, KvType::kF32, "f32");
    Measure(pool, meter, shape, KvType::kBf16, "bf16");
    Measure(pool, meter, shape, KvType::kInt8, "int8");
  }
}
