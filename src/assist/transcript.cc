#include "linnet/speech.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/plain_text.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// "01:02:03,456"
std::string ClockText(double seconds, char point) {
  const auto milliseconds = static_cast<int64_t>(std::llround(std::max(0.0, seconds) * 1000));
  return fmt::format("{:02}:{:02}:{:02}{}{:03}", milliseconds / 3'600'000, milliseconds / 60'000 % 60,
                     milliseconds / 1000 % 60, point, milliseconds % 1000);
}

// "[02:03] ", with hours where there are any.
std::string Mark(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds));
  return whole < 3600 ? fmt::format("[{:02}:{:02}] ", whole / 60, whole % 60)
                      : fmt::format("[{}:{:02}:{:02}] ", whole / 3600, whole / 60 % 60, whole % 60);
}

// Subtitles are separated by empty lines, and "-->" is their arrow: neither may stand in a text.
std::string Subtitle(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const TextLine line = FirstLine(text);
    text.remove_prefix(line.text.size() + line.ending.size());
    if (line.text.empty()) continue;
    if (!out.empty()) out += '\n';
    out += line.text;
  }
  for (size_t at; (at = out.find("-->")) != std::string::npos;) out.replace(at, 3, "->");
  return out;
}

std::string OneLine(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\n' || c == '\r' ? ' ' : c;
  return out;
}

Json ToJson(const Utterance& utterance) {
  const auto rounded = [](double seconds) { return std::round(seconds * 1000) / 1000; };
  Json json = {
      {"begin", rounded(utterance.begin)}, {"end", rounded(utterance.end)}, {"text", utterance.text}};
  if (!utterance.translation.empty()) json["translation"] = utterance.translation;
  if (utterance.cut) json["cut"] = true;
  return json;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string TranscriptWriter::Begin() const {
  if (format_ == TranscriptFormat::kVtt) return "WEBVTT\n\n";
  if (format_ == TranscriptFormat::kJson) return "{\"file\": " + Dump(file_) + ", \"utterances\": [";
  return {};
}

std::string TranscriptWriter::Add(const Utterance& utterance) {
  if (format_ == TranscriptFormat::kJson)
    return (number_++ == 0 ? "\n  " : ",\n  ") + Dump(ToJson(utterance));
  if (utterance.shown().empty()) return {};
  ++number_;
  switch (format_) {
    case TranscriptFormat::kSrt:
      return fmt::format("{}\n{} --> {}\n{}\n\n", number_, ClockText(utterance.begin, ','),
                         ClockText(utterance.end, ','), Subtitle(utterance.shown()));
    case TranscriptFormat::kVtt:
      return fmt::format("{} --> {}\n{}\n\n", ClockText(utterance.begin, '.'), ClockText(utterance.end, '.'),
                         Subtitle(utterance.shown()));
    default:
      return (timestamps_ ? Mark(utterance.begin) : std::string()) + OneLine(utterance.shown()) + "\n";
  }
}

std::string TranscriptWriter::End(double seconds, std::span<const std::string> notes) const {
  if (format_ != TranscriptFormat::kJson) return {};
  const std::string told =
      notes.empty() ? "" : ", \"notes\": " + Dump(Json(std::vector(notes.begin(), notes.end())));
  return fmt::format("{}], \"seconds\": {:.3f}{}}}\n", number_ == 0 ? "" : "\n", seconds, told);
}

}  // namespace linnet
