// The tokenizer of a GGUF file.
#pragma once

#include <memory>

#include "linnet/error.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace linnet {

class GgufMetadata;

// The `tokenizer.ggml.*` entries; what is absent stays empty. kBadFile names an entry of another kind.
Result<Vocabulary> VocabularyFromGguf(const GgufMetadata& metadata);

// Errors as TokenizerFromVocabulary.
Result<std::unique_ptr<Tokenizer>> TokenizerFromGguf(const GgufMetadata& metadata);

}  // namespace linnet
