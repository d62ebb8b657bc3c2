#include "io/derived_tensors.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace linnet {

bool DerivedTensors::Insert(TensorInfo info, Origin origin) {
  if (!index_.emplace(info.name, tensors_.size()).second) return false;
  tensors_.push_back(std::move(info));
  origins_.push_back(std::move(origin));
  return true;
}

bool DerivedTensors::Keep(const TensorInfo& tensor) { return Insert(tensor, {nullptr, {&tensor}}); }

bool DerivedTensors::Add(TensorInfo info, std::unique_ptr<MatrixRows> rows,
                         std::vector<const TensorInfo*> parts) {
  LINNET_CHECK(info.shape.size() == 2 && rows != nullptr);
  info.computed = true;
  return Insert(std::move(info), {std::move(rows), std::move(parts)});
}

const TensorInfo* DerivedTensors::Find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const DerivedTensors::Origin& DerivedTensors::OriginOf(const TensorInfo& tensor) const {
  const size_t i = static_cast<size_t>(&tensor - tensors_.data());
  LINNET_CHECK(i < tensors_.size());
  return origins_[i];
}

std::span<const uint8_t> DerivedTensors::Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                               std::vector<uint8_t>& scratch) const {
  const Origin& origin = OriginOf(tensor);
  if (origin.rows == nullptr) return base_->Bytes(*origin.parts[0], offset, length, scratch);
  LINNET_CHECK(offset <= tensor.bytes && length <= tensor.bytes - offset);
  if (length == 0) return {};
  const uint64_t row = RowBytes(tensor.dtype, static_cast<uint64_t>(tensor.shape[1]));
  const uint64_t first = offset / row, last = (offset + length - 1) / row + 1;
  scratch.resize((last - first) * row);
  origin.rows->Read(static_cast<int64_t>(first), static_cast<int64_t>(last - first), scratch.data());
  return std::span<const uint8_t>(scratch).subspan(offset - first * row, length);
}

template <typename Act>
void DerivedTensors::ForParts(const TensorInfo& tensor, uint64_t offset, uint64_t length, Act act) const {
  const Origin& origin = OriginOf(tensor);
  if (origin.rows == nullptr) return act(*origin.parts[0], offset, length);
  const uint64_t rows = static_cast<uint64_t>(tensor.shape[0]);
  if (rows == 0 || tensor.bytes == 0) return;
  const uint64_t row = tensor.bytes / rows;
  const uint64_t first = offset / row, last = std::min(rows, (offset + length + row - 1) / row);
  for (const TensorInfo* part : origin.parts) {
    if (part->shape.empty() || part->shape[0] != tensor.shape[0]) continue;
    const uint64_t bytes = part->bytes / rows;
    act(*part, first * bytes, (last - first) * bytes);
  }
}

void DerivedTensors::Prefault(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  ForParts(tensor, offset, length,
           [&](const TensorInfo& part, uint64_t begin, uint64_t n) { base_->Prefault(part, begin, n); });
}

void DerivedTensors::Forget(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  ForParts(tensor, offset, length,
           [&](const TensorInfo& part, uint64_t begin, uint64_t n) { base_->Forget(part, begin, n); });
}

}  // namespace linnet
