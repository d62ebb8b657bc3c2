// A thread for short work whose result is wanted a little later: what it has not begun by then is taken back.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace linnet {

// Runs tasks one after another. Where the system has no thread for it, it runs none. Thread safety: any.
class SideThread {
 public:
  // Work that is run again and again. It belongs to one thread at a time, and its side thread outlives it.
  class Task {
   public:
    Task(SideThread& side, std::function<void()> work) : side_(side), work_(std::move(work)) {}
    ~Task();
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    // Allocates nothing. REQUIRES: End() was called since the last Begin().
    void Begin();
    // Whether the work ran. Waits where it is being done, takes it back where it has not begun, and throws
    // what the work threw.
    bool End();

   private:
    friend SideThread;
    enum class State { kIdle, kWaiting, kRunning, kRan };

    SideThread& side_;
    std::function<void()> work_;
    std::exception_ptr thrown_;
    State state_ = State::kIdle;  // this and next_: under the side thread's mutex
    Task* next_ = nullptr;        // in the queue
  };

  SideThread();
  ~SideThread();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  Task* first_ = nullptr;  // of those that wait
  bool stop_ = false, runs_ = false;
  std::thread thread_;
};

}  // namespace linnet
