// A tokenizer from the metadata of a GGUF file.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "text/bpe_tokenizer.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

constexpr char kReplace[] = "the file is damaged or of another kind; download or convert it again";
// Token texts lie in one block with 32-bit offsets, and ids are 32 bits wide.
constexpr uint64_t kMaxBytes = uint64_t{1} << 31;

VocabularyType TypeOf(const Vocabulary& vocabulary, size_t id) {
  return vocabulary.types.empty() ? VocabularyType::kNormal
                                  : static_cast<VocabularyType>(vocabulary.types[id]);
}

Status Check(const Vocabulary& vocabulary) {
  if (!vocabulary.model.empty() && vocabulary.model != "gemma4" && vocabulary.model != "llama") {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("tokenizer.ggml.model is \"{}\", supported are \"gemma4\" and \"llama\"",
                            vocabulary.model),
                "use a Gemma model");
  }
  const size_t count = vocabulary.tokens.size();
  if (count == 0) return Fail(ErrorCode::kBadFile, "tokenizer.ggml.tokens is missing or empty", kReplace);
  if (!vocabulary.types.empty() && vocabulary.types.size() != count) {
    return Fail(
        ErrorCode::kBadFile,
        fmt::format("tokenizer.ggml.token_type has {} entries for {} tokens", vocabulary.types.size(), count),
        kReplace);
  }
  if (vocabulary.merges.empty() && vocabulary.scores.size() != count) {
    return Fail(
        ErrorCode::kBadFile,
        fmt::format(
            "there is no tokenizer.ggml.merges, and tokenizer.ggml.scores has {} entries for {} tokens",
            vocabulary.scores.size(), count),
        kReplace);
  }
  if (vocabulary.unknown_id < -1 ||
      (vocabulary.unknown_id >= 0 && static_cast<size_t>(vocabulary.unknown_id) >= count)) {
    return Fail(
        ErrorCode::kBadFile,
        fmt::format("tokenizer.ggml.unknown_token_id is {} of {} tokens", vocabulary.unknown_id, count),
        kReplace);
  }
  return {};
}

// Runs of spaces may be stored as spaces; inside the tokenizer a space is always ▁.
std::string Canonical(std::string_view token) {
  return token.find_first_not_of(' ') == token.npos ? ReplaceAll(token, " ", kSpaceMark) : std::string(token);
}

Result<TokenTable> ReadTokens(const Vocabulary& vocabulary) {
  uint64_t bytes = 0;
  for (const std::string& token : vocabulary.tokens) bytes += 3 * static_cast<uint64_t>(token.size());
  if (bytes > kMaxBytes || vocabulary.tokens.size() > kMaxBytes / 16) {
    return Fail(
        ErrorCode::kBadFile,
        fmt::format("tokenizer.ggml.tokens has {} entries, too many or too long", vocabulary.tokens.size()),
        kReplace);
  }
  TokenTable table;
  table.Reserve(vocabulary.tokens.size(), bytes / 2);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!IsValidUtf8(vocabulary.tokens[id])) {
      return Fail(ErrorCode::kBadFile, fmt::format("tokenizer.ggml.tokens: token {} is not UTF-8", id),
                  kReplace);
    }
    table.Set(static_cast<int32_t>(id), Canonical(vocabulary.tokens[id]));
  }
  return table;
}

Result<std::vector<Merge>> ReadMerges(const Vocabulary& vocabulary, const TokenTable& table) {
  std::vector<Merge> merges;
  merges.reserve(vocabulary.merges.size());
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const std::string_view text = vocabulary.merges[rank];
    const size_t space = text.find(' ', 1);
    const auto fail = [&](std::string_view problem) {
      return Fail(ErrorCode::kBadFile, fmt::format("tokenizer.ggml.merges: merge {} {}", rank, problem),
                  kReplace);
    };
    if (space == text.npos) return fail("is not two tokens with a space between them");
    const std::string left = Canonical(text.substr(0, space)), right = Canonical(text.substr(space + 1));
    const auto left_id = table.Find(left), right_id = table.Find(right), joined = table.Find(left + right);
    if (!left_id || !right_id) return fail("has a part that is not a token");
    if (!joined) return fail("gives a text that is not a token");
    merges.push_back({*left_id, *right_id, *joined, static_cast<uint32_t>(rank)});
  }
  return merges;
}

// With scores, two adjacent tokens merge if their texts together are a token, the highest score first: the
// same as one merge for every split of every token, ranked by its score. Equal scores share a rank, so the
// leftmost goes first.
Result<std::vector<Merge>> MergesFromScores(const Vocabulary& vocabulary, const TokenTable& table) {
  std::vector<float> scores;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (std::isnan(vocabulary.scores[id])) {
      return Fail(ErrorCode::kBadFile, fmt::format("tokenizer.ggml.scores: the score of token {} is NaN", id),
                  kReplace);
    }
    scores.push_back(vocabulary.scores[id]);
  }
  std::ranges::sort(scores, std::greater{});
  const auto repeated = std::ranges::unique(scores);
  scores.erase(repeated.begin(), repeated.end());
  std::vector<Merge> merges;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const VocabularyType type = TypeOf(vocabulary, id);
    const std::string_view text = table.Text(static_cast<int32_t>(id));
    if (type == VocabularyType::kControl || type == VocabularyType::kUnknown || type == VocabularyType::kByte)
      continue;
    if (text.size() > AddedTokenMatcher::kMaxLength || table.Find(text) != static_cast<int32_t>(id)) continue;
    const auto rank =
        std::ranges::lower_bound(scores, vocabulary.scores[id], std::greater{}) - scores.begin();
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80) continue;
      const auto left = table.Find(text.substr(0, cut)), right = table.Find(text.substr(cut));
      if (!left || !right) continue;
      merges.push_back({*left, *right, static_cast<int32_t>(id), static_cast<uint32_t>(rank)});
    }
  }
  return merges;
}

std::vector<AddedToken> ReadAdded(const Vocabulary& vocabulary) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const VocabularyType type = TypeOf(vocabulary, id);
    const std::string& token = vocabulary.tokens[id];
    if (token.empty()) continue;
    const bool special = type == VocabularyType::kControl || type == VocabularyType::kUnknown;
    if (!special && type != VocabularyType::kUserDefined) continue;
    const auto number = static_cast<int32_t>(id);
    // User-defined so that a detokeniser shows them to a parser; to text they are special.
    added.push_back({.id = number, .content = token, .special = special || IsGemmaSpecialToken(token)});
    // A text has spaces where the vocabulary may have ▁.
    if (token.find(kSpaceMark) != token.npos) {
      added.push_back({.id = number, .content = ReplaceAll(token, kSpaceMark, " "), .special = special});
    }
  }
  return added;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> TokenizerFromVocabulary(const Vocabulary& vocabulary) {
  LINNET_TRY(Check(vocabulary));
  TokenizerParts parts;
  LINNET_ASSIGN(parts.bpe.tokens, ReadTokens(vocabulary));
  LINNET_ASSIGN(parts.bpe.merges, vocabulary.merges.empty() ? MergesFromScores(vocabulary, parts.bpe.tokens)
                                                            : ReadMerges(vocabulary, parts.bpe.tokens));
  parts.added = ReadAdded(vocabulary);
  parts.bpe.unknown = vocabulary.unknown_id;
  for (size_t id = 0; id < vocabulary.tokens.size() && parts.bpe.unknown < 0; ++id) {
    if (TypeOf(vocabulary, id) == VocabularyType::kUnknown) parts.bpe.unknown = static_cast<int32_t>(id);
  }
  return MakeTokenizer(std::move(parts));
}

}  // namespace linnet
