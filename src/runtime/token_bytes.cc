#include "runtime/token_bytes.h"

#include "text/bpe.h"
#include "text/bpe_tokenizer.h"
#include "text/utf8.h"

namespace linnet {

std::string TokenBytes(const Tokenizer& tokenizer, int32_t id) {
  const std::string_view text = tokenizer.TokenText(id);
  if (text.empty()) return {};
  if (tokenizer.IsSpecial(id) || IsGemmaSpecialToken(text)) return kSpecialMark + std::string(text);
  if (const int byte = ByteOfToken(text); byte >= 0) return std::string(1, static_cast<char>(byte));
  return ReplaceAll(text, kSpaceMark, " ");
}

}  // namespace linnet
