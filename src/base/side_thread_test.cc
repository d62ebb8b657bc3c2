#include "base/side_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <new>
#include <vector>

namespace linnet {
namespace {

// A gate that work waits at, so that a test decides when it goes on.
struct Gate {
  std::promise<void> entered, open;
  void Pass() {
    entered.set_value();
    open.get_future().wait();
  }
};

TEST(SideThread, DoesWorkElsewhereAndAgain) {
  SideThread side;
  int done = 0;
  std::thread::id where;
  std::promise<void> ran;
  SideThread::Task task(side, [&] {
    ++done;
    where = std::this_thread::get_id();
    ran.set_value();
  });
  EXPECT_FALSE(task.End());  // nothing was begun
  for (int i = 1; i <= 3; ++i) {
    ran = {};
    task.Begin();
    ran.get_future().wait();
    EXPECT_TRUE(task.End());
    EXPECT_EQ(done, i);
    EXPECT_NE(where, std::this_thread::get_id());
  }
  EXPECT_FALSE(task.End());
}

TEST(SideThread, TakesBackWhatHasNotBegun) {
  SideThread side;
  Gate gate;
  std::vector<int> done;
  SideThread::Task busy(side, [&] { gate.Pass(); });
  SideThread::Task second(side, [&] { done.push_back(2); });
  SideThread::Task third(side, [&] { done.push_back(3); });
  busy.Begin();
  gate.entered.get_future().wait();
  {
    SideThread::Task dropped(side, [&] { done.push_back(0); });
    second.Begin();
    dropped.Begin();
    third.Begin();
  }
  EXPECT_FALSE(second.End());
  second.Begin();  // behind the third now
  gate.open.set_value();
  EXPECT_TRUE(busy.End());
  while (!second.End()) second.Begin();
  EXPECT_EQ(done, (std::vector{3, 2}));
  EXPECT_TRUE(third.End());
}

TEST(SideThread, WaitsForWhatHasBegun) {
  SideThread side;
  Gate gate;
  bool done = false;
  SideThread::Task task(side, [&] {
    gate.Pass();
    done = true;
  });
  task.Begin();
  gate.entered.get_future().wait();
  std::thread opener([&] { gate.open.set_value(); });
  EXPECT_TRUE(task.End());
  EXPECT_TRUE(done);
  opener.join();
}

TEST(SideThread, TellsWhatWorkThrew) {
  SideThread side;
  Gate gate;
  SideThread::Task task(side, [&] {
    gate.entered.set_value();
    throw std::bad_alloc();
  });
  task.Begin();
  gate.entered.get_future().wait();
  EXPECT_THROW(task.End(), std::bad_alloc);
  EXPECT_FALSE(task.End());
}

}  // namespace
}  // namespace linnet
