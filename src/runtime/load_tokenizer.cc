#include "runtime/load_tokenizer.h"

#include <string>

#include "text/tokenizer_gguf.h"

namespace linnet {

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const ModelFiles& files) {
  if (files.gguf != nullptr) {
    Result<std::unique_ptr<Tokenizer>> tokenizer = TokenizerFromGguf(files.gguf->metadata());
    if (!tokenizer) return Prefixed(files.path, std::move(tokenizer.error()));
    return tokenizer;
  }
  if (files.tokenizer_json.empty()) {
    return Fail(ErrorCode::kNotFound, files.path + " has no tokenizer.json",
                "download it into the model's directory");
  }
  Result<std::unique_ptr<Tokenizer>> tokenizer = TokenizerFromJson(files.tokenizer_json);
  if (!tokenizer && !files.path.empty())
    return Prefixed(files.path + "/tokenizer.json", std::move(tokenizer.error()));
  return tokenizer;
}

}  // namespace linnet
