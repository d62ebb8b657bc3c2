// Any text through a tokenizer with all byte tokens: decoding gives it back, as a whole and as a stream.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace {

const linnet::Tokenizer& TestTokenizer() {
  static const auto tokenizer = [] {
    linnet::Vocabulary vocabulary;
    const auto add = [&](std::string token, linnet::VocabularyType type) {
      vocabulary.tokens.push_back(std::move(token));
      vocabulary.types.push_back(static_cast<int32_t>(type));
      vocabulary.scores.push_back(-static_cast<float>(vocabulary.tokens.size()));
    };
    for (int byte = 0; byte < 256; ++byte) {
      char token[8];
      std::snprintf(token, sizeof token, "<0x%02X>", byte);
      add(token, linnet::VocabularyType::kByte);
    }
    for (const char* token : {"<bos>", "<|turn>", "<turn|>"}) add(token, linnet::VocabularyType::kControl);
    add("  ", linnet::VocabularyType::kUserDefined);
    for (const char* token :
         {"▁", "a", "b", "<", ">", "\n", "é", "aa", "ab", "▁a", "▁▁", "aab", "\n\n", "éa", "<a"}) {
      add(token, linnet::VocabularyType::kNormal);
    }
    return linnet::TokenizerFromVocabulary(vocabulary).value();
  }();
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
