// Takes rights away from this process for good, before it reads what strangers made.
#pragma once

#include <cstdint>
#include <filesystem>

namespace linnet {

struct SandboxLimits {
  uint64_t memory_bytes = uint64_t{4} << 30;  // of address space
  uint64_t cpu_seconds = 3600;
  // Not 0: the process may start threads, which have no more rights than it has, and sees this many
  // processors at most, so that libraries which count them start few.
  int processors = 0;
};

// What the system granted. All three hold on Linux 5.13 and later; elsewhere as much as there is.
struct SandboxState {
  bool limits = false;     // memory, time, no new files, no core dump
  bool no_files = false;   // no file can be opened any more (landlock)
  bool few_calls = false;  // only system calls for memory, time and open files (seccomp)
};

// From here on only files that are open already can be used. The program must have one thread. A limit that
// is tighter already (`ulimit`) stays.
SandboxState EnterSandbox(const SandboxLimits& limits);

// For a program of others that this process becomes next, by exec. It may run `program` and no other, read
// what lies in the system's directories (libraries, fonts) and files that are open, and write to files that
// are open; it has no network, cannot start processes or send signals to any. `no_files` then means none but
// these. One thread, as above.
SandboxState EnterProgramSandbox(const std::filesystem::path& program, const SandboxLimits& limits);

// Becomes the program; returns only if that fails.
void BecomeProgram(char* const* arguments);

}  // namespace linnet
