#include "assist/prompts.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <nlohmann/json.hpp>

#include "io/json.h"
#include "linnet/speech.h"

namespace linnet {
namespace {

// https://ai.google.dev/gemma/docs/capabilities/audio; digits instead of number words as people write them.
constexpr std::string_view kTranscribe =
    "Transcribe the following speech segment in its original language. Only output the transcription, with "
    "no newlines. "
    "When transcribing numbers, write the digits.";
constexpr std::string_view kTranslateSpeech =
    "Transcribe the following speech segment in its original language, then translate it into {language}. "
    "First output "
    "the transcription, then one newline, then output the string '{language}: ', then the translation in "
    "{language}.";
constexpr std::string_view kTranslateText =
    "Translate the following text into {language}. Only output the translation.\n\n{text}";

constexpr std::array<std::pair<std::string_view, std::string_view>, 40> kLanguages = {{
    {"ar", "Arabic"},   {"bg", "Bulgarian"}, {"bn", "Bengali"},   {"ca", "Catalan"},    {"cs", "Czech"},
    {"da", "Danish"},   {"de", "German"},    {"el", "Greek"},     {"en", "English"},    {"es", "Spanish"},
    {"et", "Estonian"}, {"fa", "Persian"},   {"fi", "Finnish"},   {"fr", "French"},     {"he", "Hebrew"},
    {"hi", "Hindi"},    {"hr", "Croatian"},  {"hu", "Hungarian"}, {"id", "Indonesian"}, {"is", "Icelandic"},
    {"it", "Italian"},  {"ja", "Japanese"},  {"ko", "Korean"},    {"lt", "Lithuanian"}, {"lv", "Latvian"},
    {"ms", "Malay"},    {"nl", "Dutch"},     {"no", "Norwegian"}, {"pl", "Polish"},     {"pt", "Portuguese"},
    {"ro", "Romanian"}, {"ru", "Russian"},   {"sk", "Slovak"},    {"sl", "Slovenian"},  {"sv", "Swedish"},
    {"ta", "Tamil"},    {"th", "Thai"},      {"tr", "Turkish"},   {"uk", "Ukrainian"},  {"zh", "Chinese"},
}};

}  // namespace

Result<SpeechPrompts> ReadPrompts(std::string_view prompts_json) {
  SpeechPrompts prompts{std::string(kTranscribe), std::string(kTranslateSpeech), std::string(kTranslateText)};
  if (prompts_json.empty()) return prompts;
  LINNET_ASSIGN(const nlohmann::json json, ParseJson(prompts_json, "prompts.json"));
  if (!json.is_object())
    return Fail(ErrorCode::kBadFile, "prompts.json is no object of texts", "see models/chick/prompts.json");
  prompts.translate_speech.clear();
  const std::pair<const char*, std::string*> fields[] = {{"transcribe", &prompts.transcribe},
                                                         {"translate_speech", &prompts.translate_speech},
                                                         {"translate", &prompts.translate_text}};
  for (const auto& [key, text] : fields) {
    const auto found = json.find(key);
    if (found == json.end()) continue;
    if (!found->is_string()) {
      return Fail(ErrorCode::kBadFile, std::string("prompts.json: \"") + key + "\" is no text",
                  "make it a string");
    }
    *text = found->get<std::string>();
  }
  return prompts;
}

std::string FillPrompt(std::string_view prompt, std::string_view language, std::string_view text) {
  constexpr std::string_view kLanguage = "{language}", kText = "{text}";
  std::string out;
  while (!prompt.empty()) {
    if (prompt.starts_with(kLanguage)) {
      out += language;
      prompt.remove_prefix(kLanguage.size());
    } else if (prompt.starts_with(kText)) {
      out += text;
      prompt.remove_prefix(kText.size());
    } else {
      out += prompt.front();
      prompt.remove_prefix(1);
    }
  }
  return out;
}

std::string LanguageName(std::string_view language) {
  std::string name(language);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const auto& [code, full] : kLanguages) {
    if (name == code) return std::string(full);
  }
  const bool letters = std::all_of(language.begin(), language.end(), [](unsigned char c) {
    return std::isalpha(c) != 0 || c >= 0x80 || c == ' ' || c == '-' || c == '(' || c == ')';
  });
  if (language.size() < 3 || language.size() > 60 || !letters) return {};
  name = language;
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return name;
}

}  // namespace linnet
