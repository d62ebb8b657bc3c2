// What comes through a pipe (standard input, a FIFO, <(…) of a shell), as a file that can be mapped and read
// again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/stream_reader.h"
#include "linnet/error.h"

namespace linnet {

class SpooledFile {
 public:
  static constexpr uint64_t kMostBytes = uint64_t{4} << 30;

  // Whether this names a pipe or a socket, which can be read once only.
  static bool IsStream(const std::filesystem::path& path);

  // All that comes, kept in a file without a name in $TMPDIR or /tmp; it is gone with the last owner.
  // Standard input that is a file is used where it lies. `name` is for messages. Errors: kBadFile for a
  // terminal, a device, and what is longer than `most`; kInternal when there is no room; kCancelled after
  // Ctrl-C (StreamReader).
  static Result<std::shared_ptr<const SpooledFile>> FromStandardInput(const std::string& name,
                                                                      uint64_t most = kMostBytes);
  static Result<std::shared_ptr<const SpooledFile>> Open(const std::filesystem::path& path,
                                                         uint64_t most = kMostBytes);

  SpooledFile(const SpooledFile&) = delete;
  SpooledFile& operator=(const SpooledFile&) = delete;
  ~SpooledFile();

  // Opens what was kept, from its beginning, while this exists.
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit SpooledFile(int descriptor, bool owned);
  static Result<std::shared_ptr<const SpooledFile>> Copy(StreamReader from, const std::string& name,
                                                         uint64_t most);

  int descriptor_;
  bool owned_;
  std::filesystem::path path_;
};

}  // namespace linnet
