#include "base/process.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <fstream>

namespace linnet {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may use it");

struct sigaction earlier_action;

std::atomic<int64_t> interrupted_at{0};  // seconds
constexpr int64_t kPatience = 2;

void OnInterrupt(int) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!interrupted.exchange(true)) {
    interrupted_at = now.tv_sec;
  } else if (now.tv_sec - interrupted_at > kPatience) {
    _exit(130);
  }
}

}  // namespace

uint64_t PeakResidentBytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  constexpr uint64_t kUnit = 1;
#else
  constexpr uint64_t kUnit = 1024;
#endif
  return static_cast<uint64_t>(usage.ru_maxrss) * kUnit;
}

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t mapped = 0, resident = 0;
  if (!(statm >> mapped >> resident)) return PeakResidentBytes();
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

int64_t ProcessId() { return getpid(); }

bool IsTerminal(Stream stream) { return isatty(static_cast<int>(stream)) == 1; }

void TakeStack() {
  volatile char room[size_t{512} << 10];
  for (size_t i = 0; i < sizeof room; i += 4096) room[i] = 0;
}

InterruptGuard::InterruptGuard() {
  interrupted = false;
  struct sigaction action{};
  action.sa_handler = OnInterrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &earlier_action);
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &earlier_action, nullptr); }

const std::atomic<bool>& InterruptGuard::flag() const { return interrupted; }

void InterruptGuard::Clear() { interrupted = false; }

}  // namespace linnet
