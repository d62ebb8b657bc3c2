// What the operating system knows about this process and its terminal.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace linnet {

// The largest amount of memory that was resident so far; 0 where the system does not say.
uint64_t PeakResidentBytes();
// What is resident now; the peak where the system does not say.
uint64_t ResidentBytes();
// Lets what is freed go back to the system in pieces of 128 KiB and more, so that what is resident is what is
// held: the C library would keep up to 64 MB of it for later, in more and smaller parts as time goes on.
void GiveBackWhatIsFreed();

// Of this process: no other that runs has it.
int64_t ProcessId();

enum class Stream { kInput = 0, kOutput = 1, kError = 2 };
bool IsTerminal(Stream stream);

// The first thing a program does. A standard stream that was closed is opened, so that no file can land on it
// later: nothing is read from it, and writing to it fails as before. Writing where nobody reads, or beyond
// the limit of a file's size (`ulimit -f`), becomes an error of that call; programs that are started from
// here have the system's own behaviour.
void PrepareStandardStreams();

// Writes all of it at once; 0 or the system's error number.
int WriteStream(Stream stream, std::string_view text);

// Waits until standard input has something to read, or has ended; false when the time is over.
bool InputWithin(int milliseconds);

// Takes this much of the main thread's stack now: where address space is limited, a stack that has to grow
// later ends the program instead of giving an error.
void TakeStack();

// While one of these exists, Ctrl-C sets a flag instead of ending the program. What looks at the flag has
// three seconds at most; a Ctrl-C after that, the flag still being set, ends the program. Only one at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  const std::atomic<bool>& flag() const;
  void Clear();
};

// Whether the flag of the guard that exists is set; false without one.
bool Interrupted();

}  // namespace linnet
