// For fuzzers: a tokenizer that can encode any bytes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace linnet {

// Every byte, then control tokens, tokens of the user, ordinary ones.
inline std::unique_ptr<Tokenizer> ByteTokenizer(std::initializer_list<const char*> control,
                                                std::initializer_list<const char*> defined,
                                                std::initializer_list<const char*> normal) {
  Vocabulary vocabulary;
  const auto add = [&](std::string token, VocabularyType type) {
    vocabulary.tokens.push_back(std::move(token));
    vocabulary.types.push_back(static_cast<int32_t>(type));
    vocabulary.scores.push_back(-static_cast<float>(vocabulary.tokens.size()));
  };
  for (int byte = 0; byte < 256; ++byte) {
    char token[8];
    std::snprintf(token, sizeof token, "<0x%02X>", byte);
    add(token, VocabularyType::kByte);
  }
  for (const char* token : control) add(token, VocabularyType::kControl);
  for (const char* token : defined) add(token, VocabularyType::kUserDefined);
  for (const char* token : normal) add(token, VocabularyType::kNormal);
  return TokenizerFromVocabulary(vocabulary).value();
}

}  // namespace linnet
