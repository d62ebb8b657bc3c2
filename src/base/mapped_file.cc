#include "base/mapped_file.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/printable.h"
#include "base/system_error.h"
#include "base/terminal.h"

namespace linnet {
namespace {

constexpr size_t kPage = 4096;

// The files that are mapped now, for the handler of faults, which may take no lock: entries are written
// before their `begin`, and files beyond the last entry are not named.
struct MappedRange {
  std::atomic<uintptr_t> begin{0};  // 0: free, 1: being written
  std::atomic<uintptr_t> end{0};
  char path[512] = {};
};
std::array<MappedRange, 256> mapped_ranges;

void Remember(const void* data, size_t size, const std::string& path) {
  for (MappedRange& range : mapped_ranges) {
    uintptr_t free = 0;
    if (!range.begin.compare_exchange_strong(free, 1)) continue;
    path.copy(range.path, sizeof range.path - 1);
    range.path[std::min(path.size(), sizeof range.path - 1)] = 0;
    range.end = reinterpret_cast<uintptr_t>(data) + size;
    range.begin = reinterpret_cast<uintptr_t>(data);
    return;
  }
}

void ForgetRange(const void* data) {
  for (MappedRange& range : mapped_ranges) {
    uintptr_t begin = reinterpret_cast<uintptr_t>(data);
    if (range.begin.compare_exchange_strong(begin, 0)) return;
  }
}

void Say(const char* text) {
  if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) return;  // nobody listens
}

void OnFault(int signal, siginfo_t* info, void*) {
  static std::atomic_flag said;
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const MappedRange& range : mapped_ranges) {
    if (range.begin <= 1 || at < range.begin || at >= range.end) continue;
    while (said.test_and_set()) ::pause();  // another thread says it and ends the program
    Say("linnet: ");
    Say(range.path);
    Say(": was cut, or cannot be read any more, while it was in use; start again with a whole file\n");
    RestoreTerminal();
    ::_exit(1);
  }
  ::signal(signal, SIG_DFL);  // not ours: the instruction runs again and ends the program as ever
}

// What Git leaves in the place of a large file that it has not fetched: a few lines of text.
bool IsGitLfsPointer(std::span<const uint8_t> bytes) {
  constexpr size_t kLargest = 1024;  // of the specification
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.size() < kLargest && (text.starts_with("version https://git-lfs.github.com/spec/") ||
                                    text.starts_with("version https://hawser.github.com/spec/"));
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  // A FIFO is refused at once, not when somebody opens its other end.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return CannotOpen(path.string(), errno);
  auto file = Of(fd, path);
  ::close(fd);
  if (file && IsGitLfsPointer(file->bytes())) {
    return Fail(ErrorCode::kBadFile,
                path.string() + ": is not the file itself but a Git LFS pointer: run git lfs pull",
                "or download the file");
  }
  return file;
}

Result<MappedFile> MappedFile::FromBytes(std::span<const uint8_t> bytes, const std::filesystem::path& name) {
  MappedFile file;
  file.path_ = name;
  if (bytes.empty()) return file;
  void* address = ::mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return Fail(ErrorCode::kOutOfMemory, name.string() + ": no memory to hold it");
  std::memcpy(address, bytes.data(), bytes.size());
  file.in_memory_ = true;
  file.size_ = bytes.size();
  file.data_ = static_cast<uint8_t*>(address);
  return file;
}

Result<MappedFile> MappedFile::FromStandardInput(const std::filesystem::path& name) {
  return Of(STDIN_FILENO, name);
}

Result<MappedFile> MappedFile::Of(int descriptor, const std::filesystem::path& path) {
  struct stat info{};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Fail(ErrorCode::kBadFile, path.string() + ": is not a regular file", "give a file");
  }
  MappedFile file;
  file.path_ = path;
  file.size_ = static_cast<size_t>(info.st_size);
  if (file.size_ == 0) return file;
  void* address = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) {
    const int error = errno;
    file.size_ = 0;
    return Fail(error == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kBadFile,
                path.string() + ": cannot map: " + std::strerror(error));
  }
  file.data_ = static_cast<uint8_t*>(address);
  file.descriptor_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  if (file.descriptor_ < 0) {
    return Fail(ErrorCode::kBadFile, path.string() + ": cannot be kept open: " + std::strerror(errno),
                AdviceFor(errno, ""));
  }
  file.stamp_ = {{info.st_mtim.tv_sec, info.st_mtim.tv_nsec},
                 {info.st_ctim.tv_sec, info.st_ctim.tv_nsec},
                 info.st_nlink,
                 info.st_mode};
  Remember(address, file.size_, Printable(path.string()));
  return file;
}

Status MappedFile::CheckUnchanged() const {
  struct stat info{};
  if (descriptor_ < 0) return {};
  const bool known = ::fstat(descriptor_, &info) == 0 && static_cast<size_t>(info.st_size) == size_;
  const bool written = info.st_mtim.tv_sec != stamp_.written[0] || info.st_mtim.tv_nsec != stamp_.written[1];
  // A time of writing can be put back, that of any change cannot; but names and rights may change.
  const bool touched = info.st_ctim.tv_sec != stamp_.touched[0] || info.st_ctim.tv_nsec != stamp_.touched[1];
  const bool renamed = info.st_nlink != stamp_.links || info.st_mode != stamp_.mode;
  if (known && !written && (!touched || renamed)) return {};
  return Fail(ErrorCode::kBadFile, path_.string() + ": has changed while it was in use",
              "start again; replace files that are in use by moving another to their name");
}

void ExitWhenMappedFilesAreCut() {
  struct sigaction action{};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  std::swap(in_memory_, other.in_memory_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(stamp_, other.stamp_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  ForgetRange(data_);
  ::munmap(data_, size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::Prefault(size_t offset, size_t length) const {
  if (data_ == nullptr || offset >= size_ || in_memory_) return;
  const size_t begin = offset / kPage * kPage;
  const size_t end = offset + std::min(length, size_ - offset);
#ifdef MADV_HUGEPAGE
  // Where the file system can, what is not in the file cache yet comes in huge pages, and stays so for later
  // runs.
  ::madvise(data_ + begin, end - begin, MADV_HUGEPAGE);
#endif
#ifdef MADV_POPULATE_READ
  if (::madvise(data_ + begin, end - begin, MADV_POPULATE_READ) == 0) return;
#endif
  ::madvise(data_ + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::Forget(size_t offset, size_t length) const {
  if (data_ == nullptr || offset >= size_ || in_memory_) return;
  // Whole pages inside the range only: neighbours may still be wanted.
  const size_t begin = (offset + kPage - 1) / kPage * kPage;
  const size_t end = (offset + length) / kPage * kPage;
  if (end > begin) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

void ForgetReadOnly(std::span<const uint8_t> bytes) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / page * page;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace linnet
