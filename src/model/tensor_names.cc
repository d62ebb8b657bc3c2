#include "model/tensor_names.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "io/file_tensors.h"
#include "model/layer_tensors.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

enum class Part { kText, kVision, kAudio, kDrafter };

// Outside the layers. `other_hf` is the in-memory spelling of the multimodal tensors.
struct Rule {
  Role role;
  Part part;
  const char* hf;
  const char* other_hf;
  const char* gguf;
};

constexpr Rule kRules[] = {
    {Role::kEmbedding, Part::kText, "embed_tokens.weight", "", "token_embd.weight"},
    {Role::kFinalNorm, Part::kText, "norm.weight", "", "output_norm.weight"},
    {Role::kPatchNorm1Weight, Part::kVision, "vision_embedder.patch_ln1.weight",
     "embed_vision.patch_ln1.weight", "v.patch_norm.1.weight"},
    {Role::kPatchNorm1Bias, Part::kVision, "vision_embedder.patch_ln1.bias", "embed_vision.patch_ln1.bias",
     "v.patch_norm.1.bias"},
    {Role::kPatchDenseWeight, Part::kVision, "vision_embedder.patch_dense.weight",
     "embed_vision.patch_dense.weight", "v.patch_embd.weight"},
    {Role::kPatchDenseBias, Part::kVision, "vision_embedder.patch_dense.bias",
     "embed_vision.patch_dense.bias", "v.patch_embd.bias"},
    {Role::kPatchNorm2Weight, Part::kVision, "vision_embedder.patch_ln2.weight",
     "embed_vision.patch_ln2.weight", "v.patch_norm.2.weight"},
    {Role::kPatchNorm2Bias, Part::kVision, "vision_embedder.patch_ln2.bias", "embed_vision.patch_ln2.bias",
     "v.patch_norm.2.bias"},
    {Role::kPositionTable, Part::kVision, "vision_embedder.pos_embedding", "embed_vision.pos_embedding",
     "v.position_embd.weight"},
    {Role::kPositionNormWeight, Part::kVision, "vision_embedder.pos_norm.weight",
     "embed_vision.pos_norm.weight", "v.patch_norm.3.weight"},
    {Role::kPositionNormBias, Part::kVision, "vision_embedder.pos_norm.bias", "embed_vision.pos_norm.bias",
     "v.patch_norm.3.bias"},
    {Role::kVisionProjection, Part::kVision, "embed_vision.embedding_projection.weight",
     "embed_vision.multimodal_embedder.embedding_projection.weight", "mm.input_projection.weight"},
    {Role::kAudioProjection, Part::kAudio, "embed_audio.embedding_projection.weight",
     "embed_audio.multimodal_embedder.embedding_projection.weight", "mm.a.input_projection.weight"},
    {Role::kPreProjection, Part::kDrafter, "pre_projection.weight", "", "nextn.pre_projection.weight"},
    {Role::kPostProjection, Part::kDrafter, "post_projection.weight", "", "nextn.post_projection.weight"},
    {Role::kCentroids, Part::kDrafter, "masked_embedding.centroids.weight", "", "nextn.centroids.weight"},
    {Role::kTokenOrdering, Part::kDrafter, "masked_embedding.token_ordering", "",
     "nextn.token_ordering.weight"},
};

// Older third-party drafters.
struct Alias {
  Role role;
  const char* name;
};
constexpr Alias kAliases[] = {
    {Role::kPreProjection, "mtp.pre_projection.weight"},
    {Role::kPreProjection, "mtp_pre_proj.weight"},
    {Role::kPostProjection, "mtp.post_projection.weight"},
    {Role::kPostProjection, "mtp_post_proj.weight"},
    {Role::kCentroids, "mtp.centroids.weight"},
    {Role::kCentroids, "mtp_centroids.weight"},
    {Role::kTokenOrdering, "mtp.token_ordering.weight"},
    {Role::kTokenOrdering, "mtp_token_ordering.weight"},
    {Role::kTokenOrdering, "mtp_token_ordering"},
};

constexpr const char* kTextPrefixes[] = {"model.language_model.", "model.", "language_model.model.",
                                         "language_model.", ""};
constexpr const char* kOtherPrefixes[] = {"model.", ""};

struct Names {
  Part part;
  std::string hf, other_hf, gguf;
};

Names NamesOf(Role role, int layer) {
  const auto tensors = LayerTensors();
  if (const auto of = std::ranges::find(tensors, role, &LayerTensor::role); of != tensors.end()) {
    return {Part::kText, fmt::format("layers.{}.{}", layer, of->hf), "",
            fmt::format("blk.{}.{}", layer, of->gguf)};
  }
  const auto rule = std::ranges::find(kRules, role, &Rule::role);
  LINNET_CHECK(rule != std::end(kRules));
  return {rule->part, rule->hf, rule->other_hf, rule->gguf};
}

bool ShapeFits(const TensorInfo& info, const ExpectedTensor& expected) {
  std::vector<int64_t> wanted = expected.shape;
  if (expected.role == Role::kPositionTable && IsPlanar(info, expected.role)) std::swap(wanted[0], wanted[1]);
  return info.shape == wanted;
}

void AddLayers(const ModelConfig& config, std::vector<ExpectedTensor>& out) {
  for (size_t l = 0; l < config.layers.size(); ++l) {
    const LayerPlan& plan = config.layers[l];
    for (const LayerTensor& tensor : LayerTensors()) {
      if (tensor.IsIn(config, plan)) {
        out.push_back({tensor.role, static_cast<int>(l), tensor.ShapeIn(config, plan)});
      }
    }
  }
}

}  // namespace

std::string HfName(Role role, int layer, std::string_view text_prefix) {
  const Names names = NamesOf(role, layer);
  const std::string_view prefix = names.part == Part::kDrafter ? ""
                                  : names.part == Part::kText  ? text_prefix
                                                               : "model.";
  return std::string(prefix) + names.hf;
}

std::string GgufName(Role role, int layer) { return NamesOf(role, layer).gguf; }

const TensorInfo* FindTensor(const TensorSource& source, Role role, int layer) {
  const Names names = NamesOf(role, layer);
  if (const TensorInfo* found = source.Find(names.gguf)) return found;
  if (names.part == Part::kText) {
    for (const char* prefix : kTextPrefixes) {
      if (const TensorInfo* found = source.Find(prefix + names.hf)) return found;
    }
    return nullptr;
  }
  for (const char* prefix : kOtherPrefixes) {
    if (const TensorInfo* found = source.Find(prefix + names.hf)) return found;
    if (names.other_hf.empty()) continue;
    if (const TensorInfo* found = source.Find(prefix + names.other_hf)) return found;
  }
  for (const Alias& alias : kAliases) {
    if (alias.role != role) continue;
    if (const TensorInfo* found = source.Find(alias.name)) return found;
  }
  return nullptr;
}

std::vector<ExpectedTensor> TextTensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> out;
  out.push_back({Role::kEmbedding, -1, {config.vocab_size, config.hidden_size}});
  AddLayers(config, out);
  out.push_back({Role::kFinalNorm, -1, {config.hidden_size}});
  return out;
}

std::vector<ExpectedTensor> MultimodalTensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> out;
  if (config.vision.present) {
    const int64_t values = config.vision.patch_values();
    const int64_t width = config.vision.mm_embed_dim;
    out.push_back({Role::kPatchNorm1Weight, -1, {values}});
    out.push_back({Role::kPatchNorm1Bias, -1, {values}});
    out.push_back({Role::kPatchDenseWeight, -1, {width, values}});
    out.push_back({Role::kPatchDenseBias, -1, {width}});
    out.push_back({Role::kPatchNorm2Weight, -1, {width}});
    out.push_back({Role::kPatchNorm2Bias, -1, {width}});
    out.push_back({Role::kPositionTable, -1, {config.vision.mm_posemb_size, 2, width}});
    out.push_back({Role::kPositionNormWeight, -1, {width}});
    out.push_back({Role::kPositionNormBias, -1, {width}});
    out.push_back({Role::kVisionProjection, -1, {config.hidden_size, width}});
  }
  if (config.audio.present) {
    out.push_back({Role::kAudioProjection, -1, {config.hidden_size, config.audio.frame_samples}});
  }
  return out;
}

std::vector<ExpectedTensor> DrafterTensors(const DrafterConfig& config) {
  std::vector<ExpectedTensor> out;
  const int64_t d = config.text.hidden_size;
  const int64_t backbone = config.backbone_hidden_size;
  out.push_back({Role::kEmbedding, -1, {config.text.vocab_size, d}});
  AddLayers(config.text, out);
  out.push_back({Role::kFinalNorm, -1, {d}});
  out.push_back({Role::kPreProjection, -1, {d, 2 * backbone}});
  out.push_back({Role::kPostProjection, -1, {backbone, d}});
  if (config.use_ordered_embeddings) {
    out.push_back({Role::kCentroids, -1, {config.num_centroids, d}});
    out.push_back({Role::kTokenOrdering, -1, {config.text.vocab_size}});
  }
  return out;
}

Status CheckTensors(const TensorSource& source, std::span<const ExpectedTensor> tensors,
                    std::string_view file) {
  for (const ExpectedTensor& expected : tensors) {
    const TensorInfo* info = FindTensor(source, expected.role, expected.layer);
    if (info == nullptr) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("{}: the tensor \"{}\" (in GGUF \"{}\") is missing", file,
                              HfName(expected.role, expected.layer), GgufName(expected.role, expected.layer)),
                  "the file is incomplete or of another model");
    }
    if (!ShapeFits(*info, expected)) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("{}: the tensor \"{}\" has the shape {}, expected {}", file, info->name,
                              ShapeText(info->shape), ShapeText(expected.shape)),
                  "the configuration and the weights do not belong together");
    }
    if (IsWholeNumbers(info->dtype) != (expected.role == Role::kTokenOrdering)) {
      return Fail(
          ErrorCode::kBadFile,
          fmt::format("{}: the tensor \"{}\" holds {}", file, info->name, GetDtypeInfo(info->dtype).name),
          "the file is damaged");
    }
  }
  return {};
}

bool IsPlanar(const TensorInfo& tensor, Role role) {
  const bool concerned = role == Role::kPatchNorm1Weight || role == Role::kPatchNorm1Bias ||
                         role == Role::kPatchDenseWeight || role == Role::kPositionTable;
  return concerned && tensor.name.starts_with("v.");
}

Result<std::vector<float>> ReadFloats(const TensorSource& source, Role role, int layer) {
  const TensorInfo* info = FindTensor(source, role, layer);
  if (info == nullptr) {
    return Fail(ErrorCode::kBadFile, fmt::format("the tensor \"{}\" is missing", HfName(role, layer)),
                "the file is incomplete or of another model");
  }
  if (IsWholeNumbers(info->dtype)) {
    return Fail(ErrorCode::kBadFile, fmt::format("the tensor \"{}\" holds whole numbers", info->name),
                "the file is damaged");
  }
  if (info->packed) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("the tensor \"{}\" is packed where rows are expected", info->name),
                "use the file it was packed from");
  }
  std::vector<uint8_t> scratch;
  std::vector<float> values(static_cast<size_t>(info->elements()));
  DecodeRow(info->dtype, source.Bytes(*info, 0, info->bytes, scratch).data(), values);
  if (!IsPlanar(*info, role)) return values;
  std::vector<float> ordered(values.size());
  if (role == Role::kPositionTable) {  // [2, rows, width] to [rows, 2, width]
    LINNET_CHECK(info->shape.size() == 3 && info->shape[0] == 2);
    const size_t rows = static_cast<size_t>(info->shape[1]);
    const size_t width = static_cast<size_t>(info->shape[2]);
    for (size_t axis = 0; axis < 2; ++axis) {
      for (size_t row = 0; row < rows; ++row) {
        std::copy_n(values.begin() + static_cast<ptrdiff_t>((axis * rows + row) * width), width,
                    ordered.begin() + static_cast<ptrdiff_t>((row * 2 + axis) * width));
      }
    }
    return ordered;
  }
  const size_t row = static_cast<size_t>(info->shape.back());
  for (size_t begin = 0; begin < values.size(); begin += row) {
    PlanarToInterleaved(std::span(values).subspan(begin, row), std::span(ordered).subspan(begin, row));
  }
  return ordered;
}

namespace {

size_t CellSide(size_t values) {
  const size_t side = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(values / 3))));
  LINNET_CHECK(side * side * 3 == values);
  return side;
}

}  // namespace

void PlanarToInterleaved(std::span<const float> planar, std::span<float> interleaved) {
  LINNET_CHECK(planar.size() == interleaved.size());
  const size_t area = CellSide(planar.size()) * CellSide(planar.size());
  for (size_t channel = 0; channel < 3; ++channel) {
    for (size_t pixel = 0; pixel < area; ++pixel)
      interleaved[pixel * 3 + channel] = planar[channel * area + pixel];
  }
}

void InterleavedToPlanar(std::span<const float> interleaved, std::span<float> planar) {
  LINNET_CHECK(planar.size() == interleaved.size());
  const size_t area = CellSide(planar.size()) * CellSide(planar.size());
  for (size_t channel = 0; channel < 3; ++channel) {
    for (size_t pixel = 0; pixel < area; ++pixel)
      planar[channel * area + pixel] = interleaved[pixel * 3 + channel];
  }
}

}  // namespace linnet
