#include "base/cpu_topology.h"
#include "base/directory_testing.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

namespace linnet {
namespace {

namespace fs = std::filesystem;

class CpuTopology : public DirectoryTest {
 protected:
  void Cpu(int number, const std::string& file, const std::string& text) {
    File("sys/devices/system/cpu/cpu" + std::to_string(number) + "/" + file, text);
  }
  int Threads(int processors) {
    std::vector<int> all(static_cast<size_t>(processors));
    std::iota(all.begin(), all.end(), 0);
    return UsefulThreads(root_, all);
  }
};

TEST_F(CpuTopology, WithoutFilesEveryProcessorCounts) {
  EXPECT_EQ(Threads(6), 6);
  EXPECT_EQ(UsefulThreads(root_, {}), 1);
}

TEST_F(CpuTopology, OneThreadAPhysicalCore) {
  for (int p = 0; p < 8; ++p)
    Cpu(p, "topology/core_cpus_list", std::to_string(p % 4) + "," + std::to_string(p % 4 + 4));
  EXPECT_EQ(Threads(8), 4);
  EXPECT_EQ(UsefulThreads(root_, std::vector<int>{1, 5, 6}), 2);  // affinity
}

TEST_F(CpuTopology, OlderKernelsNameSiblingsOtherwise) {
  for (int p = 0; p < 4; ++p) Cpu(p, "topology/thread_siblings_list", p < 2 ? "0-1" : "2-3");
  EXPECT_EQ(Threads(4), 2);
}

// Six fast cores of two threads each, eight slow ones.
TEST_F(CpuTopology, HybridLaptopsUseTheirFastCores) {
  File("sys/devices/cpu_core/cpus", "0-11");
  File("sys/devices/cpu_atom/cpus", "12-19");
  for (int p = 0; p < 12; ++p)
    Cpu(p, "topology/core_cpus_list", std::to_string(p / 2 * 2) + "-" + std::to_string(p / 2 * 2 + 1));
  for (int p = 12; p < 20; ++p) Cpu(p, "topology/core_cpus_list", std::to_string(p));
  EXPECT_EQ(Threads(20), 6);
  EXPECT_EQ(UsefulThreads(root_, std::vector<int>{10, 11, 12, 13}), 1);
  EXPECT_EQ(UsefulThreads(root_, std::vector<int>{12, 13, 14}), 3) << "only slow ones are allowed";
}

TEST_F(CpuTopology, BigAndLittleCoresTellTheirCapacity) {
  const char* capacities[] = {"250", "250", "250", "250", "870", "870", "870", "1024"};
  for (int p = 0; p < 8; ++p) Cpu(p, "cpu_capacity", capacities[p]);
  EXPECT_EQ(Threads(8), 4);
}

TEST_F(CpuTopology, OtherwiseTheHighestFrequencyTells) {
  for (int p = 0; p < 8; ++p)
    Cpu(p, "cpufreq/cpuinfo_max_freq", p < 2 ? "5100000" : p < 4 ? "4900000" : "2400000");
  EXPECT_EQ(Threads(8), 4);
  fs::remove(root_ / "sys/devices/system/cpu/cpu3/cpufreq/cpuinfo_max_freq");
  EXPECT_EQ(Threads(8), 8) << "one that does not say";
}

TEST_F(CpuTopology, TheControlGroupsQuotaBoundsThem) {
  File("proc/self/cgroup", "0::/user.slice/job");
  File("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000");
  EXPECT_EQ(Threads(8), 8);
  File("sys/fs/cgroup/user.slice/cpu.max", "350000 100000");  // a group that holds it
  EXPECT_EQ(Threads(8), 3);
  File("sys/fs/cgroup/user.slice/job/cpu.max", "50000 100000");
  EXPECT_EQ(Threads(8), 1);
}

TEST_F(CpuTopology, SoDoesThatOfAContainerOrOfVersionOne) {
  File("proc/self/cgroup", "0::/not/mounted/here");
  File("sys/fs/cgroup/cpu.max", "200000 100000");
  EXPECT_EQ(Threads(8), 2);
  File("proc/self/cgroup", "4:memory:/a\n3:cpu,cpuacct:/a/b");
  File("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "400000");
  File("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Threads(8), 4);
  File("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(Threads(8), 8);
}

TEST_F(CpuTopology, NonsenseIsPassedOver) {
  File("sys/devices/cpu_core/cpus", "a,-,3-,99999999999999999999,5-4");
  File("proc/self/cgroup", "0\n::\n0::../../..\nx:cpu");
  File("sys/fs/cgroup/cpu.max", "");
  for (int p = 0; p < 4; ++p) Cpu(p, "cpu_capacity", "many");
  EXPECT_EQ(Threads(4), 4);
}

}  // namespace
}  // namespace linnet
