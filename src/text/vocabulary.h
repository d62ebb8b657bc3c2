// A tokenizer's vocabulary as a GGUF file stores it (`tokenizer.ggml.*`), before it becomes a Tokenizer.
// A plain struct: io fills it, text/tokenizer.h reads and checks it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

// The values of `tokenizer.ggml.token_type`.
enum class VocabularyType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Vocabulary {
  std::string model;                // tokenizer.ggml.model: "gemma4" (merges), "llama" (scores), or empty
  std::vector<std::string> tokens;  // tokenizer.ggml.tokens; the index is the id
  std::vector<float> scores;        // tokenizer.ggml.scores; needed only where there are no merges
  std::vector<int32_t> types;       // tokenizer.ggml.token_type; empty: all normal
  std::vector<std::string> merges;  // tokenizer.ggml.merges, "left right" by rank; empty: scores decide
  int32_t unknown_id = -1;          // tokenizer.ggml.unknown_token_id; -1: the token of type unknown, if any
};

}  // namespace linnet
