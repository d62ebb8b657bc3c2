#include "io/gguf_writer.h"

#include "base/check.h"

namespace linnet {
namespace {

template <typename T>
void Put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void PutString(std::string& out, std::string_view text) {
  Put<uint64_t>(out, text.size());
  out += text;
}

}  // namespace

GgufWriter::GgufWriter(std::filesystem::path path) : TensorFileWriter(std::move(path)) {
  alignment_ = kGgufAlignment;
}

void GgufWriter::Key(std::string_view key, GgufType type) {
  PutString(metadata_, key);
  Put(metadata_, static_cast<uint32_t>(type));
  ++keys_;
}

void GgufWriter::ArrayKey(std::string_view key, GgufType type, uint64_t count) {
  Key(key, GgufType::kArray);
  Put(metadata_, static_cast<uint32_t>(type));
  Put(metadata_, count);
}

void GgufWriter::AddU16(std::string_view key, uint16_t value) {
  Key(key, GgufType::kU16);
  Put(metadata_, value);
}

void GgufWriter::AddU32(std::string_view key, uint32_t value) {
  Key(key, GgufType::kU32);
  Put(metadata_, value);
}

void GgufWriter::AddI32(std::string_view key, int32_t value) {
  Key(key, GgufType::kI32);
  Put(metadata_, value);
}

void GgufWriter::AddF32(std::string_view key, float value) {
  Key(key, GgufType::kF32);
  Put(metadata_, value);
}

void GgufWriter::AddBool(std::string_view key, bool value) {
  Key(key, GgufType::kBool);
  Put<uint8_t>(metadata_, value ? 1 : 0);
}

void GgufWriter::AddString(std::string_view key, std::string_view value) {
  Key(key, GgufType::kString);
  PutString(metadata_, value);
}

void GgufWriter::AddI32s(std::string_view key, std::span<const int32_t> values) {
  ArrayKey(key, GgufType::kI32, values.size());
  for (const int32_t value : values) Put(metadata_, value);
}

void GgufWriter::AddF32s(std::string_view key, std::span<const float> values) {
  ArrayKey(key, GgufType::kF32, values.size());
  for (const float value : values) Put(metadata_, value);
}

void GgufWriter::AddBools(std::string_view key, const std::vector<bool>& values) {
  ArrayKey(key, GgufType::kBool, values.size());
  for (const bool value : values) Put<uint8_t>(metadata_, value ? 1 : 0);
}

void GgufWriter::AddStrings(std::string_view key, std::span<const std::string> values) {
  ArrayKey(key, GgufType::kString, values.size());
  for (const std::string& value : values) PutString(metadata_, value);
}

void GgufWriter::AddValue(std::string_view key, const GgufValue& value) {
  if (value.is_array) {
    ArrayKey(key, value.type, value.count);
  } else {
    Key(key, value.type);
  }
  metadata_.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
}

void GgufWriter::AddTensor(std::string_view name, Dtype dtype, std::span<const int64_t> shape, bool packed) {
  LINNET_CHECK(!shape.empty() && shape.back() % GetDtypeInfo(dtype).block_elements == 0);
  const Result<uint64_t> bytes = packed ? PackedBytes(dtype, shape) : TensorBytes(dtype, shape);
  LINNET_CHECK(bytes.has_value() && (!packed || alignment_ % kGgufPackedAlignment == 0));
  tensors_.push_back({std::string(name), dtype, {shape.begin(), shape.end()}, *bytes, packed});
}

void GgufWriter::AddPackedLayout() {
  AddString(kGgufPackedLayout, kPackedLayout);
  alignment_ = kGgufPackedAlignment;
  AddU32("general.alignment", static_cast<uint32_t>(alignment_));
}

std::string GgufWriter::Header() const {
  std::string header = "GGUF";
  Put<uint32_t>(header, 3);
  Put<uint64_t>(header, tensors_.size());
  Put<uint64_t>(header, keys_);
  header += metadata_;
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    PutString(header, tensor.name);
    Put(header, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t d = tensor.shape.size(); d > 0; --d) Put(header, static_cast<uint64_t>(tensor.shape[d - 1]));
    const uint32_t type = static_cast<uint32_t>(GetDtypeInfo(tensor.dtype).ggml_type);
    Put(header, tensor.packed ? kGgufPackedType + type : type);
    Put(header, offset);
    offset += Padded(tensor.bytes);
  }
  return header;
}

}  // namespace linnet
