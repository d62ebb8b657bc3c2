// Private to the converter: the metadata of the files it writes.
#pragma once

#include "io/gguf_writer.h"
#include "model/model_files.h"
#include "tensor/dtype.h"

namespace linnet {

// The keys hold one head size, window and rotation for all sliding layers and one for all full layers. A
// configuration that needs more is refused: kUnsupported.
Status CheckExpressible(const ModelConfig& config);

// Everything of the text file but the tensors: architecture, shape, vocabulary, defaults.
Status AddTextMetadata(const ModelFiles& files, uint32_t file_type, GgufWriter& writer);
// Of the multimodal file.
void AddMultimodalMetadata(const ModelConfig& config, GgufWriter& writer);
Status AddDrafterMetadata(const ModelFiles& files, uint32_t file_type, GgufWriter& writer);

// As many tokens as the model has rows: Gemma's special tokens and bytes at their ids, invented words for the
// rest. For synthetic models, which other programs refuse to open without a vocabulary.
void AddPlaceholderVocabulary(const ModelConfig& config, GgufWriter& writer);

// general.file_type of the ecosystem.
uint32_t FileType(Dtype type);

// The tensor that tells which rotary pairs of full layers turn: 1 for those that do, 1e30 for the rest. Empty
// where every layer is of one kind.
std::vector<float> RopeFactors(const ModelConfig& config);

}  // namespace linnet
