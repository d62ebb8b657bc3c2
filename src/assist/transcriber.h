// How answers to `translate_speech` are read (linnet/speech.h: Transcriber).
#pragma once

#include <string>

#include "linnet/speech.h"

namespace linnet {

// Splits what a model answered to `translate_speech` into what was said and its translation.
void SplitTranslation(const std::string& answer, const std::string& language, Utterance& utterance);

}  // namespace linnet
