#include <utility>

#include "text/bpe.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace linnet {

std::string StreamDecoder::Push(int32_t id) {
  const std::string_view token = tokenizer_.TokenText(id);
  // A token that leaves no trace does not end a run of bytes either.
  if (token.empty() || (skip_special_ && tokenizer_.IsSpecial(id))) return {};
  if (const int byte = ByteOfToken(token); byte >= 0) {
    pending_ += static_cast<char>(byte);
    return {};
  }
  std::string text = Finish();
  text += ReplaceAll(token, kSpaceMark, " ");
  return text;
}

std::string StreamDecoder::Finish() {
  std::string run = std::exchange(pending_, {});
  if (IsValidUtf8(run)) return run;
  std::string text;
  for (size_t i = 0; i < run.size(); ++i) text += kReplacementCharacter;
  return text;
}

}  // namespace linnet
