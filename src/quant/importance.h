// Importance of a matrix's columns: the mean square of each of its inputs over a text. Read and written in
// the two forms of llama.cpp (docs/formats.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

class Importance {
 public:
  struct Entry {
    std::vector<float> squares;  // sums, of each input
    float count = 0;             // rows that were summed
  };

  // Either form; which, its first bytes say. Errors: kNotFound, kBadFile.
  static Result<Importance> Read(const std::filesystem::path& path);
  // As GGUF, or in the older form where the name ends in ".dat". A file appears under its name when it is
  // complete.
  Status Write(const std::filesystem::path& path) const;

  // REQUIRES: nothing is negative or not finite. `name` is that of the matrix in GGUF, "blk.0.attn_q.weight".
  void Set(std::string name, Entry entry);

  // One number a column; empty where nothing is known of the matrix.
  std::span<const float> Of(std::string_view name) const;

  size_t size() const { return entries_.size(); }
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

  std::string path;                   // it was read from
  std::vector<std::string> datasets;  // names of the texts
  uint32_t chunks = 0, chunk_tokens = 512;

 private:
  Status ReadGguf(const std::filesystem::path& path);
  Status ReadDat(std::span<const uint8_t> bytes, const std::string& name);

  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::vector<float>, std::less<>> means_;
};

}  // namespace linnet
