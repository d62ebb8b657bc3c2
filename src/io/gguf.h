// GGUF v2 and v3: typed metadata and tensors. A file, a set of split files, or bytes in memory.
// Everything is checked against the real length when the file is opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/file_tensors.h"
#include "io/gguf_metadata.h"

namespace linnet {

class Gguf : public FileTensors {
 public:
  // Opens the other parts of a split file (`…-00001-of-00003.gguf`) too, whichever part is named.
  // Errors: kNotFound, kBadFile, kUnsupported; the message names the file and the key or tensor.
  static Result<std::unique_ptr<Gguf>> Open(const std::filesystem::path& path);
  // `bytes` must outlive the result; `name` is for messages.
  static Result<std::unique_ptr<Gguf>> FromBytes(std::span<const uint8_t> bytes, const std::string& name);

  uint32_t version() const { return version_; }
  const std::string& name() const { return name_; }  // the path, for messages
  const GgufMetadata& metadata() const { return metadata_; }

 private:
  Status CheckPackedLayout() const;
  Status ReadPart(std::span<const uint8_t> bytes);
  Status ReadTensors(std::span<const uint8_t> bytes, uint64_t position, uint64_t count, uint64_t alignment);
  Status OpenSiblings(const std::filesystem::path& path);

  std::string name_;
  uint32_t version_ = 0;
  GgufMetadata metadata_;  // of the first part
};

// Matrices packed for the kernels have tensor types of their own, which no other program takes for rows, and
// the key names their layout.
inline constexpr uint32_t kGgufPackedType = 0x4c500000;  // plus the id of the number format
inline constexpr std::string_view kGgufPackedLayout = "linnet.packed_layout";
inline constexpr uint64_t kGgufPackedAlignment = 64;

inline constexpr uint64_t kGgufAlignment = 32;  // unless general.alignment says otherwise

}  // namespace linnet
