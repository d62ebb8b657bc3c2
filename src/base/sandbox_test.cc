#include "base/sandbox.h"

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace linnet {
namespace {

// Runs in a child and gives its exit code; the sandbox cannot be left.
template <typename Function>
int InChild(const Function& function) {
  const pid_t id = ::fork();
  if (id == 0) ::_exit(function());
  int status = 0;
  ::waitpid(id, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

TEST(Sandbox, TakesFilesSocketsProgramsAndCodeAway) {
  const int open_before = ::open("/proc/self/status", O_RDONLY);
  ASSERT_GE(open_before, 0);
  const int code = InChild([&] {
    const SandboxState state = EnterSandbox({});
    if (!state.limits) return 1;
    if (!state.no_files && !state.few_calls) return 77;  // this system grants neither
    if (::open("/etc/passwd", O_RDONLY) >= 0) return 2;
    if (::open("/tmp/linnet-sandbox-test", O_CREAT | O_WRONLY, 0600) >= 0) return 3;
    if (state.few_calls) {
      if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) return 4;
      if (::fork() >= 0) return 5;
      char* const arguments[] = {nullptr};
      ::execve("/bin/true", arguments, arguments);  // returns only when it fails
      if (::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 6;
    }
    // What decoding needs still works.
    void* memory = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 7;
    void* heap = std::malloc(100 << 20);
    if (heap == nullptr) return 8;
    std::free(heap);
    return state.no_files && state.few_calls ? 0 : 78;
  });
  ::close(open_before);
  if (code == 77) GTEST_SKIP() << "neither landlock nor seccomp is there";
  EXPECT_TRUE(code == 0 || code == 78) << code;
}

TEST(Sandbox, ATighterLimitStays) {
  const int code = InChild([] {
    const uint64_t tight = uint64_t{1} << 30;
    const rlimit limit = {tight, tight};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    if (!EnterSandbox({}).limits) return 2;
    void* memory = ::mmap(nullptr, 2 * tight, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? 0 : 3;
  });
  if (code > 100) GTEST_SKIP() << "a sanitizer needs more memory";
  EXPECT_EQ(code, 0);
}

TEST(Sandbox, ThreadsAreAllowedWhereAskedForAndProcessesAreNot) {
  const int code = InChild([] {
    const SandboxState state = EnterSandbox({.processors = 2});
    std::atomic<int> sum = 0;
    {
      std::thread one([&] { sum += 1; }), two([&] { sum += 2; });
      one.join();
      two.join();
    }
    if (sum != 3) return 1;
    if (std::thread::hardware_concurrency() > 2) return 2;
    return state.few_calls && ::fork() >= 0 ? 3 : 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(Sandbox, AProgramOfOthersReadsTheSystemAndNothingElse) {
  const std::string secret = ::testing::TempDir() + "linnet-secret";
  ::close(::open(secret.c_str(), O_CREAT | O_WRONLY, 0600));
  const int code = InChild([&] {
    const SandboxState state = EnterProgramSandbox("/bin/true", {});
    if (!state.limits) return 1;
    if (!state.no_files || !state.few_calls) return 77;
    if (::open(secret.c_str(), O_RDONLY) >= 0) return 2;
    if (::open("/etc/passwd", O_RDONLY) >= 0) return 3;
    if (::open(secret.c_str(), O_WRONLY) >= 0) return 4;
    if (::socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return 5;
    if (::fork() >= 0) return 6;
    if (::kill(::getppid(), 0) == 0) return 7;
    const int library = ::open("/usr", O_RDONLY);
    if (library < 0) return 8;
    char name[] = "/bin/sh", option[] = "-c", command[] = "exit 9";
    char* const shell[] = {name, option, command, nullptr};
    BecomeProgram(shell);  // must fail
    char allowed[] = "/bin/true";
    char* const arguments[] = {allowed, nullptr};
    BecomeProgram(arguments);
    return 10;
  });
  ::unlink(secret.c_str());
  if (code == 77) GTEST_SKIP() << "landlock or seccomp is not there";
  EXPECT_EQ(code, 0);
}

TEST(Sandbox, MemoryIsLimited) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address sanitizer reserves terabytes";
#endif
  EXPECT_EQ(InChild([] {
              EnterSandbox({.memory_bytes = uint64_t{1} << 30});
              void* volatile large = std::malloc(size_t{3} << 30);
              return large == nullptr ? 0 : 1;
            }),
            0);
}

TEST(Sandbox, ProcessorTimeIsLimited) {
  const int code = InChild([] {
    EnterSandbox({.cpu_seconds = 1});
    for (std::atomic<uint64_t> i = 0;; ++i) {
    }
    return 0;
  });
  EXPECT_GE(code, 100);
}

}  // namespace
}  // namespace linnet
