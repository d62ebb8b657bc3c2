#include "io/safetensors_writer.h"

#include <cstring>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "io/file_tensors.h"

namespace linnet {

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::string format)
    : TensorFileWriter(std::move(path)), format_(std::move(format)) {}

void SafetensorsWriter::AddTensor(std::string_view name, Dtype dtype, std::span<const int64_t> shape) {
  const Result<uint64_t> bytes = TensorBytes(dtype, shape);
  LINNET_CHECK(bytes.has_value() && !GetDtypeInfo(dtype).safetensors.empty());
  tensors_.push_back({std::string(name), dtype, {shape.begin(), shape.end()}, *bytes});
}

// The length of the JSON, then the JSON, padded with spaces so that the tensors begin at a multiple of 8.
std::string SafetensorsWriter::Header() const {
  nlohmann::ordered_json json;
  json["__metadata__"] = {{"format", format_}};
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    json[tensor.name] = {{"dtype", GetDtypeInfo(tensor.dtype).safetensors},
                         {"shape", tensor.shape},
                         {"data_offsets", {offset, offset + tensor.bytes}}};
    offset += tensor.bytes;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string header(sizeof length, '\0');
  std::memcpy(header.data(), &length, sizeof length);
  return header + text;
}

}  // namespace linnet
