// The words with which a model is asked to write down or translate: those of the model card, or the model's
// own.
#pragma once

#include <string>
#include <string_view>

#include "linnet/error.h"

namespace linnet {

struct SpeechPrompts {
  std::string transcribe;
  std::string translate_speech;  // {language}; empty = write down first, then translate the text
  std::string translate_text;    // {language}, {text}
};

// The model card's, with what `prompts_json` (a model directory's prompts.json, may be empty) says instead:
// its keys `transcribe`, `translate_speech`, `translate`. A model with prompts of its own but none for
// translating speech is asked in two steps. Errors: kBadFile.
Result<SpeechPrompts> ReadPrompts(std::string_view prompts_json);

// Puts language and text where a prompt has them in braces. The text is not searched for braces again.
std::string FillPrompt(std::string_view prompt, std::string_view language, std::string_view text);

}  // namespace linnet
