#include "tensor/dtype.h"

#include <array>
#include <iterator>

namespace linnet {
namespace {

constexpr std::array<DtypeInfo, kDtypeCount> kDtypes = {{
    {Dtype::kF32, "f32", 1, 4, 64, 0, "F32", Dtype::kF32},
    {Dtype::kF16, "f16", 1, 2, 32, 1, "F16", Dtype::kF16},
    {Dtype::kBf16, "bf16", 1, 2, 32, 30, "BF16", Dtype::kBf16},
    {Dtype::kQ4_0, "q4_0", 32, 18, 288, 2, "", Dtype::kQ4_0},
    {Dtype::kQ4_1, "q4_1", 32, 20, 320, 3, "", Dtype::kQ4_1},
    {Dtype::kQ5_0, "q5_0", 32, 22, 352, 6, "", Dtype::kQ5_0},
    {Dtype::kQ5_1, "q5_1", 32, 24, 384, 7, "", Dtype::kQ5_1},
    {Dtype::kQ8_0, "q8_0", 32, 34, 544, 8, "", Dtype::kQ8_0},
    {Dtype::kQ4K, "q4_k", 256, 144, 2368, 12, "", Dtype::kQ4K},
    {Dtype::kQ5K, "q5_k", 256, 176, 2880, 13, "", Dtype::kQ5K},
    {Dtype::kQ6K, "q6_k", 256, 210, 3360, 14, "", Dtype::kQ6K},
    {Dtype::kQ2K, "q2_k", 256, 84, 0, 10, "", Dtype::kF32},
    {Dtype::kQ3K, "q3_k", 256, 110, 0, 11, "", Dtype::kQ6K},
    {Dtype::kIq2Xxs, "iq2_xxs", 256, 66, 0, 16, "", Dtype::kF32},
    {Dtype::kIq2Xs, "iq2_xs", 256, 74, 0, 17, "", Dtype::kF32},
    {Dtype::kIq2S, "iq2_s", 256, 82, 0, 22, "", Dtype::kF32},
    {Dtype::kIq3Xxs, "iq3_xxs", 256, 98, 0, 18, "", Dtype::kF32},
    {Dtype::kIq3S, "iq3_s", 256, 110, 0, 21, "", Dtype::kQ6K},
    {Dtype::kIq1S, "iq1_s", 256, 50, 0, 19, "", Dtype::kF32},
    {Dtype::kIq1M, "iq1_m", 256, 56, 0, 29, "", Dtype::kF32},
    {Dtype::kIq4Nl, "iq4_nl", 32, 18, 288, 20, "", Dtype::kIq4Nl},
    {Dtype::kIq4Xs, "iq4_xs", 256, 136, 2208, 23, "", Dtype::kIq4Xs},
    {Dtype::kTq1, "tq1_0", 256, 54, 0, 34, "", Dtype::kQ4_0},
    {Dtype::kTq2, "tq2_0", 256, 66, 0, 35, "", Dtype::kQ4_0},
    {Dtype::kMxfp4, "mxfp4", 32, 17, 272, 39, "", Dtype::kMxfp4},
    {Dtype::kNvfp4, "nvfp4", 64, 36, 576, 40, "", Dtype::kNvfp4},
    {Dtype::kQ1_0, "q1_0", 128, 18, 0, 41, "", Dtype::kQ4_0},
    {Dtype::kQ2_0, "q2_0", 64, 18, 0, 42, "", Dtype::kQ4_0},
    {Dtype::kF8E4m3, "f8_e4m3", 1, 1, 0, -1, "F8_E4M3", Dtype::kBf16},
    {Dtype::kI8, "i8", 1, 1, 0, 24, "I8", Dtype::kI8},
    {Dtype::kU8, "u8", 1, 1, 0, -1, "U8", Dtype::kU8},
    {Dtype::kU32, "u32", 1, 4, 0, -1, "U32", Dtype::kU32},
    {Dtype::kI32, "i32", 1, 4, 0, 26, "I32", Dtype::kI32},
    {Dtype::kI64, "i64", 1, 8, 0, 27, "I64", Dtype::kI64},
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

constexpr bool TableIsSound() {
  for (int i = 0; i < kDtypeCount; ++i) {
    if (kDtypes[i].dtype != static_cast<Dtype>(i)) return false;
    const DtypeInfo& held = kDtypes[static_cast<size_t>(kDtypes[i].held)];
    if (held.panel_bytes == 0 && !IsWholeNumbers(held.dtype)) return false;
  }
  return true;
}
static_assert(TableIsSound());

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
