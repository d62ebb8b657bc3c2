#include "base/locked_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system_error.h"

namespace linnet {
namespace {

constexpr mode_t kOwnerOnly = 0600;
constexpr size_t kZeros = size_t{1} << 16;

std::string FreshName(const std::filesystem::path& path) { return path.string() + ".linnet-new"; }

std::unexpected<Error> InUse(const std::filesystem::path& path) {
  return Fail(ErrorCode::kInvalidArgument, path.string() + ": is in use by another program, or twice by this",
              "wait until it has ended, or give another file");
}

// Whether the path still names the file that was opened.
bool IsAt(int descriptor, const std::filesystem::path& path) {
  struct stat here{}, there{};
  return ::fstat(descriptor, &here) == 0 && ::stat(path.c_str(), &there) == 0 &&
         here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

// A directory may have to be told to keep a name. A hint: not all file systems can.
void SyncDirectory(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.parent_path();
  const int fd = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (fd < 0) return;
  (void)::fsync(fd);
  ::close(fd);
}

}  // namespace

Result<LockedFile> LockedFile::Open(const std::filesystem::path& path, Use use) {
  const bool writing = use == Use::kWrite;
  // A FIFO is refused at once, not when somebody opens its other end.
  const int fd = ::open(path.c_str(), (writing ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (writing && errno != ENOENT && ::access(path.c_str(), R_OK) == 0) {
      return Fail(ErrorCode::kInvalidArgument,
                  path.string() + ": cannot be written: " + std::generic_category().message(errno),
                  AdviceFor(errno, "give another file"));
    }
    return CannotOpen(path.string(), errno);
  }
  LockedFile file(fd, path);
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Fail(ErrorCode::kBadFile, path.string() + ": is not a regular file", "give a file");
  }
  if (::flock(fd, (writing ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 || !IsAt(fd, path)) return InUse(path);
  // What a program that was killed while it published has left: another name of the same file.
  if (const std::string fresh = FreshName(path); writing && IsAt(fd, fresh)) ::unlink(fresh.c_str());
  return file;
}

Result<LockedFile> LockedFile::Begin(const std::filesystem::path& path) {
  if (std::error_code none; std::filesystem::is_symlink(path, none)) {
    return Fail(ErrorCode::kInvalidArgument, path.string() + ": is a link to a file that is not there",
                "name that file, or choose another place");
  }
  const std::string fresh = FreshName(path);
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, kOwnerOnly);
  if (fd < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                path.string() + ": cannot be made: " + std::generic_category().message(errno),
                AdviceFor(errno, "choose another place"));
  }
  LockedFile file(fd, path);
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, fresh + ": is not a regular file", "choose another place");
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || !IsAt(fd, fresh)) return InUse(path);
  if (::fstat(fd, &info) == 0 && info.st_nlink > 1) {
    // That program had given it its name, and the file may have been moved since: it is not ours to empty.
    return ::unlink(fresh.c_str()) == 0 ? Begin(path) : InUse(path);
  }
  file.begun_ = true;
  file.RestrictToOwner();
  LINNET_TRY(file.Resize(0));  // what a program that was killed has left
  return file;
}

LockedFile::LockedFile(LockedFile&& other) noexcept { *this = std::move(other); }

LockedFile& LockedFile::operator=(LockedFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(begun_, other.begun_);
  std::swap(path_, other.path_);
  return *this;
}

LockedFile::~LockedFile() {
  if (descriptor_ < 0) return;
  if (begun_) ::unlink(FreshName(path_).c_str());
  ::close(descriptor_);
}

std::unexpected<Error> LockedFile::CannotWriteIt(int error) const {
  const bool full = IsNoRoom(error);
  return Fail(full ? ErrorCode::kBadFile : ErrorCode::kInvalidArgument,
              path_.string() + ": cannot be written: " + std::generic_category().message(error),
              full ? "make room, or choose another place" : AdviceFor(error, "choose another place"));
}

Status LockedFile::CheckNamed() const {
  struct stat info{};
  if (::fstat(descriptor_, &info) == 0 && info.st_nlink > 0) return {};
  return Fail(ErrorCode::kInvalidArgument, path_.string() + ": was deleted while it was in use",
              "choose another place");
}

void LockedFile::RestrictToOwner() { (void)::fchmod(descriptor_, kOwnerOnly); }

Result<uint64_t> LockedFile::Size() const {
  struct stat info{};
  if (::fstat(descriptor_, &info) != 0) return CannotOpen(path_.string(), errno);
  return static_cast<uint64_t>(info.st_size);
}

Status LockedFile::Write(uint64_t offset, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return CannotWriteIt(done < 0 ? errno : EIO);
    offset += static_cast<uint64_t>(done);
    bytes = bytes.subspan(static_cast<size_t>(done));
  }
  return {};
}

Status LockedFile::Resize(uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) return CannotWriteIt(errno);
  return {};
}

Status LockedFile::Sync() {
  LINNET_TRY(CheckNamed());
  if (::fdatasync(descriptor_) != 0) return CannotWriteIt(errno);
  return {};
}

Status LockedFile::Clear(uint64_t offset, uint64_t length) {
  if (length == 0) return {};
#ifdef FALLOC_FL_PUNCH_HOLE
  if (::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length)) == 0) {
    return {};
  }
#endif
  const std::vector<uint8_t> zeros(std::min<uint64_t>(length, kZeros));
  for (uint64_t done = 0; done < length; done += zeros.size()) {
    LINNET_TRY(Write(offset + done, std::span(zeros).first(std::min<uint64_t>(length - done, zeros.size()))));
  }
  return {};
}

Status LockedFile::Publish() {
  if (!begun_) return {};
  const std::string fresh = FreshName(path_);
  if (::link(fresh.c_str(), path_.c_str()) == 0) {  // unlike a rename, it replaces nothing
    ::unlink(fresh.c_str());
  } else if (errno == EEXIST || ::access(path_.c_str(), F_OK) == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                path_.string() + ": another program has made a file of this name meanwhile",
                "choose another place");
  } else if (::rename(fresh.c_str(), path_.c_str()) != 0) {  // a file system without links
    return CannotWriteIt(errno);
  }
  begun_ = false;
  SyncDirectory(path_);
  return {};
}

Result<bool> LockedFile::IsClear(uint64_t offset, uint64_t length) const {
  std::vector<uint8_t> bytes(std::min<uint64_t>(length, kZeros));
  const uint64_t end = offset + length;
  while (offset < end) {
#ifdef SEEK_DATA
    const off_t data = ::lseek(descriptor_, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;  // holes up to the file's end
    if (data > 0) offset = std::max(offset, static_cast<uint64_t>(data));
    if (offset >= end) return true;
#endif
    const size_t wanted = std::min<uint64_t>(end - offset, bytes.size());
    const ssize_t read = ::pread(descriptor_, bytes.data(), wanted, static_cast<off_t>(offset));
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) {
      return Fail(ErrorCode::kBadFile, path_.string() + ": cannot be read: " +
                                           std::generic_category().message(read < 0 ? errno : EIO));
    }
    if (std::any_of(bytes.begin(), bytes.begin() + read, [](uint8_t b) { return b != 0; })) return false;
    offset += static_cast<uint64_t>(read);
  }
  return true;
}

Result<MappedFile> LockedFile::Map() const { return MappedFile::Of(descriptor_, path_); }

}  // namespace linnet
