#include "runtime/load_tokenizer.h"

#include <string>

#include "text/vocabulary.h"

namespace linnet {
namespace {

std::vector<std::string> Copies(const std::vector<std::string_view>& views) { return {views.begin(), views.end()}; }

Result<Vocabulary> VocabularyOf(const Gguf& file) {
  const GgufMetadata& metadata = file.metadata();
  Vocabulary vocabulary;
  LINNET_ASSIGN(const std::optional<std::string_view> model, metadata.GetString("tokenizer.ggml.model"));
  vocabulary.model = model.value_or("");
  LINNET_ASSIGN(const std::vector<std::string_view> tokens, metadata.GetStrings("tokenizer.ggml.tokens"));
  vocabulary.tokens = Copies(tokens);
  if (tokens.empty()) {
    return Fail(ErrorCode::kBadFile, file.name() + ": tokenizer.ggml.tokens is missing",
                "convert the model again with its tokenizer");
  }
  LINNET_ASSIGN(vocabulary.scores, metadata.GetFloats("tokenizer.ggml.scores"));
  LINNET_ASSIGN(const std::vector<int64_t> types, metadata.GetInts("tokenizer.ggml.token_type"));
  for (const int64_t type : types) vocabulary.types.push_back(static_cast<int32_t>(type));
  LINNET_ASSIGN(const std::vector<std::string_view> merges, metadata.GetStrings("tokenizer.ggml.merges"));
  vocabulary.merges = Copies(merges);
  LINNET_ASSIGN(const std::optional<int64_t> unknown, metadata.GetInt("tokenizer.ggml.unknown_token_id"));
  if (unknown && *unknown >= 0 && *unknown < static_cast<int64_t>(tokens.size())) {
    vocabulary.unknown_id = static_cast<int32_t>(*unknown);
  }
  return vocabulary;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const ModelFiles& files) {
  if (files.gguf != nullptr) {
    LINNET_ASSIGN(const Vocabulary vocabulary, VocabularyOf(*files.gguf));
    Result<std::unique_ptr<Tokenizer>> tokenizer = TokenizerFromVocabulary(vocabulary);
    if (!tokenizer) return Prefixed(files.path, std::move(tokenizer.error()));
    return tokenizer;
  }
  if (files.tokenizer_json.empty()) {
    return Fail(ErrorCode::kNotFound, files.path + " has no tokenizer.json", "download it into the model's directory");
  }
  Result<std::unique_ptr<Tokenizer>> tokenizer = TokenizerFromJson(files.tokenizer_json);
  if (!tokenizer && !files.path.empty()) return Prefixed(files.path + "/tokenizer.json", std::move(tokenizer.error()));
  return tokenizer;
}

}  // namespace linnet
