#include "base/sandbox.h"

#include <sys/resource.h>

#ifdef __linux__
#include <cstddef>
#include <iterator>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#define LINNET_HAS_LANDLOCK 1
#endif
#endif

namespace linnet {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
#else
constexpr bool kAddressSanitizer = false;
#endif

bool Limit(int resource, uint64_t value) {
  const rlimit limit = {static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

bool SetLimits(const SandboxLimits& limits) {
  const bool common =
      Limit(RLIMIT_CPU, limits.cpu_seconds) && Limit(RLIMIT_CORE, 0) && Limit(RLIMIT_FSIZE, 0);
  // The address sanitizer reserves terabytes of addresses, and asks through pipes what is readable.
  if (kAddressSanitizer) return common;
  return common && Limit(RLIMIT_AS, limits.memory_bytes) && Limit(RLIMIT_NOFILE, 3);
}

#ifdef __linux__

#ifdef LINNET_HAS_LANDLOCK
bool ForbidFiles() {
  landlock_ruleset_attr rules = {};
  // Every right of the first version; without a rule that grants one, none is left.
  rules.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  const auto set = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0));
  if (set < 0) return false;
  const bool done = ::syscall(SYS_landlock_restrict_self, set, 0) == 0;
  ::close(set);
  return done;
}
#else
bool ForbidFiles() { return false; }
#endif

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// What decoding, allocating and answering need. Everything else fails as not permitted.
constexpr uint32_t kAllowed[] = {SYS_read,
                                 SYS_write,
                                 SYS_readv,
                                 SYS_writev,
                                 SYS_pread64,
                                 SYS_lseek,
                                 SYS_close,
                                 SYS_fstat,
                                 SYS_munmap,
                                 SYS_mremap,
                                 SYS_madvise,
                                 SYS_brk,
                                 SYS_futex,
                                 SYS_exit,
                                 SYS_exit_group,
                                 SYS_clock_gettime,
                                 SYS_gettimeofday,
                                 SYS_nanosleep,
                                 SYS_clock_nanosleep,
                                 SYS_sched_yield,
                                 SYS_getrandom,
                                 SYS_rt_sigaction,
                                 SYS_rt_sigprocmask,
                                 SYS_rt_sigreturn,
                                 SYS_sigaltstack,
                                 SYS_getpid,
                                 SYS_gettid,
                                 SYS_tgkill,
                                 SYS_sysinfo,
                                 SYS_sched_getaffinity,
                                 SYS_restart_syscall};

bool FilterCalls() {
  if (kArchitecture == 0 || kAddressSanitizer) return false;
  constexpr auto kNumber = static_cast<uint32_t>(offsetof(seccomp_data, nr));
  constexpr auto kArch = static_cast<uint32_t>(offsetof(seccomp_data, arch));
  // Third argument of mmap and mprotect: the protection, low half (little endian).
  constexpr auto kProtection = static_cast<uint32_t>(offsetof(seccomp_data, args) + 2 * sizeof(uint64_t));
  sock_filter program[16 + std::size(kAllowed) * 2];
  size_t n = 0;
  const auto add = [&](sock_filter instruction) { program[n++] = instruction; };
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArch));
  add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber));
  // Memory may be mapped and its rights changed, but not to run as code.
  add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0));
  add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4));
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kProtection));
  add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1));
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  for (const uint32_t call : kAllowed) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1));  // EPERM
  sock_fprog filter = {static_cast<unsigned short>(n), program};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

#endif

}  // namespace

SandboxState EnterSandbox(const SandboxLimits& limits) {
  SandboxState state;
#ifdef __linux__
  ::prctl(PR_SET_DUMPABLE, 0);
  const bool no_new_rights = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (no_new_rights) state.no_files = ForbidFiles();
  state.limits = SetLimits(limits);
  if (no_new_rights) state.few_calls = FilterCalls();
#else
  state.limits = SetLimits(limits);
#endif
  return state;
}

}  // namespace linnet
