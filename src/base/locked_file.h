// A file that is changed in place, one program at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "base/mapped_file.h"
#include "linnet/error.h"

namespace linnet {

class LockedFile {
 public:
  enum class Use { kRead, kWrite };

  // While it is open for writing nobody else can open it; for reading many can. Errors: kNotFound;
  // kBadFile, it cannot be read or is no regular file; kInvalidArgument, another program has it open, or it
  // cannot be written.
  static Result<LockedFile> Open(const std::filesystem::path& path, Use use);
  // An empty one that will be at `path`: until Publish() it is PATH.linnet-new, and is gone when
  // this goes. What a program that was killed has left there is written over. Its mode is 0600.
  // Errors: kInvalidArgument; also where `path` is a link to nothing, which would never be its place.
  static Result<LockedFile> Begin(const std::filesystem::path& path);

  LockedFile(LockedFile&& other) noexcept;
  LockedFile& operator=(LockedFile&& other) noexcept;
  ~LockedFile();

  // Only its owner may read it from now on, where the file system can do that: the mode 0600.
  void RestrictToOwner();

  const std::filesystem::path& path() const { return path_; }
  Result<uint64_t> Size() const;

  // Errors of the writing calls: kBadFile where there is no room, kInvalidArgument; also when the file has
  // lost its name, since what is written would be gone with this program.
  Status Write(uint64_t offset, std::span<const uint8_t> bytes);
  Status Resize(uint64_t bytes);
  // What was written is on the disk.
  Status Sync();
  // The range is zeros, and takes no room where the system can do that.
  Status Clear(uint64_t offset, uint64_t length);
  // Puts a begun file in its place. Error: kInvalidArgument, there is one of that name by now.
  Status Publish();

  // Whether all of the range is zeros. REQUIRES: it lies in the file.
  Result<bool> IsClear(uint64_t offset, uint64_t length) const;
  Result<MappedFile> Map() const;

 private:
  LockedFile(int descriptor, std::filesystem::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  std::unexpected<Error> CannotWriteIt(int error) const;
  Status CheckNamed() const;

  int descriptor_ = -1;
  bool begun_ = false;  // and not published
  std::filesystem::path path_;
};

}  // namespace linnet
