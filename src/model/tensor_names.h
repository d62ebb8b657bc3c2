// The tables of tensors: what each is for, how Hugging Face files and GGUF files call it, and which shape it
// must have. Loader, converter, checker and synthetic models all walk these; no other file spells a tensor's
// name. Those of a decoder layer are in layer_tensors.h.
//
// Shapes and orders that differ between the two worlds are described here too:
//  * GGUF keeps the patch vector planar, index (channel, row, column); Hugging Face (and Linnet) interleaved,
//    index (row, column, channel). It concerns the columns of patch_dense.weight and patch_ln1's weight and
//    bias. Files made by converters from before June 2026 lack the permutation and carry no mark of it, so
//    they cannot be told apart; pictures are then misread, and the file must be converted again.
//  * GGUF stores the position table as [2, rows, width], Hugging Face as [rows, 2, width].
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensor_source.h"
#include "linnet/error.h"
#include "model/config.h"

namespace linnet {

enum class Role : uint8_t {
  // text
  kEmbedding,
  kFinalNorm,
  kInputNorm,
  kPostAttentionNorm,
  kPreFeedForwardNorm,
  kPostFeedForwardNorm,
  kQ,
  kK,
  kV,
  kO,
  kQNorm,
  kKNorm,
  kGate,
  kUp,
  kDown,
  kLayerScalar,
  // vision
  kPatchNorm1Weight,
  kPatchNorm1Bias,
  kPatchDenseWeight,
  kPatchDenseBias,
  kPatchNorm2Weight,
  kPatchNorm2Bias,
  kPositionTable,
  kPositionNormWeight,
  kPositionNormBias,
  kVisionProjection,
  // audio
  kAudioProjection,
  // drafter, beside the text roles
  kPreProjection,
  kPostProjection,
  kCentroids,
  kTokenOrdering,
};
inline constexpr int kRoleCount = static_cast<int>(Role::kTokenOrdering) + 1;

// What stands before the names of the text part, as this program writes them.
inline constexpr std::string_view kModelPrefix = "model.language_model.", kDrafterPrefix = "model.";

// Names as this program writes them. `layer` is ignored for roles outside the layers.
std::string HfName(Role role, int layer, std::string_view text_prefix = kModelPrefix);
std::string GgufName(Role role, int layer);

// Accepts every spelling: with and without `model.`, `language_model.` in either place, the multimodal
// tensors under vision_embedder or under embed_vision, GGUF, and older third-party drafters. nullptr if there
// is none.
const TensorInfo* FindTensor(const TensorSource& source, Role role, int layer = -1);

struct ExpectedTensor {
  Role role;
  int layer = -1;
  std::vector<int64_t> shape;  // Hugging Face's order
};

// In file order. REQUIRES: the configuration has been validated.
std::vector<ExpectedTensor> TextTensors(const ModelConfig& config);
std::vector<ExpectedTensor> MultimodalTensors(const ModelConfig& config);  // of the parts that are present
std::vector<ExpectedTensor> DrafterTensors(const DrafterConfig& config);

// Every tensor is there with its shape and a usable number format. The error names file, tensor, found and
// expected.
Status CheckTensors(const TensorSource& source, std::span<const ExpectedTensor> tensors,
                    std::string_view file);

// True if the tensor lies in GGUF's own order (see above) and must be reordered before use.
bool IsPlanar(const TensorInfo& tensor, Role role);

// A whole tensor as float32 in Hugging Face's order, whatever the file. For norms, scalars and the multimodal
// part. Errors: kBadFile (missing).
Result<std::vector<float>> ReadFloats(const TensorSource& source, Role role, int layer = -1);

// Element i = (row * side + column) * 3 + channel of the result is element (channel * side + row) * side +
// column of `planar`. REQUIRES: both hold 3 * side * side elements.
void PlanarToInterleaved(std::span<const float> planar, std::span<float> interleaved);
void InterleavedToPlanar(std::span<const float> interleaved, std::span<float> planar);

}  // namespace linnet
