#include "base/mapped_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace linnet {
namespace {

constexpr size_t kPage = 4096;

// What Git leaves in the place of a large file that it has not fetched: a few lines of text.
bool IsGitLfsPointer(std::span<const uint8_t> bytes) {
  constexpr size_t kLargest = 1024;  // of the specification
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.size() < kLargest && (text.starts_with("version https://git-lfs.github.com/spec/") ||
                                    text.starts_with("version https://hawser.github.com/spec/"));
}

ErrorCode CodeOf(int error) { return error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kBadFile; }

}  // namespace

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Fail(CodeOf(errno), path.string() + ": cannot open: " + std::strerror(errno),
                errno == ENOENT ? "check the spelling" : "check the permissions");
  }
  auto file = FromDescriptor(fd, path);
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
  file.data_ = static_cast<const uint8_t*>(address);
  return file;
}

Result<MappedFile> MappedFile::FromStandardInput(const std::filesystem::path& name) {
  return FromDescriptor(STDIN_FILENO, name);
}

Result<MappedFile> MappedFile::FromDescriptor(int descriptor, const std::filesystem::path& path) {
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
    return Fail(ErrorCode::kBadFile, path.string() + ": cannot map: " + std::strerror(error));
  }
  file.data_ = static_cast<const uint8_t*>(address);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  std::swap(in_memory_, other.in_memory_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

void MappedFile::Prefault(size_t offset, size_t length) const {
  if (data_ == nullptr || offset >= size_ || in_memory_) return;
  const size_t begin = offset / kPage * kPage;
  const size_t end = offset + std::min(length, size_ - offset);
#ifdef MADV_HUGEPAGE
  // Where the file system can, what is not in the file cache yet comes in huge pages, and stays so for later
  // runs.
  ::madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_HUGEPAGE);
#endif
#ifdef MADV_POPULATE_READ
  if (::madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_POPULATE_READ) == 0) return;
#endif
  ::madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::Forget(size_t offset, size_t length) const {
  if (data_ == nullptr || offset >= size_ || in_memory_) return;
  // Whole pages inside the range only: neighbours may still be wanted.
  const size_t begin = (offset + kPage - 1) / kPage * kPage;
  const size_t end = (offset + length) / kPage * kPage;
  if (end > begin) ::madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace linnet
