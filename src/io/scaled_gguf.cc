#include "io/scaled_gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "io/derived_tensors.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

constexpr std::string_view kWeight = ".weight", kScale = ".scale", kInputScale = ".input_scale";

// The matrix that a tensor X.scale or X.input_scale belongs to.
const TensorInfo* MatrixOf(const TensorSource& file, std::string_view name, std::string_view ending) {
  if (!name.ends_with(ending)) return nullptr;
  name.remove_suffix(ending.size());
  const TensorInfo* matrix = file.Find(std::string(name) + std::string(kWeight));
  return matrix != nullptr && matrix->shape.size() == 2 ? matrix : nullptr;
}

class ScaledRows : public MatrixRows {
 public:
  ScaledRows(const TensorSource& file, const TensorInfo& matrix, float scale)
      : file_(file), matrix_(matrix), scale_(scale) {}

  void Read(int64_t first, int64_t count, uint8_t* out) const override {
    const size_t width = static_cast<size_t>(matrix_.shape[1]);
    const uint64_t row_bytes = RowBytes(matrix_.dtype, width);
    std::vector<uint8_t> scratch;
    std::vector<float> values(width);
    for (int64_t r = first; r < first + count; ++r, out += width * sizeof(float)) {
      const uint8_t* blocks =
          file_.Bytes(matrix_, static_cast<uint64_t>(r) * row_bytes, row_bytes, scratch).data();
      DecodeRow(matrix_.dtype, blocks, values);
      for (float& value : values) value *= scale_;  // last, as a product of the matrix would be
      std::memcpy(out, values.data(), width * sizeof(float));
    }
  }

 private:
  const TensorSource& file_;
  const TensorInfo& matrix_;
  float scale_;
};

Result<float> ReadScale(const TensorSource& file, const TensorInfo& scale, const TensorInfo& matrix) {
  float value = NAN;
  if (scale.dtype == Dtype::kF32 && scale.elements() == 1 && !matrix.packed &&
      !IsWholeNumbers(matrix.dtype)) {
    std::vector<uint8_t> scratch;
    std::memcpy(&value, file.Bytes(scale, 0, scale.bytes, scratch).data(), sizeof value);
  }
  if (std::isfinite(value)) return value;
  return Fail(ErrorCode::kBadFile,
              fmt::format("tensor \"{}\" is no factor of \"{}\": a finite float32 and a matrix in rows are "
                          "expected",
                          scale.name, matrix.name),
              "the file is damaged");
}

}  // namespace

Result<std::unique_ptr<TensorSource>> WithScales(std::unique_ptr<Gguf> file) {
  const auto is_scale = [&](const TensorInfo& tensor) {
    return MatrixOf(*file, tensor.name, kScale) != nullptr;
  };
  if (std::ranges::none_of(file->tensors(), is_scale)) return file;
  const Gguf& base = *file;
  auto derived = std::make_unique<DerivedTensors>(std::move(file));
  for (const TensorInfo& tensor : base.tensors()) {
    if (MatrixOf(base, tensor.name, kScale) || MatrixOf(base, tensor.name, kInputScale)) continue;
    const TensorInfo* scale = nullptr;
    if (tensor.name.ends_with(kWeight) && tensor.shape.size() == 2) {
      scale = base.Find(tensor.name.substr(0, tensor.name.size() - kWeight.size()) + std::string(kScale));
    }
    if (scale == nullptr) {
      derived->Keep(tensor);
      continue;
    }
    const Result<float> factor = ReadScale(base, *scale, tensor);
    if (!factor) return Prefixed(base.name(), factor.error());
    const uint64_t bytes = static_cast<uint64_t>(tensor.elements()) * sizeof(float);
    derived->Add({.name = tensor.name, .dtype = Dtype::kF32, .shape = tensor.shape, .bytes = bytes},
                 std::make_unique<ScaledRows>(base, tensor, *factor), {&tensor});
  }
  return derived;
}

}  // namespace linnet
