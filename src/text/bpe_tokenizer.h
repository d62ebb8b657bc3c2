// Puts added tokens and BPE together to a Tokenizer. What the two loaders (JSON, GGUF) have in common.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/tokenizer.h"

namespace linnet {

// Whether this is one of Gemma's own special tokens, whatever a file says of it. `<|video|>` is an ordinary
// entry of GGUF files and becomes special in the reference only because its processor registers it.
bool IsGemmaSpecialToken(std::string_view token);

struct TokenizerParts {
  BpeParts bpe;                   // without `reserved`
  std::vector<AddedToken> added;  // ids within the table
};

// Gemma's special tokens that are in the table but not among `added` become added and special; those among
// `added` keep their flag, but never come out of untrusted text. kBadFile: an added token is too long or not
// UTF-8, or ordinary text could not be encoded at all (neither byte tokens nor an unknown token).
Result<std::unique_ptr<Tokenizer>> MakeTokenizer(TokenizerParts parts);

}  // namespace linnet
