#include "base/memory_limits.h"
#include "base/directory_testing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace linnet {
namespace {

using Kind = MemoryLimit::Kind;

class MemoryLimitsOf : public DirectoryTest {
 protected:
  // The limit whose name holds this; an empty one where there is none.
  MemoryLimit Named(const std::string& part) const {
    for (const MemoryLimit& limit : ReadMemoryLimits(root_)) {
      if (limit.name.find(part) != std::string::npos) return limit;
    }
    return {};
  }
};

TEST_F(MemoryLimitsOf, AreNoneWhereTheSystemSaysNothing) {
#ifdef __linux__
  EXPECT_TRUE(ReadMemoryLimits(root_).empty());
#endif
  File("proc/meminfo", "MemTotal: many kB\nMemAvailable:");
  File("proc/self/cgroup", "0\n::\n0::/../..\n1:memory");
  File("proc/self/limits", "Max address space");
#ifdef __linux__
  EXPECT_TRUE(ReadMemoryLimits(root_).empty());
#endif
}

TEST_F(MemoryLimitsOf, TheMachineCountsItsFileCacheAsFree) {
  File("proc/meminfo",
       "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:   12000000 kB\n"
       "Cached:         11000000 kB");
  const std::vector<MemoryLimit> limits = ReadMemoryLimits(root_);
  ASSERT_EQ(limits.size(), 1u);
  EXPECT_EQ(limits[0].kind, Kind::kMachine);
  EXPECT_EQ(limits[0].bytes, uint64_t{16'384'000'000});
  EXPECT_EQ(limits[0].available, uint64_t{12'288'000'000});
}

TEST_F(MemoryLimitsOf, OldSystemsDoNotSumItUp) {
  File("proc/meminfo",
       "MemTotal: 1000 kB\nMemFree: 100 kB\nActive: 500 kB\nActive(file): 200 kB\nInactive(file): 30 kB\n"
       "SReclaimable: 4 kB");
  EXPECT_EQ(Named("machine").available, 334u * 1024);
}

TEST_F(MemoryLimitsOf, AGroupOfVersionTwo) {
  File("proc/self/cgroup", "0::/user.slice/job");
  File("sys/fs/cgroup/user.slice/job/memory.max", "8000000000");
  File("sys/fs/cgroup/user.slice/job/memory.high", "max");
  File("sys/fs/cgroup/user.slice/job/memory.current", "3000000000");
  File("sys/fs/cgroup/user.slice/job/memory.stat",
       "anon 900000000\nfile 2100000000\nshmem 100000000\ninactive_file 1500000000\nactive_file 500000000\n"
       "slab_reclaimable 50000000");
  const MemoryLimit own = Named("memory.max");
  EXPECT_EQ(own.kind, Kind::kControlGroup);
  EXPECT_EQ(own.name, "control group /user.slice/job, memory.max");
  EXPECT_EQ(own.bytes, uint64_t{8'000'000'000});
  EXPECT_EQ(own.available, uint64_t{8'000'000'000 - 3'000'000'000 + 2'050'000'000});
  EXPECT_EQ(Named("memory.high").bytes, 0u) << "no limit";
}

TEST_F(MemoryLimitsOf, SoDoTheGroupsThatHoldIt) {
  File("proc/self/cgroup", "0::/user.slice/job");
  File("sys/fs/cgroup/user.slice/memory.high", "4000000000");
  File("sys/fs/cgroup/user.slice/memory.current", "5000000000");
  EXPECT_EQ(Named("memory.high").bytes, uint64_t{4'000'000'000});
  EXPECT_EQ(Named("memory.high").available, 0u) << "more is held than it allows";
  File("proc/self/cgroup", "0::/not/mounted/here");  // a container's own group is the mount's root
  File("sys/fs/cgroup/memory.max", "2000000000");
  EXPECT_EQ(Named("control group /, memory.max").available, uint64_t{2'000'000'000});
}

TEST_F(MemoryLimitsOf, AGroupOfVersionOne) {
  File("proc/self/cgroup", "5:cpu:/x\n4:memory:/a/b\n0::/");
  File("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712");
  File("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "6000000000");
  File("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "5000000000");
  File("sys/fs/cgroup/memory/a/memory.stat",
       "cache 1\ninactive_file 1\nactive_file 1\ntotal_inactive_file 3000000000\ntotal_active_file "
       "1000000000");
  const std::vector<MemoryLimit> limits = ReadMemoryLimits(root_);
  ASSERT_EQ(limits.size(), 1u);
  EXPECT_EQ(limits[0].name, "control group /a, memory.limit_in_bytes");
  EXPECT_EQ(limits[0].available, uint64_t{5'000'000'000});
}

TEST_F(MemoryLimitsOf, UlimitLeavesWhatIsNotMappedYet) {
  File("proc/self/limits",
       "Limit                     Soft Limit           Hard Limit           Units\n"
       "Max data size             unlimited            unlimited            bytes\n"
       "Max address space         8589934592           unlimited            bytes");
  File("proc/self/status", "Name: linnet\nVmPeak:  9000000 kB\nVmSize:  1048576 kB\nVmData:  500000 kB");
  const std::vector<MemoryLimit> limits = ReadMemoryLimits(root_);
  ASSERT_EQ(limits.size(), 1u);
  EXPECT_EQ(limits[0].kind, Kind::kAddressSpace);
  EXPECT_EQ(limits[0].bytes, uint64_t{8} << 30);
  EXPECT_EQ(limits[0].available, uint64_t{7} << 30);
}

}  // namespace
}  // namespace linnet
