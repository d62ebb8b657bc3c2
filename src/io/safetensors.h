// safetensors: u64 header length, JSON header, raw little-endian data. One file, or shards named by
// model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "io/file_tensors.h"

namespace linnet {

class Safetensors : public FileTensors {
 public:
  // Errors: kNotFound, kBadFile; the message names the file, the tensor and the field.
  static Result<std::unique_ptr<Safetensors>> Open(const std::filesystem::path& path);
  // The shards lie beside the index. Every tensor must be where the index says.
  static Result<std::unique_ptr<Safetensors>> OpenSharded(const std::filesystem::path& index_path);
  // `bytes` must outlive the result; `name` is for messages.
  static Result<std::unique_ptr<Safetensors>> FromBytes(std::span<const uint8_t> bytes,
                                                        const std::string& name);

  // The strings of `__metadata__`.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  Status ReadPart(std::span<const uint8_t> bytes);

  std::map<std::string, std::string> metadata_;
};

}  // namespace linnet
