// Two engines of one process that write at once, each on a thread of its own, beside one that writes alone.
// Usage: linnet_bench_engines [SYNTHETIC] [TOKENS]; without a shape (12b@2:q4_0) it is Chick.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>

#include "base/stopwatch.h"
#include "bench_engine.h"
#include "eval/median.h"
#include "linnet/engine.h"
#include "linnet/session.h"

namespace linnet {
namespace {

constexpr int kRepeat = 9;

struct Writer {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;

  explicit Writer(const std::string& shape) {
    engine = OpenEngine(shape);
    session = Must(engine->NewSession({.context = 512}));
  }

  // Tokens a second of `count` steps of one row.
  double Write(int64_t count) {
    Must(session->Truncate(0));
    const int32_t id = 301;
    const Clock::time_point begin = Clock::now();
    for (int64_t t = 0; t < count; ++t) {
      Must(session->Feed({&id, 1}));
      const auto logits = session->logits();  // what a sampler does: a pass over the logits on one thread
      if (*std::ranges::max_element(logits) > 1e30f) std::exit(1);
    }
    return static_cast<double>(count) / SecondsSince(begin);
  }
};

// Of the whole process: what threads that wait by spinning cost shows here, also on a busy machine.
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void Measure(const std::string& shape, int64_t count) {
  Writer a(shape), b(shape);
  std::vector<double> alone, first, second, together, cpu;
  a.Write(count), b.Write(count);
  for (int i = 0; i < kRepeat; ++i) {
    const double begin = CpuSeconds();
    alone.push_back(a.Write(count));
    const double middle = CpuSeconds();
    double of_b = 0;
    std::thread other([&] { of_b = b.Write(count); });
    first.push_back(a.Write(count));
    other.join();
    second.push_back(of_b);
    together.push_back((first.back() + of_b) / alone.back());
    cpu.push_back((CpuSeconds() - middle) / (2 * (middle - begin)));
  }
  fmt::print(
      "{}: alone {:.1f} tokens/s; two at once {:.1f} and {:.1f}, together {:.2f} times one alone, with "
      "{:.2f} "
      "times its processor time a token\n",
      shape.empty() ? "chick" : shape, Median(alone), Median(first), Median(second), Median(together),
      Median(cpu));
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  const std::string shape = argc > 1 ? argv[1] : "";
  linnet::Measure(shape, argc > 2 ? std::atoll(argv[2]) : 400);
}
