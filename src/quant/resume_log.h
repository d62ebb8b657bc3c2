// What lies beside an output in the making, so that a run that was killed can be gone on with: which of its
// items are complete, and a checksum of each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/locked_file.h"
#include "linnet/error.h"
#include "quant/matrix_encoder.h"

namespace linnet {

class ResumeLog {
 public:
  struct Entry {
    uint64_t checksum = 0;
    EncodingLoss loss;
  };

  // Of a run that wrote the same from the same, as `made_of` says in one line; else it begins anew. Nobody
  // else can open it until this goes, and it with it: only a run that is killed leaves one. Errors:
  // kInvalidArgument, another program writes the same output; kBadFile.
  static Result<ResumeLog> Open(const std::filesystem::path& path, std::string_view made_of);
  ~ResumeLog();
  ResumeLog(ResumeLog&&) noexcept = default;
  ResumeLog& operator=(ResumeLog&&) noexcept = default;

  std::span<const Entry> entries() const { return entries_; }
  // Without those behind the first `count`.
  Status Keep(size_t count);
  Status Add(const Entry& entry);

 private:
  explicit ResumeLog(LockedFile file) : file_(std::move(file)) {}
  Status Append(const std::string& line);

  LockedFile file_;
  std::string first_line_;
  uint64_t size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace linnet
