// Any text through a tokenizer with all byte tokens: decoding gives it back, as a whole and as a stream.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "byte_tokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

const linnet::Tokenizer& TestTokenizer() {
  static const auto tokenizer = linnet::ByteTokenizer(
      {"<bos>", "<|turn>", "<turn|>"}, {"  "},
      {"▁", "a", "b", "<", ">", "\n", "é", "aa", "ab", "▁a", "▁▁", "aab", "\n\n", "éa", "<a"});
  return *tokenizer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const linnet::Tokenizer& tokenizer = TestTokenizer();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& ids : {tokenizer.Encode(text), tokenizer.EncodeOrdinary(text)}) {
    const std::string decoded = tokenizer.Decode(ids);
    LINNET_CHECK(linnet::IsValidUtf8(decoded));
    // The one thing that does not come back: a literal ▁ is a space to the vocabulary.
    if (linnet::IsValidUtf8(text)) LINNET_CHECK(decoded == linnet::ReplaceAll(text, linnet::kSpaceMark, " "));
    linnet::StreamDecoder decoder(tokenizer);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.Push(id);
    LINNET_CHECK(streamed + decoder.Finish() == decoded);
  }
  for (const int32_t id : tokenizer.EncodeOrdinary(text)) LINNET_CHECK(!tokenizer.IsSpecial(id));
  return 0;
}
