#include "cli/attachments.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

namespace linnet {
namespace {

constexpr std::string_view kSpaces = " \t\n";
constexpr std::string_view kPunctuation = ",.;:!?)";

// Where a name in the message begins and ends, and what follows it begins.
struct Word {
  std::string name;
  size_t length = 0;  // in the message, with mark and quotes
  bool quoted = false;
};

// The word at the beginning of `rest` if it may name a file.
std::optional<Word> FindWord(std::string_view rest) {
  const size_t end = std::min(rest.find_first_of(kSpaces), rest.size());
  if (rest.starts_with("@\"")) {
    const size_t quote = rest.find('"', 2);
    if (quote == std::string_view::npos) return std::nullopt;
    return Word{std::string(rest.substr(2, quote - 2)), quote + 1, true};
  }
  if (rest.starts_with('@')) return Word{std::string(rest.substr(1, end - 1)), end};
  if (IsMediaAddress(rest.substr(0, end))) return Word{std::string(rest.substr(0, end)), end};
  return std::nullopt;
}

bool IsThere(const MediaSource& source) {
  std::error_code ignored;
  return source.file.empty() || std::filesystem::exists(source.file, ignored);
}

// "holiday.JPG" cannot be meant as a text.
bool IsCalledLikeAMedium(const std::string& name) {
  constexpr std::array<std::string_view, 36> kEndings = {
      ".png", ".jpg", ".jpeg", ".webp", ".gif",  ".bmp",  ".tif", ".tiff", ".heic", ".heif", ".avif", ".pdf",
      ".wav", ".mp3", ".flac", ".ogg",  ".oga",  ".opus", ".m4a", ".aac",  ".aiff", ".amr",  ".wma",  ".caf",
      ".mp4", ".m4v", ".mov",  ".mkv",  ".webm", ".avi",  ".wmv", ".mpg",  ".mpeg", ".ogv",  ".flv",  ".svg"};
  std::string ending = std::filesystem::path(name).extension().string();
  std::ranges::transform(ending, ending.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

Result<std::string> KindOf(const MediaSource& source) {
  std::error_code ignored;
  if (!source.file.empty() && std::filesystem::is_directory(source.file, ignored)) {
    return Fail(ErrorCode::kBadFile, source.name + ": is a directory",
                "name a picture, sound or video in it");
  }
  LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(source));
  switch (format.kind) {
    case MediaKind::kPicture:
    case MediaKind::kPdf:
      return "image";
    case MediaKind::kSound:
      return "audio";
    case MediaKind::kVideo:
      return "video";
    case MediaKind::kUnknown:
      break;
  }
  return Fail(ErrorCode::kUnsupported,
              format.name.empty() ? source.name + ": is no picture, sound or video"
                                  : fmt::format("{}: is {}, no picture, sound or video Linnet reads",
                                                source.name, format.name),
              "give a medium behind the @, or leave the @ out");
}

// Nothing when the word names no file.
Result<std::optional<Attachment>> Resolve(Word& word) {
  if (word.name.empty() || word.name == "-") return std::nullopt;
  LINNET_ASSIGN(MediaSource source, ParseMediaAddress(word.name));
  if (!IsThere(source) && !word.quoted) {
    // "@cat.png, what is it": the comma belongs to the sentence.
    const size_t kept = word.name.find_last_not_of(kPunctuation) + 1;
    if (kept > 0 && kept < word.name.size()) {
      const size_t dropped = word.name.size() - kept;
      LINNET_ASSIGN(source, ParseMediaAddress(word.name.substr(0, kept)));
      if (IsThere(source) || IsCalledLikeAMedium(word.name.substr(0, kept))) {
        word.name.resize(kept);
        word.length -= dropped;
      }
    }
  }
  if (!IsThere(source)) {
    if (!word.quoted && !IsCalledLikeAMedium(word.name) && !IsMediaAddress(word.name)) return std::nullopt;
    return Fail(ErrorCode::kNotFound, source.name + ": is not there", "check the spelling");
  }
  LINNET_ASSIGN(std::string kind, KindOf(source));
  return Attachment{std::move(kind), std::move(source)};
}

}  // namespace

Result<Attachments> TakeAttachments(const std::string& message) {
  Attachments found;
  for (size_t at = 0; at < message.size();) {
    const bool begins = at == 0 || kSpaces.find(message[at - 1]) != std::string_view::npos;
    std::optional<Word> word = begins ? FindWord(std::string_view(message).substr(at)) : std::nullopt;
    if (word) {
      LINNET_ASSIGN(std::optional<Attachment> file, Resolve(*word));
      if (file) {
        found.files.push_back(std::move(*file));
        at += word->length;
        if (at < message.size() && message[at] == ' ') ++at;
        continue;
      }
    }
    found.text += message[at++];
  }
  return found;
}

}  // namespace linnet
