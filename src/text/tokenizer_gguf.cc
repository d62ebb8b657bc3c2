#include "text/tokenizer_gguf.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "io/gguf_metadata.h"

namespace linnet {
namespace {

Result<std::vector<std::string>> Strings(const GgufMetadata& metadata, std::string_view key) {
  LINNET_ASSIGN(const std::vector<std::string_view> views, metadata.GetStrings(key));
  return std::vector<std::string>(views.begin(), views.end());
}

Result<int32_t> ToInt32(int64_t value, std::string_view key) {
  if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max()) {
    return Fail(ErrorCode::kBadFile, fmt::format("{} holds {}", key, value),
                "the file is damaged; download or convert it again");
  }
  return static_cast<int32_t>(value);
}

}  // namespace

Result<Vocabulary> VocabularyFromGguf(const GgufMetadata& metadata) {
  constexpr std::string_view kTypes = "tokenizer.ggml.token_type",
                             kUnknown = "tokenizer.ggml.unknown_token_id";
  Vocabulary vocabulary;
  LINNET_ASSIGN(const std::optional<std::string_view> model, metadata.GetString("tokenizer.ggml.model"));
  vocabulary.model = model.value_or("");
  LINNET_ASSIGN(vocabulary.tokens, Strings(metadata, "tokenizer.ggml.tokens"));
  LINNET_ASSIGN(vocabulary.merges, Strings(metadata, "tokenizer.ggml.merges"));
  LINNET_ASSIGN(vocabulary.scores, metadata.GetFloats("tokenizer.ggml.scores"));
  LINNET_ASSIGN(const std::vector<int64_t> types, metadata.GetInts(kTypes));
  vocabulary.types.reserve(types.size());
  for (const int64_t type : types) {
    LINNET_ASSIGN(const int32_t narrow, ToInt32(type, kTypes));
    vocabulary.types.push_back(narrow);
  }
  LINNET_ASSIGN(const std::optional<int64_t> unknown, metadata.GetInt(kUnknown));
  LINNET_ASSIGN(vocabulary.unknown_id, ToInt32(unknown.value_or(-1), kUnknown));
  return vocabulary;
}

Result<std::unique_ptr<Tokenizer>> TokenizerFromGguf(const GgufMetadata& metadata) {
  LINNET_ASSIGN(const Vocabulary vocabulary, VocabularyFromGguf(metadata));
  return TokenizerFromVocabulary(vocabulary);
}

}  // namespace linnet
