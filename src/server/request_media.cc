#include "server/request_media.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <variant>

#include "runtime/media_composer.h"
#include "server/http.h"

namespace linnet {
namespace {

std::unexpected<Error> Refused(std::string what, std::string hint) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what), std::move(hint));
}

// A file below the root, wherever links lead.
Result<MediaSource> FileBelow(const std::string& address, const std::filesystem::path& root) {
  if (root.empty()) {
    return Refused("this server reads no files by their path",
                   "send the content as a data: address, or start it with --media-root");
  }
  const std::string path = address.substr(BeginsWithWord(address, "file://") ? 7 : 5);
  std::error_code error;
  const auto top = std::filesystem::canonical(root, error);
  if (error) return Refused("the directory of --media-root is not there", "start the server with another");
  // A path is taken below the root, whether or not it begins with it.
  auto found = std::filesystem::weakly_canonical(path, error);
  if (error || found.string().rfind(top.string() + "/", 0) != 0) {
    found = std::filesystem::weakly_canonical(top / std::filesystem::path(path).relative_path(), error);
  }
  if (error || found.string().rfind(top.string() + "/", 0) != 0) {
    return Refused("a file outside of --media-root is named", "name one below it");
  }
  if (!std::filesystem::is_regular_file(found, error)) {
    return Fail(ErrorCode::kNotFound, "there is no file of this name below --media-root", "check its name");
  }
  return MediaSource(found);
}

// Of `detail`: how many tokens a picture gets. It never depends on what else is said, so that the same
// picture stays the same in every request.
Result<int64_t> ImageTokensOf(const Fields& image) {
  if (image.has("image_tokens")) {
    LINNET_ASSIGN(const auto tokens, image.Integer("image_tokens", {1, 1120}));
    return *tokens;
  }
  LINNET_ASSIGN(const auto detail, image.Text("detail"));
  if (!detail || *detail == "auto") return kModelImageTokens;
  if (*detail == "low") return 70;
  if (*detail == "high") return 1120;
  if (*detail == "original") return 0;
  return image.Wrong("detail", "is '" + *detail + "'", "give auto, low or high");
}

}  // namespace

Result<MediaSource> SourceOf(const std::string& address, const MediaPolicy& policy) {
  if (BeginsWithWord(address, "data:")) return ParseMediaAddress(address);
  if (BeginsWithWord(address, "file:")) return FileBelow(address, policy.root);
  if (BeginsWithWord(address, "https:") || BeginsWithWord(address, "http:")) {
    if (policy.fetch) return policy.fetch(address);
    return Refused("this server fetches nothing from the network", "send the content as a data: address");
  }
  return Refused("an address is neither data:, file: nor https:",
                 "send the content as data:TYPE;base64,CONTENT");
}

Result<MediaSource> SourceOfBase64(const std::string& content, const std::string& kind) {
  if (BeginsWithWord(content, "data:")) return ParseMediaAddress(content);
  return ParseMediaAddress("data:" + kind + ";base64," + content);
}

const MediaOptions MediaReader::kWhole{.image_tokens = kModelImageTokens, .pages = "1-"};

bool MediaReader::Takes(const std::string& type) {
  constexpr std::array kTypes = {"image_url",   "input_image", "image", "input_audio", "audio_url", "audio",
                                 "input_video", "video_url",   "video", "file",        "input_file"};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

Result<MessageMedia> MediaReader::Read(MediaSource source, const MediaOptions& options) const {
  UserMessage message;
  std::vector<MediaPart> parts;
  parts.push_back({.content = std::move(source), .options = options});
  LINNET_ASSIGN(const std::vector<MediaUse> uses,
                AddMedia(loader_, config_, {.context = context_}, std::move(parts), message));
  MessageMedia media;
  for (const auto& list : {message.pictures, message.sounds}) {
    for (const Medium& medium : list) {
      const MediaInput& input = medium.impl().input;
      media.types.emplace_back(std::holds_alternative<ImageInput>(input)   ? "image"
                               : std::holds_alternative<AudioInput>(input) ? "audio"
                                                                           : "video");
      media.inputs.push_back(input);
    }
  }
  for (const MediaUse& use : uses) {
    for (const std::string& note : use.notes) media.notes.push_back(use.kind + ": " + note);
  }
  return media;
}

// {"type": "image_url", "image_url": {"url": …}}, {"type": "input_image", "image_url": "…"}, {"type":
// "input_audio", "input_audio": {"data": …, "format": …}}, {"type": "file", "file": {"file_data": …}}: what
// is meant lies in the member of the type's name, or in the part itself.
Result<MessageMedia> MediaReader::Read(const Json& part, const std::string& where) const {
  const std::string type = part.value("type", "");
  const std::string member = type == "input_image" ? "image_url" : type == "input_file" ? "file" : type;
  const Json* inner = &part;
  std::string place = where;
  if (const auto found = part.find(member); found != part.end()) {
    inner = &*found;
    place += "." + member;
  }
  std::string address, content, format;
  MediaOptions options{.image_tokens = kModelImageTokens};
  if (member == "file") options.pages = "1-";  // a document is all of its pages
  if (inner->is_string()) {
    address = inner->get<std::string>();
  } else {
    const Fields fields(*inner, place);
    LINNET_ASSIGN(const auto url, fields.Text(fields.has("file_url") ? "file_url" : "url"));
    LINNET_ASSIGN(const auto data, fields.Text(fields.has("file_data") ? "file_data" : "data"));
    LINNET_ASSIGN(const auto named, fields.Text("format"));
    if (fields.has("file_id")) {
      return fields.Wrong("file_id", "is given", "this server keeps no files; send file_data");
    }
    address = url.value_or(""), content = data.value_or(""), format = named.value_or("");
    LINNET_ASSIGN(options.image_tokens, ImageTokensOf(fields));
    if (!inner->contains("detail") && part.contains("detail")) {
      LINNET_ASSIGN(options.image_tokens, ImageTokensOf(Fields(part, where)));
    }
  }
  if (address.empty() && content.empty()) {
    return Refused(place + " has neither an address nor content",
                   "give url: data:TYPE;base64,CONTENT, or data: base64");
  }
  const std::string kind = type.find("audio") != std::string::npos ? "audio/" + format : "video/" + format;
  auto source = address.empty() ? SourceOfBase64(content, kind) : SourceOf(address, policy_);
  if (!source) return Prefixed(place, source.error());
  auto media = Read(std::move(*source), options);
  if (!media) return Prefixed(where, media.error());
  return media;
}

}  // namespace linnet
