#include "tensor/dtype.h"

#include <array>
#include <iterator>

namespace linnet {
namespace {

constexpr std::array<DtypeInfo, kDtypeCount> kDtypes = {{
    {Dtype::kF32, "f32", 1, 4, 64, 0, "F32"},
    {Dtype::kF16, "f16", 1, 2, 32, 1, "F16"},
    {Dtype::kBf16, "bf16", 1, 2, 32, 30, "BF16"},
    {Dtype::kQ4_0, "q4_0", 32, 18, 288, 2, ""},
    {Dtype::kQ4_1, "q4_1", 32, 20, 320, 3, ""},
    {Dtype::kQ5_0, "q5_0", 32, 22, 352, 6, ""},
    {Dtype::kQ5_1, "q5_1", 32, 24, 384, 7, ""},
    {Dtype::kQ8_0, "q8_0", 32, 34, 544, 8, ""},
    {Dtype::kQ4K, "q4_k", 256, 144, 2368, 12, ""},
    {Dtype::kQ5K, "q5_k", 256, 176, 2880, 13, ""},
    {Dtype::kQ6K, "q6_k", 256, 210, 3360, 14, ""},
    {Dtype::kI32, "i32", 1, 4, 0, 26, "I32"},
    {Dtype::kI64, "i64", 1, 8, 0, 27, "I64"},
}};

// By number. The ones ggml has given up keep theirs.
constexpr std::string_view kGgmlNames[] = {
    "F32",      "F16",      "Q4_0",    "Q4_1",  "Q4_2",       "Q4_3",       "Q5_0",       "Q5_1",
    "Q8_0",     "Q8_1",     "Q2_K",    "Q3_K",  "Q4_K",       "Q5_K",       "Q6_K",       "Q8_K",
    "IQ2_XXS",  "IQ2_XS",   "IQ3_XXS", "IQ1_S", "IQ4_NL",     "IQ3_S",      "IQ2_S",      "IQ4_XS",
    "I8",       "I16",      "I32",     "I64",   "F64",        "IQ1_M",      "BF16",       "Q4_0_4_4",
    "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",   "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",
    "NVFP4",    "Q1_0",     "Q2_0"};
static_assert(std::size(kGgmlNames) == 43);

constexpr bool TableIsInOrder() {
  for (int i = 0; i < kDtypeCount; ++i) {
    if (kDtypes[i].dtype != static_cast<Dtype>(i)) return false;
  }
  return true;
}
static_assert(TableIsInOrder());

}  // namespace

const DtypeInfo& GetDtypeInfo(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)]; }

std::optional<Dtype> DtypeFromName(std::string_view name) {
  for (const DtypeInfo& info : kDtypes) {
    if (info.name == name) return info.dtype;
  }
  return std::nullopt;
}

std::optional<Dtype> DtypeFromGgml(uint32_t ggml_type) {
  for (const DtypeInfo& info : kDtypes) {
    if (info.ggml_type >= 0 && static_cast<uint32_t>(info.ggml_type) == ggml_type) return info.dtype;
  }
  return std::nullopt;
}

std::string_view GgmlTypeName(uint32_t ggml_type) {
  return ggml_type < std::size(kGgmlNames) ? kGgmlNames[ggml_type] : std::string_view();
}

std::optional<Dtype> DtypeFromSafetensors(std::string_view name) {
  for (const DtypeInfo& info : kDtypes) {
    if (!info.safetensors.empty() && info.safetensors == name) return info.dtype;
  }
  return std::nullopt;
}

}  // namespace linnet
