#include "base/side_thread.h"

#include <system_error>
#include <utility>

#include "base/check.h"

namespace linnet {

SideThread::SideThread() {
  try {
    thread_ = std::thread([this] { Run(); });
    runs_ = true;
  } catch (const std::system_error&) {
    // Then nothing is done beside.
  }
}

SideThread::~SideThread() {
  if (!runs_) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begun_.notify_one();
  thread_.join();
}

void SideThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    begun_.wait(lock, [this] { return stop_ || first_ != nullptr; });
    if (stop_) return;
    Task& task = *std::exchange(first_, first_->next_);
    task.state_ = Task::State::kRunning;
    lock.unlock();
    std::exception_ptr thrown;
    try {
      task.work_();
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    task.thrown_ = std::move(thrown);
    task.state_ = Task::State::kRan;
    ended_.notify_all();
  }
}

SideThread::Task::~Task() {
  try {
    End();
  } catch (...) {
    // Nobody wants the result any more.
  }
}

void SideThread::Task::Begin() {
  {
    const std::lock_guard lock(side_.mutex_);
    LINNET_CHECK(state_ == State::kIdle);
    if (!side_.runs_) return;
    Task** last = &side_.first_;
    while (*last != nullptr) last = &(*last)->next_;
    *last = this;
    next_ = nullptr;
    state_ = State::kWaiting;
  }
  side_.begun_.notify_one();
}

bool SideThread::Task::End() {
  std::unique_lock lock(side_.mutex_);
  if (state_ == State::kWaiting) {
    Task** place = &side_.first_;
    while (*place != this) place = &(*place)->next_;
    *place = next_;
    state_ = State::kIdle;
  }
  side_.ended_.wait(lock, [this] { return state_ != State::kRunning; });
  const bool ran = std::exchange(state_, State::kIdle) == State::kRan;
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  return ran;
}

}  // namespace linnet
