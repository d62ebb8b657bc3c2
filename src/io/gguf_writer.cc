#include "io/gguf_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/check.h"
#include "base/process.h"

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

GgufWriter::GgufWriter(std::filesystem::path path) : path_(std::move(path)), part_(PartPath(path_)) {}

std::filesystem::path PartPath(std::filesystem::path path) {
  return path += std::string(".").append(std::to_string(ProcessId())).append(".part");
}

GgufWriter::~GgufWriter() {
  if (finished_ || !begun_) return;
  file_.close();
  std::error_code ignored;
  std::filesystem::remove(part_, ignored);
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

std::unexpected<Error> GgufWriter::WriteError() const {
  return Fail(ErrorCode::kBadFile, "cannot write " + part_.string() + ": " + std::strerror(errno),
              "check the directory, its permissions and the free space");
}

void GgufWriter::Pad() {
  static constexpr char kZeros[std::max(kGgufAlignment, kGgufPackedAlignment)] = {};
  const uint64_t padding = (alignment_ - written_ % alignment_) % alignment_;
  file_.write(kZeros, static_cast<std::streamsize>(padding));
  written_ += padding;
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

uint64_t GgufWriter::Size() const {
  uint64_t size = Padded(Header().size());
  for (const Tensor& tensor : tensors_) size += Padded(tensor.bytes);
  return size;
}

Status GgufWriter::Begin() {
  const std::string header = Header();
  errno = 0;
  file_.open(part_, std::ios::binary | std::ios::trunc);
  begun_ = file_.is_open();
  file_.write(header.data(), static_cast<std::streamsize>(header.size()));
  written_ = header.size();
  Pad();
  if (!file_) return WriteError();
  return {};
}

Status GgufWriter::Write(std::span<const uint8_t> bytes) {
  LINNET_CHECK(current_ < tensors_.size() && current_bytes_ + bytes.size() <= tensors_[current_].bytes);
  file_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  written_ += bytes.size();
  current_bytes_ += bytes.size();
  if (current_bytes_ == tensors_[current_].bytes) {
    Pad();
    ++current_;
    current_bytes_ = 0;
  }
  if (!file_) return WriteError();
  return {};
}

Result<uint64_t> GgufWriter::Finish() {
  LINNET_CHECK(current_ == tensors_.size());
  file_.close();
  if (!file_) return WriteError();
  std::error_code error;
  std::filesystem::rename(part_, path_, error);
  if (error) {
    return Fail(ErrorCode::kBadFile,
                "cannot rename " + part_.string() + " to " + path_.string() + ": " + error.message());
  }
  finished_ = true;
  return written_;
}

}  // namespace linnet
