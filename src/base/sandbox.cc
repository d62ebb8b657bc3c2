#include "base/sandbox.h"

#include <algorithm>

#include <sys/resource.h>
#include <unistd.h>

#ifdef __linux__
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

// A limit that is tighter already is kept: raising one takes rights, and a person may have set it.
bool Limit(int resource, uint64_t value) {
  const auto which = static_cast<__rlimit_resource_t>(resource);
  rlimit limit = {};
  if (::getrlimit(which, &limit) != 0) return false;
  limit.rlim_cur = std::min(limit.rlim_cur, static_cast<rlim_t>(value));
  limit.rlim_max = std::min(limit.rlim_max, static_cast<rlim_t>(value));
  return ::setrlimit(which, &limit) == 0;
}

bool SetLimits(const SandboxLimits& limits, uint64_t open_files) {
  const bool common =
      Limit(RLIMIT_CPU, limits.cpu_seconds) && Limit(RLIMIT_CORE, 0) && Limit(RLIMIT_FSIZE, 0);
  // The address sanitizer reserves terabytes of addresses, and asks through pipes what is readable.
  if (kAddressSanitizer) return common;
  return common && Limit(RLIMIT_AS, limits.memory_bytes) && Limit(RLIMIT_NOFILE, open_files);
}

#ifdef __linux__

// A path and what may be done beneath it; one that is not there is left out.
struct Grant {
  std::string path;
  bool execute = false;
};

#ifdef LINNET_HAS_LANDLOCK
bool ForbidFiles(const std::vector<Grant>& grants) {
  landlock_ruleset_attr rules = {};
  // Every right of the first version; without a rule that grants one, none is left.
  rules.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  const auto set = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0));
  if (set < 0) return false;
  for (const Grant& grant : grants) {
    landlock_path_beneath_attr rule = {};
    rule.parent_fd = ::open(grant.path.c_str(), O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) continue;
    struct stat info{};
    rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
    if (::fstat(rule.parent_fd, &info) == 0 && S_ISDIR(info.st_mode))
      rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (grant.execute) rule.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
    ::syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    ::close(rule.parent_fd);
  }
  const bool done = ::syscall(SYS_landlock_restrict_self, set, 0) == 0;
  ::close(set);
  return done;
}
#else
bool ForbidFiles(const std::vector<Grant>&) { return false; }
#endif

// What loads the libraries of a program: the system runs it in the program's place.
std::string LoaderOf(const std::filesystem::path& program) {
  std::ifstream file(program, std::ios::binary);
  ElfW(Ehdr) head = {};
  file.read(reinterpret_cast<char*>(&head), sizeof(head));
  if (!file || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return {};
  for (int i = 0; i < head.e_phnum; ++i) {
    ElfW(Phdr) part = {};
    file.seekg(static_cast<std::streamoff>(head.e_phoff + static_cast<uint64_t>(i) * sizeof(part)));
    file.read(reinterpret_cast<char*>(&part), sizeof(part));
    if (!file) return {};
    if (part.p_type != PT_INTERP || part.p_filesz > 4096) continue;
    std::string path(part.p_filesz, '\0');
    file.seekg(static_cast<std::streamoff>(part.p_offset));
    file.read(path.data(), static_cast<std::streamsize>(path.size()));
    return path.c_str();  // up to its terminating zero
  }
  return {};
}

std::vector<Grant> GrantsFor(const std::filesystem::path& program) {
  std::vector<Grant> grants = {{program.string(), true}, {LoaderOf(program), true}};
  // Libraries, fonts and their lists, where systems keep them.
  for (const char* path : {"/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store",
                           "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/var/cache/fontconfig",
                           "/var/lib/ghostscript/fonts", "/dev/null"}) {
    grants.push_back({path});
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    for (const char* fonts : {"/.fonts", "/.local/share/fonts", "/.config/fontconfig"}) {
      grants.push_back({home + std::string(fonts)});
    }
  }
  return grants;
}

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// A filter of system calls under construction. It begins with what every one needs: a call of another
// architecture ends the process, and the number of the call is loaded.
template <size_t kCapacity>
class CallFilter {
 public:
  CallFilter() {
    Load(offsetof(seccomp_data, arch));
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    Answer(SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
  }

  void Add(sock_filter instruction) { program_[n_++] = instruction; }
  void Load(size_t offset) { Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset))); }
  void Answer(uint32_t action) { Add(BPF_STMT(BPF_RET | BPF_K, action)); }
  void AnswerCall(uint32_t call, uint32_t action) {
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    Answer(action);
  }
  bool Install() {
    sock_fprog filter = {static_cast<unsigned short>(n_), program_};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
  }

 private:
  sock_filter program_[kCapacity];
  size_t n_ = 0;
};

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

// What the start of a thread needs beside them.
constexpr uint32_t kForThreads[] = {SYS_set_robust_list, SYS_rseq};

// Threads are allowed, processes are not. clone3 hides its flags; libraries then take clone.
template <size_t kCapacity>
void AllowThreads(CallFilter<kCapacity>& filter) {
  filter.AnswerCall(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
  filter.Load(offsetof(seccomp_data, args));  // the flags, low half (little endian)
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
  filter.Answer(SECCOMP_RET_ERRNO | EPERM);
  filter.Answer(SECCOMP_RET_ALLOW);
}

bool FilterCalls(bool threads) {
  if (kArchitecture == 0 || kAddressSanitizer) return false;
  CallFilter<32 + std::size(kAllowed) * 2> filter;
  // Memory may be mapped and its rights changed, but not to run as code. The third argument of both calls is
  // the protection; its low half stands first (little endian).
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0));
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4));
  filter.Load(offsetof(seccomp_data, args) + 2 * sizeof(uint64_t));
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
  filter.Answer(SECCOMP_RET_ERRNO | EPERM);
  filter.Answer(SECCOMP_RET_ALLOW);
  for (const uint32_t call : kAllowed) filter.AnswerCall(call, SECCOMP_RET_ALLOW);
  if (threads) {
    for (const uint32_t call : kForThreads) filter.AnswerCall(call, SECCOMP_RET_ALLOW);
    AllowThreads(filter);
  }
  filter.Answer(SECCOMP_RET_ERRNO | EPERM);
  return filter.Install();
}

// A program of others makes many calls: what reaches beyond its own memory and files is taken out instead.
constexpr uint32_t kForbidden[] = {
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    SYS_execveat,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_open_by_handle_at,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_shmget,
    SYS_shmat,
    SYS_msgget,
    SYS_semget,
    SYS_mq_open,
    SYS_memfd_create};

bool ForbidCalls() {
  if (kArchitecture == 0) return false;
  constexpr uint32_t kOtherNumbers = 0x40000000;  // a second set of calls on x86-64
  CallFilter<16 + std::size(kForbidden) * 2> filter;
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kOtherNumbers, 0, 1));
  filter.Answer(SECCOMP_RET_KILL_PROCESS);
  for (const uint32_t call : kForbidden) filter.AnswerCall(call, SECCOMP_RET_ERRNO | EPERM);
  AllowThreads(filter);
  filter.Answer(SECCOMP_RET_ALLOW);
  return filter.Install();
}

void SeeFewProcessors(int most) {
  cpu_set_t all, few;
  CPU_ZERO(&few);
  if (::sched_getaffinity(0, sizeof(all), &all) != 0) return;
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&few) < most; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &few);
  }
  ::sched_setaffinity(0, sizeof(few), &few);
}

#endif

}  // namespace

SandboxState EnterSandbox(const SandboxLimits& limits) {
  SandboxState state;
#ifdef __linux__
  ::prctl(PR_SET_DUMPABLE, 0);
  const bool no_new_rights = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (no_new_rights) state.no_files = ForbidFiles({});
  state.limits = SetLimits(limits, 3);
  if (limits.processors > 0) SeeFewProcessors(limits.processors);
  if (no_new_rights) state.few_calls = FilterCalls(limits.processors > 0);
#else
  state.limits = SetLimits(limits, 3);
#endif
  return state;
}

SandboxState EnterProgramSandbox(const std::filesystem::path& program, const SandboxLimits& limits) {
  constexpr uint64_t kOpenFiles = 64;
  SandboxState state;
#ifdef __linux__
  const std::vector<Grant> grants = GrantsFor(program);
  const bool no_new_rights = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (no_new_rights) state.no_files = ForbidFiles(grants);
  state.limits = SetLimits(limits, kOpenFiles);
  if (no_new_rights) state.few_calls = ForbidCalls();
#else
  (void)program;
  state.limits = SetLimits(limits, kOpenFiles);
#endif
  return state;
}

void BecomeProgram(char* const* arguments) { ::execv(arguments[0], arguments); }

}  // namespace linnet
