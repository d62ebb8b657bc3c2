#include "base/process.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include <fstream>

#include "base/terminal.h"

namespace linnet {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may use it");

struct sigaction earlier_action;

std::atomic<int64_t> interrupted_at{0};  // seconds
constexpr int64_t kPatience = 2;         // full seconds of a clock

void OnInterrupt(int) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!interrupted.exchange(true)) {
    interrupted_at = now.tv_sec;
  } else if (now.tv_sec - interrupted_at > kPatience) {
    RestoreTerminal();
    _exit(130);
  }
}

}  // namespace

void GiveBackWhatIsFreed() {
#ifdef __GLIBC__
  constexpr int kPiece = 128 << 10;
  ::mallopt(M_MMAP_THRESHOLD, kPiece);
  ::mallopt(M_TRIM_THRESHOLD, kPiece);
#endif
}

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

void PrepareStandardStreams() {
  // The lowest free number is given, so they are looked at in order. /dev/null for reading: what cannot be
  // written is noticed.
  for (int stream = 0; stream <= 2; ++stream) {
    if (fcntl(stream, F_GETFD) != -1 || errno != EBADF) continue;
    if (open("/dev/null", O_RDONLY) != stream) return;
  }
  // A handler and not SIG_IGN, which programs that are started would inherit.
  struct sigaction action{};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGPIPE, &action, nullptr);
  sigaction(SIGXFSZ, &action, nullptr);
}

int WriteStream(Stream stream, std::string_view text) {
  const int descriptor = static_cast<int>(stream);
  while (!text.empty()) {
    const ssize_t count = write(descriptor, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<size_t>(count));
    } else if (errno == EAGAIN) {  // somebody made the terminal or pipe non-blocking
      pollfd wait{.fd = descriptor, .events = POLLOUT, .revents = 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

bool InputWithin(int milliseconds) {
  pollfd wait{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, milliseconds) != 0;
}

InterruptGuard::InterruptGuard() {
  interrupted = false;
  struct sigaction action{};
  action.sa_handler = OnInterrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &earlier_action);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &earlier_action, nullptr);
  interrupted = false;
}

const std::atomic<bool>& InterruptGuard::flag() const { return interrupted; }

void InterruptGuard::Clear() { interrupted = false; }

bool Interrupted() { return interrupted; }

}  // namespace linnet
