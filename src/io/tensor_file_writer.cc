#include "io/tensor_file_writer.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/check.h"
#include "base/process.h"

namespace linnet {

std::filesystem::path PartPath(std::filesystem::path path) {
  return path += std::string(".").append(std::to_string(ProcessId())).append(".part");
}

TensorFileWriter::TensorFileWriter(std::filesystem::path path)
    : path_(std::move(path)), part_(PartPath(path_)) {}

TensorFileWriter::~TensorFileWriter() {
  if (finished_ || !begun_) return;
  file_.close();
  std::error_code ignored;
  std::filesystem::remove(part_, ignored);
}

void TensorFileWriter::MoveTo(std::filesystem::path path, std::filesystem::path part) {
  LINNET_CHECK(!begun_);
  path_ = std::move(path);
  part_ = std::move(part);
}

std::unexpected<Error> TensorFileWriter::WriteError() const {
  return Fail(ErrorCode::kBadFile, "cannot write " + part_.string() + ": " + std::strerror(errno),
              "check the directory, its permissions and the free space");
}

void TensorFileWriter::Pad() {
  const std::string zeros(Padded(written_) - written_, '\0');
  file_.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
  written_ += zeros.size();
}

uint64_t TensorFileWriter::Size() const { return Offsets().back(); }

std::vector<uint64_t> TensorFileWriter::Offsets() const {
  std::vector<uint64_t> offsets = {Padded(Header().size())};
  for (const Tensor& tensor : tensors_) offsets.push_back(offsets.back() + Padded(tensor.bytes));
  return offsets;
}

Status TensorFileWriter::Begin(size_t done) {
  errno = 0;
  if (done > 0) {
    std::error_code error;
    written_ = Offsets()[done];
    std::filesystem::resize_file(part_, written_, error);
    if (error) return Fail(ErrorCode::kBadFile, "cannot write " + part_.string() + ": " + error.message());
    file_.open(part_, std::ios::binary | std::ios::app);
    current_ = done;
    begun_ = file_.is_open();
  } else {
    const std::string header = Header();
    file_.open(part_, std::ios::binary | std::ios::trunc);
    begun_ = file_.is_open();
    file_.write(header.data(), static_cast<std::streamsize>(header.size()));
    written_ = header.size();
    Pad();
  }
  if (!file_) return WriteError();
  return {};
}

Status TensorFileWriter::Flush() {
  file_.flush();
  if (!file_) return WriteError();
  return {};
}

Status TensorFileWriter::Write(std::span<const uint8_t> bytes) {
  LINNET_CHECK(!complete() && current_bytes_ + bytes.size() <= SizeOf(current_));
  file_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  written_ += bytes.size();
  current_bytes_ += bytes.size();
  if (current_bytes_ == SizeOf(current_)) {
    Pad();
    ++current_;
    current_bytes_ = 0;
  }
  if (!file_) return WriteError();
  return {};
}

Result<uint64_t> TensorFileWriter::Finish() {
  LINNET_CHECK(complete());
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
