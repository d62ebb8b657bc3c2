#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace linnet {
namespace {

TEST(ThreadPool, IsSharedByThoseWhoWantAsManyThreads) {
  std::shared_ptr<ThreadPool> three = ThreadPool::Shared(3);
  EXPECT_EQ(three, ThreadPool::Shared(3));
  EXPECT_NE(three, ThreadPool::Shared(2));
  EXPECT_EQ(three->threads(), 3);
  const std::weak_ptr<ThreadPool> gone = three;
  three.reset();
  EXPECT_TRUE(gone.expired());
  EXPECT_EQ(ThreadPool::Shared(3)->threads(), 3);
}

TEST(ThreadPool, CallsOfSeveralThreadsTakeTurns) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  int64_t sums[4] = {};
  for (int64_t& sum : sums) {
    callers.emplace_back([&pool, &sum] {
      for (int i = 0; i < 200; ++i) {
        int64_t of_thread[3] = {};
        pool.Run([&](int thread) { of_thread[thread] = thread + 1; });
        sum += of_thread[0] + of_thread[1] + of_thread[2];
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const int64_t sum : sums) EXPECT_EQ(sum, 200 * 6);
}

TEST(ThreadPool, ALeaseIsOneCallersAlone) {
  ThreadPool pool(2);
  std::vector<std::thread> callers;
  int64_t inside = 0;  // of all callers: the lease alone protects it
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const ThreadPool::Lease lease(pool);
        pool.Run([](int) {});
        {
          const ThreadPool::Lease again(pool);  // changes nothing, nor does its end
        }
        ++inside;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(inside, 200);
}

TEST(ThreadPool, ALongLeaseLetsOthersGoFirst) {
  ThreadPool pool(2);
  std::atomic<bool> gone{false};
  std::thread other;
  const ThreadPool::Lease lease(pool);
  other = std::thread([&] { pool.Run([&](int) { gone = true; }); });
  while (!gone) pool.Run([](int) {});
  other.join();
}

// A child has no threads but the one that forked: what it inherited works all the same, and new pools do.
TEST(ThreadPool, WorksInAForkedProcess) {
  std::shared_ptr<ThreadPool> pool = ThreadPool::Shared(3);
  pool->Run([](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the workers of most runs sleep by then
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    int ran = 0;
    const auto count = [&ran](int thread) { ran += thread + 1; };
    {
      const ThreadPool::Lease lease(*pool);
      pool->Run(count);
    }
    pool.reset();
#ifndef __SANITIZE_THREAD__  // which starts no threads in a child
    std::atomic<int> parts{0};
    ThreadPool::Shared(3)->Run([&](int) { ++parts; });
    if (parts != 3) ran = 0;
#endif
    ::_exit(ran == 6 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::atomic<int> ran{0};
  pool->Run([&](int) { ++ran; });
  EXPECT_EQ(ran, 3);
}

TEST(ThreadPool, WhatABodyThrowsLeavesThePoolToOthers) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.Run([](int thread) {
    if (thread == 1) throw std::runtime_error("x");
  }),
               std::runtime_error);
  std::atomic<int> ran{0};
  std::thread([&] { pool.Run([&](int) { ++ran; }); }).join();
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace linnet
