// How answers to `translate_speech` are read (linnet/speech.h: Transcriber).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "linnet/speech.h"

namespace linnet {

// Tokens that a piece of speech can be in writing at most: who writes more has begun to repeat itself.
int64_t MostTokensOfSpeech(double seconds, bool translated_too);
// The same of a translation of a text.
int64_t MostTokensOfTranslation(std::string_view text);

// Without white space at both ends.
std::string TrimmedAnswer(std::string_view text);

// Splits what a model answered to `translate_speech` into what was said and its translation.
void SplitTranslation(const std::string& answer, const std::string& language, Utterance& utterance);

}  // namespace linnet
