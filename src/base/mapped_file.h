// A file mapped read-only into memory. Not copyable; moving keeps the address. Thread-safe for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "linnet/error.h"

namespace linnet {

class MappedFile {
 public:
  // A Git LFS pointer is an error of its own: whatever was meant to be read, it is not there.
  static Result<MappedFile> Open(const std::filesystem::path& path);
  // A copy of `bytes` that behaves like a file of this name.
  static Result<MappedFile> FromBytes(std::span<const uint8_t> bytes, const std::filesystem::path& name);
  // Standard input, which must be a regular file; `name` is for messages.
  static Result<MappedFile> FromStandardInput(const std::filesystem::path& name);
  // A file that is open already, which must be a regular one; `path` is for messages.
  static Result<MappedFile> Of(int descriptor, const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Whether the file's size and times of change are still those it was opened with: a file that is written
  // over while it is mapped gives other bytes, one that is cut none at all. Another file moved to its name
  // changes nothing. Error: kBadFile.
  Status CheckUnchanged() const;

  // Maps the pages of this range in one go, reading them from the disk where they must be: a fault for every
  // few of them costs more. A hint; does nothing where the system cannot.
  void Prefault(size_t offset, size_t length) const;
  // Tells the system that this range will not be read again soon, so its pages need not stay resident.
  void Forget(size_t offset, size_t length) const;

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  int descriptor_ = -1;  // of a file
  struct Stamp {
    int64_t written[2] = {0, 0}, touched[2] = {0, 0};  // seconds and nanoseconds of mtime and ctime
    uint64_t links = 0, mode = 0;
  };
  Stamp stamp_;
  std::filesystem::path path_;
  bool in_memory_ = false;  // no file lies behind the pages
};

// Tells the system that read-only data of the program itself will not be read again soon: whole pages of it
// go, and come back from its file where they are.
void ForgetReadOnly(std::span<const uint8_t> bytes);

// For a program's main: a fault in a mapped file that was cut while in use ends the program with status 1 and
// a line on standard error that names the file, instead of SIGBUS.
void ExitWhenMappedFilesAreCut();

}  // namespace linnet
