#include "eval/golden_inputs.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace linnet {
namespace {

constexpr int64_t kMaxChunk = 1 << 20;
constexpr int64_t kTokenTypes = 4;  // text, image, video, audio

std::unexpected<Error> Wrong(const std::string& name, const std::string& what) {
  return Fail(ErrorCode::kBadFile, fmt::format("the tensor {} {}", name, what),
              "see docs/parity.md for what it holds");
}

Result<const GoldenTensor*> Need(const GoldenFile& golden, const std::string& name, bool integer,
                                 int64_t elements) {
  const auto found = golden.find(name);
  if (found == golden.end()) return Wrong(name, "is missing");
  const GoldenTensor& tensor = found->second;
  if (tensor.integer != integer)
    return Wrong(name, integer ? "is not stored as int32" : "is not stored as float32");
  if (elements < 0 && tensor.elements() == 0) return Wrong(name, "is empty");
  if (elements >= 0 && tensor.elements() != elements) {
    return Wrong(name, fmt::format("has {} elements, expected {}", tensor.elements(), elements));
  }
  return &tensor;
}

Status CheckIds(const GoldenFile& golden, const ModelConfig& config) {
  if (!golden.contains("in.input_ids")) return {};
  LINNET_ASSIGN(const GoldenTensor* ids, NeedIntegers(golden, "in.input_ids", -1, config.vocab_size));
  if (golden.contains("in.mm_token_type_ids")) {
    LINNET_TRY(NeedIntegers(golden, "in.mm_token_type_ids", ids->elements(), kTokenTypes));
  }
  if (golden.contains("in.chunk")) {
    LINNET_ASSIGN(const GoldenTensor* chunk, NeedIntegers(golden, "in.chunk", 1, kMaxChunk));
    if (chunk->integers[0] == 0) return Wrong("in.chunk", "is 0");
  }
  if (const auto found = golden.find("in.suppress_tokens");
      found != golden.end() && found->second.elements() > 0) {
    LINNET_TRY(NeedIntegers(golden, "in.suppress_tokens", -1, config.vocab_size));
  }
  return {};
}

// `in.image0` or `in.frame0`: both of its tensors.
Status CheckPicture(const GoldenFile& golden, const std::string& prefix, const ModelConfig& config) {
  if (!config.vision.present)
    return Wrong(prefix + ".patches", "is for a model that sees, and this one does not");
  LINNET_ASSIGN(const GoldenTensor* patches, NeedFloats(golden, prefix + ".patches", -1));
  const int64_t width = config.vision.patch_values();
  if (patches->shape.size() != 2 || patches->shape[1] != width) {
    return Wrong(prefix + ".patches", fmt::format("has no rows of {} values", width));
  }
  LINNET_TRY(
      NeedIntegers(golden, prefix + ".positions", 2 * patches->shape[0], config.vision.mm_posemb_size));
  return {};
}

}  // namespace

Result<const GoldenTensor*> NeedIntegers(const GoldenFile& golden, const std::string& name, int64_t elements,
                                         int64_t below) {
  LINNET_ASSIGN(const GoldenTensor* tensor, Need(golden, name, true, elements));
  const auto outside = std::ranges::find_if(tensor->integers, [&](int32_t i) { return i < 0 || i >= below; });
  if (outside == tensor->integers.end()) return tensor;
  return Wrong(name, fmt::format("holds {} at {}, expected 0 to {}", *outside,
                                 outside - tensor->integers.begin(), below - 1));
}

Result<const GoldenTensor*> NeedFloats(const GoldenFile& golden, const std::string& name, int64_t elements) {
  LINNET_ASSIGN(const GoldenTensor* tensor, Need(golden, name, false, elements));
  const auto wrong = std::ranges::find_if(tensor->values, [](float value) { return !std::isfinite(value); });
  if (wrong == tensor->values.end()) return tensor;
  return Wrong(name, fmt::format("holds {} at {}", *wrong, wrong - tensor->values.begin()));
}

Status CheckInputs(const GoldenFile& golden, const ModelConfig& config) {
  LINNET_TRY(CheckIds(golden, config));
  for (const auto& [name, tensor] : golden) {
    const size_t dot = name.rfind('.');
    const std::string prefix = name.substr(0, dot);
    const std::string field = dot == name.npos ? "" : name.substr(dot + 1);
    const bool picture = name.starts_with("in.image") || name.starts_with("in.frame");
    if (picture && (field == "patches" || field == "positions")) {
      LINNET_TRY(CheckPicture(golden, prefix, config));
    } else if (name.starts_with("in.clip") && field == "samples") {
      if (!config.audio.present) return Wrong(name, "is for a model that hears, and this one does not");
      LINNET_TRY(NeedFloats(golden, name, -1));
    } else if (name == "out.tokens") {
      LINNET_TRY(NeedIntegers(golden, name, -1, config.vocab_size));
    }
  }
  return {};
}

}  // namespace linnet
