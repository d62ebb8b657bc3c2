#include "io/file_tensors.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.h"
#include "base/checked_math.h"

namespace linnet {

const TensorInfo* FileTensors::Find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::span<const uint8_t> FileTensors::Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                            std::vector<uint8_t>& /*scratch*/) const {
  const size_t i = static_cast<size_t>(&tensor - tensors_.data());
  LINNET_CHECK(i < tensors_.size());
  LINNET_CHECK(offset <= tensor.bytes && length <= tensor.bytes - offset);
  const Place& place = places_[i];
  return parts_[place.part].bytes.subspan(place.begin + offset, length);
}

void FileTensors::Prefault(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  const size_t i = static_cast<size_t>(&tensor - tensors_.data());
  LINNET_CHECK(i < tensors_.size());
  const Place& place = places_[i];
  parts_[place.part].file.Prefault(place.begin + offset, length);
}

void FileTensors::Forget(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  const size_t i = static_cast<size_t>(&tensor - tensors_.data());
  LINNET_CHECK(i < tensors_.size());
  const Place& place = places_[i];
  parts_[place.part].file.Forget(place.begin + offset, length);
}

Status FileTensors::CheckUnchanged() const {
  for (const Part& part : parts_) LINNET_TRY(part.file.CheckUnchanged());
  return {};
}

uint64_t FileTensors::file_bytes() const {
  uint64_t sum = 0;
  for (const Part& part : parts_) sum += part.bytes.size();
  return sum;
}

std::vector<std::filesystem::path> FileTensors::paths() const {
  std::vector<std::filesystem::path> paths;
  for (const Part& part : parts_) {
    if (!part.file.path().empty()) paths.push_back(part.file.path());
  }
  return paths;
}

Result<std::span<const uint8_t>> FileTensors::AddFile(const std::filesystem::path& path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::Open(path));
  const std::span<const uint8_t> bytes = file.bytes();
  parts_.push_back({std::move(file), bytes, tensors_.size()});
  return bytes;
}

void FileTensors::AddMemory(std::span<const uint8_t> bytes) {
  parts_.push_back({{}, bytes, tensors_.size()});
}

Status FileTensors::AddTensor(TensorInfo info, uint64_t data_begin, uint64_t begin) {
  LINNET_CHECK(!parts_.empty());
  const uint64_t size = parts_.back().bytes.size();
  const std::optional<uint64_t> end = CheckedAdd(begin, info.bytes);
  if (begin < data_begin || !end || *end > size) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("tensor \"{}\": {} bytes at offset {} reach beyond the file's {} bytes",
                            info.name, info.bytes, begin, size),
                "the file is cut off or damaged: copy or download it again");
  }
  if (!index_.emplace(info.name, tensors_.size()).second) {
    return Fail(ErrorCode::kBadFile, fmt::format("the tensor \"{}\" occurs twice", info.name),
                "the file is damaged");
  }
  places_.push_back({parts_.size() - 1, begin});
  tensors_.push_back(std::move(info));
  return {};
}

Status FileTensors::FinishPart() {
  std::vector<size_t> order(tensors_.size() - parts_.back().first_tensor);
  std::iota(order.begin(), order.end(), parts_.back().first_tensor);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(places_[a].begin, tensors_[a].bytes) < std::pair(places_[b].begin, tensors_[b].bytes);
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const size_t before = order[i - 1];
    const size_t after = order[i];
    if (places_[before].begin + tensors_[before].bytes > places_[after].begin) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("the tensors \"{}\" and \"{}\" overlap at offset {}", tensors_[before].name,
                              tensors_[after].name, places_[after].begin),
                  "the file is damaged");
    }
  }
  return {};
}

Result<uint64_t> TensorBytes(Dtype dtype, std::span<const int64_t> shape) {
  if (shape.size() > kMaxDimensions) {
    return Fail(ErrorCode::kBadFile, fmt::format("has {} dimensions", shape.size()), "the file is damaged");
  }
  uint64_t product = 1;  // of the dimensions other than 0, so that any order of multiplication stays in range
  bool empty = false;
  for (const int64_t d : shape) {
    const std::optional<uint64_t> next =
        d < 0 ? std::nullopt : CheckedMul(product, d == 0 ? 1 : static_cast<uint64_t>(d));
    if (!next || *next > kMaxElements) {
      return Fail(ErrorCode::kBadFile, fmt::format("has the impossible shape {}", ShapeText(shape)),
                  "the file is damaged");
    }
    empty = empty || d == 0;
    product = *next;
  }
  const DtypeInfo& info = GetDtypeInfo(dtype);
  const int64_t row = shape.empty() ? 1 : shape.back();
  if (row % info.block_elements != 0) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("has rows of {} elements, which {} cannot store in blocks of {}", row, info.name,
                            info.block_elements),
                "the file is damaged");
  }
  return empty ? 0 : RowBytes(dtype, product);
}

Result<uint64_t> PackedBytes(Dtype dtype, std::span<const int64_t> shape) {
  const DtypeInfo& info = GetDtypeInfo(dtype);
  if (shape.size() != 2 || info.panel_bytes == 0) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("of {} and the shape {} cannot be packed", info.name, ShapeText(shape)),
                "the file is damaged");
  }
  LINNET_ASSIGN(const uint64_t unpacked, TensorBytes(dtype, shape));
  if (unpacked == 0) return uint64_t{0};
  constexpr uint64_t kRows = 16;
  const uint64_t panels = (static_cast<uint64_t>(shape[0]) + kRows - 1) / kRows;
  return panels *
         (static_cast<uint64_t>(shape[1] / info.block_elements) * static_cast<uint64_t>(info.panel_bytes));
}

std::string ShapeText(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace linnet
