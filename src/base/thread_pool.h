// A pool of threads for the engines of a process.
//
// Thread safety: any thread may call anything. Callers take turns, first come first served, and sleep while
// another holds the pool: at least kShortestTurn, in which a caller that ends a lease and soon begins the
// next keeps the pool, and not much more than kLongestTurn, after which a Run() within a lease lets the
// others go first. Between the two a turn ends with a lease. Invariants:
//  1. Run() hands out parts by index only; what a part computes may not depend on which thread takes it or on
//     how many there are. Results are therefore the same for every thread count.
//  2. Run() allocates nothing. What a body throws on any thread (no memory, nothing else) comes out of Run()
//     once all have finished.
//  3. A process that was forked has no threads but the one that forked: there the caller runs all parts of an
//     inherited pool, one after the other, and nothing waits.
//  4. Between calls workers spin for a short while and then sleep, so that a decode step (a few hundred
//     calls) does not pay for wake-ups and an idle program costs nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace linnet {

class ThreadPool {
 public:
  // `threads` counts the calling thread; below 1 is taken as 1. Throws std::system_error when the system
  // starts no more (memory_guard.h makes an error of it).
  explicit ThreadPool(int threads);
  ~ThreadPool();
  // The pool of this process with so many threads, which lives as long as somebody holds it: pools of their
  // own would spin against each other on the same cores. Throws as the constructor does.
  static std::shared_ptr<ThreadPool> Shared(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // The pool for one caller, for many calls of Run(): callers that took turns call by call would throw each
  // other's data out of the caches. Within another lease of the same thread it changes nothing.
  class Lease {
   public:
    explicit Lease(ThreadPool& pool) : pool_(pool), first_(pool.Enter()) {}
    ~Lease() {
      if (first_) pool_.Leave();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    ThreadPool& pool_;
    const bool first_;
  };
  static constexpr std::chrono::milliseconds kShortestTurn{2}, kLongestTurn{20};

  // Calls body(thread) once on every thread, 0 ≤ thread < threads(), and returns when all have finished.
  template <typename Body>
  void Run(const Body& body) {
    if (workers_.empty()) {
      body(0);
      return;
    }
    if (Inherited()) {
      for (int thread = 0; thread < threads(); ++thread) body(thread);
      return;
    }
    const Lease lease(*this);
    RunOnAll([](const void* context, int thread) { (*static_cast<const Body*>(context))(thread); }, &body);
  }

  // Run() where it pays: work of less than kSmallWork multiply-adds (or as much of anything else) is done by
  // the calling thread in the place of all, part by part.
  static constexpr int64_t kSmallWork = 1 << 16;
  template <typename Body>
  void RunIfLarge(int64_t work, const Body& body) {
    if (work >= kSmallWork) return Run(body);
    for (int thread = 0; thread < threads(); ++thread) body(thread);
  }

  // Splits [0, count) into contiguous ranges, one a thread: body(begin, end, thread). Empty ranges are not
  // called. `work` is that of all items together, see RunIfLarge.
  template <typename Body>
  void For(int64_t count, const Body& body, int64_t work = kSmallWork) {
    const int64_t n = threads();
    RunIfLarge(work, [&](int thread) {
      const int64_t begin = count * thread / n;
      const int64_t end = count * (thread + 1) / n;
      if (begin < end) body(begin, end, thread);
    });
  }

 private:
  using Function = void (*)(const void* context, int thread);
  void RunOnAll(Function function, const void* context);
  bool Inherited() const { return made_after_ != forks_.load(std::memory_order_relaxed); }
  void RunOne(int thread);
  void Work(int thread);
  void Stop();
  bool Enter();  // whether the calling thread did not hold the pool before
  void Leave();
  void WaitForTurn();
  bool TurnIsOver(std::chrono::milliseconds length) const;

  // How often this process and those it comes from were made by fork(), as far as it matters here.
  static inline std::atomic<uint64_t> forks_{0};
  static void WatchForks();

  uint64_t made_after_ = 0;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Function function_ = nullptr;
  const void* context_ = nullptr;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> pending_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::exception_ptr thrown_;  // by a body, the first; under mutex_ until all have finished

  // Whose turn it is. Without workers nothing is shared and nobody waits.
  std::mutex queue_mutex_;
  std::condition_variable queue_;
  std::atomic<std::thread::id> holder_;           // nobody's while free
  std::atomic<uint64_t> tickets_{0}, served_{0};  // of those who had to wait
  std::thread::id last_;                          // the holder, and who held it before it became free
  std::chrono::steady_clock::time_point since_;   // when the turn of `last_` began
};

}  // namespace linnet
