#include "io/quantised_tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include <fmt/format.h>

#include "io/derived_tensors.h"
#include "io/quantised_rows.h"

namespace linnet {
namespace {

using Method = Quantisation::Method;

// The tensors of one module, and what is made of them.
class Module {
 public:
  Module(const Safetensors& file, const Quantisation& quantisation, std::string path)
      : file_(file), quantisation_(quantisation), path_(std::move(path)) {}

  Status Read();
  const MatrixParts& matrix() const { return m_; }
  const std::vector<const TensorInfo*>& parts() const { return parts_; }

 private:
  // A tensor of this module, whose bytes are noted as part of the matrix; nullptr if there is none.
  const TensorInfo* Part(std::string_view ending);
  std::span<const uint8_t> BytesOf(const TensorInfo& tensor) const {
    return file_.Bytes(tensor, 0, tensor.bytes, scratch_);
  }
  // Whether it is there as one of these types with this shape; 0 in the shape stands for any size.
  static bool Is(const TensorInfo* tensor, std::initializer_list<Dtype> types,
                 std::initializer_list<int64_t> shape);
  std::unexpected<Error> Bad(const std::string& what) const;

  Status ReadParts();
  Status ReadMlx();
  Status ReadMlxAffine(const TensorInfo& weight, const TensorInfo& scales, const TensorInfo& biases);
  Status ReadMlxFloat(const TensorInfo& weight, const TensorInfo& scales);
  Status ReadPacked(const TensorInfo& packed);
  Status ReadPackedWidth(const TensorInfo& packed);
  Status ReadPackedFloat(const TensorInfo& packed, const TensorInfo& scale);
  Status ReadBytes(const TensorInfo& weight);
  Status ReadScales(const TensorInfo& scale);
  Status ReadGlobal(bool nvfp4);
  Status ReadZeroPoints();
  Status ReadGptqOrAwq();
  Status ReadGroupIndex(std::string_view ending);

  const Safetensors& file_;
  const Quantisation& quantisation_;
  std::string path_;
  MatrixParts m_;
  std::vector<const TensorInfo*> parts_;
  mutable std::vector<uint8_t> scratch_;  // stays empty: the bytes lie in a mapped file or in memory
};

constexpr std::initializer_list<Dtype> kFloats = {Dtype::kBf16, Dtype::kF16, Dtype::kF32};

const TensorInfo* Module::Part(std::string_view ending) {
  const TensorInfo* tensor = file_.Find(path_ + std::string(ending));
  if (tensor != nullptr) parts_.push_back(tensor);
  return tensor;
}

bool Module::Is(const TensorInfo* tensor, std::initializer_list<Dtype> types,
                std::initializer_list<int64_t> shape) {
  return tensor != nullptr && std::ranges::find(types, tensor->dtype) != types.end() &&
         std::ranges::equal(tensor->shape, shape, [](int64_t a, int64_t b) { return a == b || b == 0; });
}

std::unexpected<Error> Module::Bad(const std::string& what) const {
  std::string found;
  for (const TensorInfo* part : parts_) {
    found += fmt::format("{}{} {} {}", found.empty() ? "" : ", ", part->name.substr(path_.size() + 1),
                         GetDtypeInfo(part->dtype).name, ShapeText(part->shape));
  }
  return Fail(ErrorCode::kBadFile,
              fmt::format("{}, quantised by {}: {} (found: {})", path_, quantisation_.name, what, found),
              "the file is damaged, or in a form that is not read: take the bf16 checkpoint or a GGUF file");
}

Status Module::ReadParts() {
  switch (quantisation_.method) {
    case Method::kMlx:
      return ReadMlx();
    case Method::kGptq:
    case Method::kAwq:
      return ReadGptqOrAwq();
    default:
      if (const TensorInfo* packed = Part(".weight_packed")) return ReadPacked(*packed);
      const TensorInfo* weight = Part(".weight");
      return weight != nullptr ? ReadBytes(*weight) : Bad("there is no weight");
  }
}

Status Module::Read() {
  LINNET_TRY(ReadParts());
  return m_.rows > 0 && m_.width > 0 ? Status() : Bad("the matrix is empty");
}

Status Module::ReadMlx() {
  const TensorInfo *weight = Part(".weight"), *scales = Part(".scales"), *biases = Part(".biases");
  if (!Is(weight, {Dtype::kU32}, {0, 0}) || scales == nullptr || scales->shape.size() != 2 ||
      scales->shape[0] != weight->shape[0] || scales->shape[1] < 1 || scales->shape[0] < 1) {
    return Bad("a weight of words and a scale for each group of a row are expected");
  }
  m_.rows = weight->shape[0];
  m_.elements = BytesOf(*weight);
  m_.row_bytes = 4 * weight->shape[1];
  m_.scales = BytesOf(*scales);
  const bool nvfp4 = biases == nullptr && weight->shape[1] == 2 * scales->shape[1];
  LINNET_TRY(ReadGlobal(nvfp4));
  return biases != nullptr ? ReadMlxAffine(*weight, *scales, *biases) : ReadMlxFloat(*weight, *scales);
}

Status Module::ReadMlxAffine(const TensorInfo& weight, const TensorInfo& scales, const TensorInfo& biases) {
  const auto found = quantisation_.modules.find(path_);
  const Quantisation::Mlx& said = found == quantisation_.modules.end() ? quantisation_.mlx : found->second;
  const int64_t bits = said.bits, groups = scales.shape[1];
  if (bits < 1 || bits > 8 || bits == 7 || said.group < 1 ||
      groups * said.group * bits != 32 * weight.shape[1]) {
    return Bad(
        fmt::format("config.json says {} bits in groups of {}, which is another size", bits, said.group));
  }
  if (!Is(&scales, kFloats, {m_.rows, groups}) || !Is(&biases, {scales.dtype}, {m_.rows, groups})) {
    return Bad("scales and biases are floats of one type and shape");
  }
  m_.bits = static_cast<int>(bits);
  m_.width = groups * said.group;
  m_.group = said.group;
  m_.factor_type = m_.offset_type = scales.dtype;
  m_.offsets = BytesOf(biases);
  return {};
}

// The mode shows in the sizes: words of a row for each of its scales.
Status Module::ReadMlxFloat(const TensorInfo& weight, const TensorInfo& scales) {
  const int64_t words = weight.shape[1], groups = scales.shape[1];
  if (scales.dtype != Dtype::kU8 || (words != 2 * groups && words != 4 * groups && words != 8 * groups)) {
    return Bad("scales of bytes, one for 2, 4 or 8 words, or floats with biases are expected");
  }
  const bool nvfp4 = words == 2 * groups, mxfp8 = words == 8 * groups;
  m_.fields = mxfp8 ? ElementFields::kE4m3 : ElementFields::kE2m1;
  m_.factors = nvfp4 ? Factors::kE4m3 : Factors::kE8m0;
  m_.width = words * (mxfp8 ? 4 : 8);
  m_.group = nvfp4 ? 16 : 32;
  return {};
}

// The scales of the whole matrix, one that divides and one that multiplies.
Status Module::ReadGlobal(bool nvfp4) {
  const std::pair<const TensorInfo*, float*> scales[] = {{Part(".weight_global_scale"), &m_.per_global},
                                                         {Part(".weight_scale_2"), &m_.global}};
  for (const auto& [tensor, value] : scales) {
    if (tensor == nullptr) continue;
    if (!nvfp4) return Bad("only nvfp4 has a global scale");
    if (tensor->dtype == Dtype::kF32 && tensor->elements() == 1) {
      std::memcpy(value, BytesOf(*tensor).data(), sizeof *value);
      if (std::isfinite(*value) && *value != 0.0f) continue;
    }
    return Bad(fmt::format("{} is no finite float32 other than 0", tensor->name.substr(path_.size() + 1)));
  }
  return {};
}

// The scales of a matrix whose rows and width are known: one, one a row, for each group of a row, or for each
// block.
Status Module::ReadScales(const TensorInfo& scale) {
  m_.scales = BytesOf(scale);
  m_.factor_type = scale.dtype;
  m_.group = std::max<int64_t>(m_.width, 1);
  if (std::ranges::find(kFloats, scale.dtype) == kFloats.end()) return Bad("the scales are no floats");
  m_.one_factor = scale.elements() == 1;
  if (m_.one_factor || (scale.shape.size() == 1 && scale.shape[0] == m_.rows)) return {};
  if (scale.shape.size() != 2 || scale.shape[1] < 1) return Bad("the scales have another shape");
  const int64_t columns = scale.shape[1];
  const auto blocks = [](int64_t size, int64_t block) { return (size + block - 1) / block; };
  if (scale.shape[0] == m_.rows && m_.width % columns == 0) {
    m_.group = m_.width / columns;
    return {};
  }
  m_.block_rows = quantisation_.block_rows;
  m_.group = quantisation_.block_columns;
  const bool fits = scale.shape[0] == blocks(m_.rows, m_.block_rows) && columns == blocks(m_.width, m_.group);
  return fits ? Status() : Bad("the scales have another shape");
}

// Int4 and its relatives. The width of a row is in a tensor of its own.
Status Module::ReadPackedWidth(const TensorInfo& packed) {
  const TensorInfo* shape = Part(".weight_shape");
  if (!Is(shape, {Dtype::kI64, Dtype::kI32}, {2})) return Bad("weight_shape is not two whole numbers");
  int64_t size[2] = {0, 0};
  const std::span<const uint8_t> bytes = BytesOf(*shape);
  const size_t step = bytes.size() / 2;
  for (size_t i = 0; i < 2; ++i) std::memcpy(&size[i], bytes.data() + i * step, step);
  if (size[0] != m_.rows || size[1] < 1 || size[1] > int64_t{1} << 32)
    return Bad("weight_shape is another size");
  m_.width = size[1];
  const int64_t words = packed.shape[1];
  std::vector<int64_t> widths = quantisation_.widths;
  if (widths.empty()) widths = {4, 8};
  for (const bool whole_words : {false, true}) {  // some versions let no number cross the border of a word
    for (const int64_t bits : widths) {
      if (bits < 1 || bits > 8) continue;
      const int64_t a_word = 32 / bits;
      const int64_t expected = whole_words ? (m_.width + a_word - 1) / a_word : (m_.width * bits + 31) / 32;
      if (expected != words) continue;
      m_.bits = static_cast<int>(bits);
      m_.fields = whole_words ? ElementFields::kWords : ElementFields::kStream;
      return {};
    }
  }
  return Bad(fmt::format("rows of {} words do not hold {} numbers of the bits that config.json gives", words,
                         m_.width));
}

Status Module::ReadPacked(const TensorInfo& packed) {
  const TensorInfo* scale = Part(".weight_scale");
  if (packed.shape.size() != 2 || packed.shape[0] < 1 || scale == nullptr) {
    return Bad("a packed matrix and its scales are expected");
  }
  m_.rows = packed.shape[0];
  m_.elements = BytesOf(packed);
  if (packed.dtype == Dtype::kU8) return ReadPackedFloat(packed, *scale);
  if (packed.dtype != Dtype::kI32) return Bad("a packed matrix of words or bytes is expected");
  m_.row_bytes = 4 * packed.shape[1];
  LINNET_TRY(ReadPackedWidth(packed));
  LINNET_TRY(ReadScales(*scale));
  m_.zero = 1 << (m_.bits - 1);
  LINNET_TRY(ReadZeroPoints());
  return ReadGroupIndex(".weight_g_idx");
}

// nvfp4 and mxfp4 of both families.
Status Module::ReadPackedFloat(const TensorInfo& packed, const TensorInfo& scale) {
  m_.fields = ElementFields::kE2m1;
  m_.row_bytes = packed.shape[1];
  m_.width = 2 * packed.shape[1];
  m_.scales = BytesOf(scale);
  const bool nvfp4 = scale.dtype == Dtype::kF8E4m3;
  m_.factors = nvfp4 ? Factors::kE4m3 : Factors::kE8m0;
  m_.group = nvfp4 ? 16 : 32;
  if (!Is(&scale, {Dtype::kF8E4m3, Dtype::kU8}, {m_.rows, m_.groups()}) || m_.width % m_.group != 0) {
    return Bad(fmt::format("a scale of a byte for every {} elements is expected", m_.group));
  }
  return ReadGlobal(nvfp4);
}

Status Module::ReadZeroPoints() {
  const TensorInfo* zeros = Part(".weight_zero_point");
  if (zeros == nullptr) return {};
  const bool bytes = m_.fields == ElementFields::kInt8;
  const int64_t rows = bytes ? m_.rows : (m_.rows * m_.bits + 31) / 32;
  const bool fits = bytes && m_.groups() == 1
                        ? zeros->dtype == Dtype::kI8 && zeros->elements() == rows
                        : Is(zeros, {bytes ? Dtype::kI8 : Dtype::kI32}, {rows, m_.groups()});
  if (m_.one_factor && bytes && zeros->dtype == Dtype::kI8 && zeros->elements() == 1) {
    m_.zero = static_cast<int8_t>(BytesOf(*zeros)[0]);
    return {};
  }
  if (!fits || m_.one_factor || m_.block_rows != 1 || m_.fields == ElementFields::kWords) {
    return Bad("the zero points have another shape");
  }
  m_.zeros = BytesOf(*zeros);
  return {};
}

// A byte an element: int8 or float8 with scales, or two float4 of ModelOpt.
Status Module::ReadBytes(const TensorInfo& weight) {
  const TensorInfo *scale = Part(".weight_scale"), *inverse = Part(".weight_scale_inv");
  if (scale == nullptr) scale = inverse;  // by which they are multiplied all the same
  if (weight.shape.size() != 2 || weight.shape[0] < 1 || scale == nullptr) {
    return Bad("a matrix and its scales are expected");
  }
  m_.rows = weight.shape[0];
  m_.width = weight.shape[1];
  m_.elements = BytesOf(weight);
  m_.row_bytes = weight.shape[1];
  if (weight.dtype == Dtype::kU8) return ReadPackedFloat(weight, *scale);
  if (weight.dtype == Dtype::kI8) {
    m_.fields = ElementFields::kInt8;
    m_.bits = 8;
    LINNET_TRY(ReadScales(*scale));
    return ReadZeroPoints();
  }
  if (weight.dtype != Dtype::kF8E4m3) return Bad("a matrix of bytes is expected");
  m_.fields = ElementFields::kE4m3;
  if (scale->dtype != Dtype::kU8) return ReadScales(*scale);
  m_.factors = Factors::kE8m0;
  m_.group = 32;
  m_.scales = BytesOf(*scale);
  if (!Is(scale, {Dtype::kU8}, {m_.rows, m_.groups()}))
    return Bad("a scale for every 32 elements is expected");
  return {};
}

// The group of each column, where columns were quantised in another order.
Status Module::ReadGroupIndex(std::string_view ending) {
  const TensorInfo* index = Part(ending);
  if (index == nullptr || index->bytes == 0) return {};
  if (!Is(index, {Dtype::kI32}, {m_.width})) return Bad("g_idx is not a group for each column");
  std::vector<int32_t> groups(static_cast<size_t>(m_.width));
  std::memcpy(groups.data(), BytesOf(*index).data(), index->bytes);
  bool in_order = true;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] < 0 || groups[i] >= m_.groups()) return Bad(fmt::format("g_idx names group {}", groups[i]));
    in_order = in_order && groups[i] == static_cast<int64_t>(i) / m_.group;
  }
  if (!in_order) m_.group_of = std::move(groups);
  return {};
}

Status Module::ReadGptqOrAwq() {
  const bool awq = quantisation_.method == Method::kAwq;
  const TensorInfo *weight = Part(".qweight"), *zeros = Part(".qzeros"), *scales = Part(".scales");
  if (!Is(weight, {Dtype::kI32}, {0, 0}) || !Is(scales, kFloats, {0, 0}) || scales->shape[0] < 1) {
    return Bad("qweight and scales are expected");
  }
  const int64_t bits = quantisation_.bits, groups = scales->shape[0];
  m_.fields = awq ? ElementFields::kAwq : ElementFields::kGptq;
  m_.bits = static_cast<int>(bits);
  m_.rows = scales->shape[1];
  m_.width = awq ? weight->shape[0] : weight->shape[0] * 32 / bits;
  m_.elements = BytesOf(*weight);
  m_.scales = BytesOf(*scales);
  m_.factor_type = scales->dtype;
  m_.groups_first = true;
  const int64_t row_words = (m_.rows * bits + 31) / 32;
  const bool fits = awq ? m_.rows % 8 == 0 && Is(weight, {Dtype::kI32}, {0, m_.rows / 8})
                        : Is(weight, {Dtype::kI32}, {0, m_.rows});
  if (!fits || m_.width < 1 || m_.width % groups != 0) return Bad("the shapes do not belong together");
  m_.group = m_.width / groups;
  m_.zeros_less_one = !awq && quantisation_.zeros_less_one;
  if (!Is(zeros, {Dtype::kI32}, {groups, row_words})) return Bad("qzeros have another shape");
  m_.zeros = BytesOf(*zeros);
  return awq ? Status() : ReadGroupIndex(".g_idx");
}

// What makes a module a quantised one.
std::span<const std::string_view> MarksOf(Method method) {
  static constexpr std::string_view kMarks[] = {".scales", ".qweight", ".weight_packed", ".weight_scale",
                                                ".weight_scale_inv"};
  const std::span<const std::string_view> all(kMarks);
  if (method == Method::kNone) return all;
  if (method == Method::kMlx) return all.first(1);
  return method == Method::kCompressedTensors ? all.subspan(2) : all.subspan(1, 1);
}

// What a module has besides, for activations and the cache.
constexpr std::string_view kUnused[] = {
    ".input_scale", ".input_global_scale", ".input_zero_point", ".output_scale", ".k_scale", ".v_scale"};

std::set<std::string> ModulesOf(const Safetensors& file, Method method) {
  std::set<std::string> modules;
  for (const TensorInfo& tensor : file.tensors()) {
    for (const std::string_view mark : MarksOf(method)) {
      if (tensor.name.ends_with(mark))
        modules.insert(tensor.name.substr(0, tensor.name.size() - mark.size()));
    }
  }
  return modules;
}

// Without what says how, a quantised file is not to be read.
Status CheckPlain(const Safetensors& file) {
  for (const std::string& path : ModulesOf(file, Method::kNone)) {
    const TensorInfo *words = file.Find(path + ".weight"), *packed = file.Find(path + ".qweight");
    if (words == nullptr || !IsWholeNumbers(words->dtype)) words = packed;
    if (words == nullptr) words = file.Find(path + ".weight_packed");
    if (words == nullptr) continue;
    return Fail(ErrorCode::kUnsupported,
                fmt::format("tensor \"{}\" is quantised{}, and config.json does not say how", words->name,
                            words->dtype == Dtype::kU32 ? ", as written by MLX" : ""),
                "take the config.json that belongs to these weights");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<TensorSource>> Dequantised(std::unique_ptr<Safetensors> file,
                                                  const Quantisation& quantisation) {
  if (quantisation.method == Method::kNone) {
    LINNET_TRY(CheckPlain(*file));
    return file;
  }
  const Safetensors& base = *file;
  auto derived = std::make_unique<DerivedTensors>(std::move(file));
  std::set<const TensorInfo*> used;
  for (const std::string& path : ModulesOf(base, quantisation.method)) {
    Module module(base, quantisation, path);
    LINNET_TRY(module.Read());
    used.insert(module.parts().begin(), module.parts().end());
    for (const std::string_view ending : kUnused) used.insert(base.Find(path + std::string(ending)));
    if (path == "lm_head" || path.ends_with(".lm_head")) continue;  // a second copy of the table
    const MatrixParts& matrix = module.matrix();
    TensorInfo info{
        .name = path + ".weight", .dtype = FormatFor(matrix), .shape = {matrix.rows, matrix.width}};
    const auto bytes = TensorBytes(info.dtype, info.shape);
    if (!bytes) return Prefixed(path, bytes.error());
    info.bytes = *bytes;
    const Dtype format = info.dtype;
    if (!derived->Add(std::move(info), std::make_unique<QuantisedRows>(matrix, format), module.parts())) {
      return Fail(ErrorCode::kBadFile, fmt::format("\"{}\" is there twice, quantised and not", path),
                  "the file is damaged");
    }
  }
  for (const TensorInfo& tensor : base.tensors()) {
    if (used.contains(&tensor)) continue;
    if (!derived->Keep(tensor)) {
      return Fail(ErrorCode::kBadFile, fmt::format("\"{}\" is there twice, quantised and not", tensor.name),
                  "the file is damaged");
    }
  }
  return derived;
}

}  // namespace linnet
