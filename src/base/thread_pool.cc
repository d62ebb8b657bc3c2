#include "base/thread_pool.h"

#include <algorithm>
#include <map>
#include <new>
#include <utility>

#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace linnet {
namespace {

// Long enough to bridge the single-threaded stretches of a decode step and the sampler, short enough that a
// finished answer does not keep a core busy.
constexpr auto kSpin = std::chrono::milliseconds(2);
// After this many pauses (some ten microseconds) a waiting thread offers its processor between looks: on a
// busy machine the one it waits for may need it.
constexpr int kEagerPauses = 256;
constexpr int kPausesPerLook = 32;

std::mutex shared_mutex;  // of what Shared() knows

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  WatchForks();
  made_after_ = forks_;
  const int workers = std::max(threads, 1) - 1;
  workers_.reserve(static_cast<size_t>(workers));
  try {
    for (int i = 0; i < workers; ++i) workers_.emplace_back([this, i] { Work(i + 1); });
  } catch (...) {
    Stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::WatchForks() {
  // Held while the process forks, so that the child finds it free.
  static const int watching = ::pthread_atfork([] { shared_mutex.lock(); }, [] { shared_mutex.unlock(); },
                                               [] {
                                                 ++forks_;
                                                 shared_mutex.unlock();
                                               });
  if (watching != 0) throw std::bad_alloc();
}

std::shared_ptr<ThreadPool> ThreadPool::Shared(int threads) {
  // What waits on an inherited pool waits in another process: it cannot be taken apart, and stays.
  const auto free = [](ThreadPool* pool) {
    if (!pool->Inherited()) delete pool;
  };
  static std::map<int, std::weak_ptr<ThreadPool>> pools;
  const std::lock_guard lock(shared_mutex);
  std::weak_ptr<ThreadPool>& known = pools[threads];
  std::shared_ptr<ThreadPool> pool = known.lock();
  if (pool == nullptr || pool->Inherited()) {
    pool = std::shared_ptr<ThreadPool>(new ThreadPool(threads), free);
    known = pool;
  }
  return pool;
}

bool ThreadPool::Enter() {
  if (workers_.empty() || Inherited()) return false;
  if (holder_.load(std::memory_order_relaxed) != std::this_thread::get_id()) {
    WaitForTurn();
    return true;
  }
  if (tickets_.load(std::memory_order_relaxed) > served_.load(std::memory_order_relaxed) &&
      TurnIsOver(kLongestTurn)) {
    Leave();
    WaitForTurn();
  }
  return false;
}

void ThreadPool::WaitForTurn() {
  const std::thread::id caller = std::this_thread::get_id(), nobody;
  std::unique_lock lock(queue_mutex_);
  const bool queue = tickets_ > served_;
  const bool goes_on = last_ == caller && !TurnIsOver(kShortestTurn);
  if (holder_ != nobody || (queue && !goes_on)) {
    const uint64_t mine = tickets_++;
    while (holder_ != nobody || served_ != mine || !TurnIsOver(kShortestTurn)) {
      // Who leaves early tells nobody, for it may come back: that wait ends by itself.
      if (TurnIsOver(kShortestTurn)) {
        queue_.wait(lock);
      } else {
        queue_.wait_until(lock, since_ + kShortestTurn);
      }
    }
    ++served_;
    queue_.notify_all();  // the others wait for the end of another turn now
  }
  if (last_ != caller || !goes_on) since_ = std::chrono::steady_clock::now();
  last_ = caller;
  holder_ = caller;
}

void ThreadPool::Leave() {
  if (Inherited()) return;
  bool over = false;
  {
    const std::lock_guard lock(queue_mutex_);
    holder_ = std::thread::id();
    over = tickets_ > served_ && TurnIsOver(kShortestTurn);
  }
  if (over) queue_.notify_all();
}

bool ThreadPool::TurnIsOver(std::chrono::milliseconds length) const {
  return std::chrono::steady_clock::now() - since_ >= length;
}

void ThreadPool::RunOnAll(Function function, const void* context) {
  function_ = function;
  context_ = context;
  pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1);  // sequentially consistent with the sleepers' count: no wake-up can be lost
  if (sleepers_.load() > 0) {
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  RunOne(0);
  for (int pauses = 1; pending_.load(std::memory_order_acquire) > 0; ++pauses) {
    Pause();
    if (pauses > kEagerPauses && pauses % kPausesPerLook == 0) std::this_thread::yield();
  }
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void ThreadPool::RunOne(int thread) {
  try {
    function_(context_, thread);
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!thrown_) thrown_ = std::current_exception();
  }
}

void ThreadPool::Work(int thread) {
  uint64_t seen = 0;
  while (true) {
    auto deadline = std::chrono::steady_clock::now() + kSpin;
    int pauses = 0;
    while (generation_.load(std::memory_order_acquire) == seen) {
      Pause();
      if (++pauses < kEagerPauses || pauses % kPausesPerLook != 0) continue;
      std::this_thread::yield();
      if (std::chrono::steady_clock::now() < deadline) continue;
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      sleepers_.fetch_sub(1);
      break;
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stop_) return;
    RunOne(thread);
    pending_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace linnet
