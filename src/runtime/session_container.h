// What a session file is made of: two heads, and extents of bytes under checksums, one of which is the index.
//
//   0     head A   magic, version, state, number, size of the file, where the index is
//   512   head B   the same; the one with the larger number counts
//   4096  extents, each from a multiple of 4096 on; everything between them is zeros
//
// A save writes into places that nothing of the last version uses, and then one head: 512 bytes, one sector
// of a disk, which is there whole or not at all. What belonged to the old version alone is cleared after
// that. As long as this goes on the head says so, and what lies between the extents counts for nothing;
// otherwise it must be zeros, so that no byte of the file can change without being noticed.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/locked_file.h"
#include "linnet/error.h"

namespace linnet {

struct Extent {
  uint64_t at = 0, bytes = 0, sum = 0;

  bool operator==(const Extent&) const = default;
};

// Takes bytes one piece after another.
using ByteSink = std::function<Status(std::span<const uint8_t>)>;

class SessionContainer {
 public:
  // Checks the heads and the index. A file that is not there is begun, if it may be written.
  static Result<SessionContainer> Open(const std::filesystem::path& path, LockedFile::Use use);

  bool empty() const { return head_.number == 0; }
  const std::filesystem::path& path() const { return file_.path(); }
  uint64_t bytes() const { return head_.file_bytes; }
  std::string_view index() const { return index_; }

  // The whole file, to find extents in. REQUIRES: !empty().
  Result<MappedFile> Map() const;
  // The bytes of an extent, unchecked. Error: kBadFile, it is no part of the file.
  Result<std::span<const uint8_t>> Find(const MappedFile& map, const Extent& extent) const;
  // The same once they have been found to be what was written.
  Result<std::span<const uint8_t>> Checked(const MappedFile& map, const Extent& extent) const;
  std::unexpected<Error> Damaged(std::string_view what) const;

  // After Open(): these are the extents beside the index. Error: kBadFile, they overlap, or something else is
  // where nothing should be. What a save that was killed has left is cleared.
  Status SetExtents(std::vector<Extent> extents);

  // A save: extents are put, then the index that names them is committed with the list of all that are to be
  // there from now on. What fails leaves the file as it was.
  Status BeginSave();
  Result<Extent> Put(std::span<const uint8_t> bytes);
  // Of `bytes` bytes that `write` gives to the sink.
  Result<Extent> Put(uint64_t bytes, const std::function<Status(const ByteSink&)>& write);
  Status Commit(std::string index, std::vector<Extent> extents);
  void GiveUp();  // instead

 private:
  // Little-endian, as it lies in the file.
  struct Head {
    std::array<char, 8> magic = {};
    uint32_t version = 0;
    uint32_t saving = 0;  // what lies between the extents counts for nothing
    uint64_t number = 0;  // of the head; each that is written has the next
    uint64_t file_bytes = 0;
    Extent index;
  };

  SessionContainer(LockedFile file, LockedFile::Use use) : file_(std::move(file)), use_(use) {}
  Status ReadHeads(std::span<const uint8_t> bytes);
  Result<std::optional<Head>> ReadHead(std::span<const uint8_t> bytes, uint64_t slot) const;
  Status WriteHead(Head head);
  Status CheckBetween() const;
  Status ClearBetween();
  std::vector<Extent> Gaps(uint64_t end) const;
  uint64_t Allocate(uint64_t bytes);

  LockedFile file_;
  LockedFile::Use use_;
  Head head_;
  std::string index_;
  std::vector<Extent> extents_;  // of the committed version, with the index, ascending
  std::vector<Extent> free_;     // during a save: gaps that may be written
  uint64_t end_ = 0;             // during a save: where the file ends
};

}  // namespace linnet
