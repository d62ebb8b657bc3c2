// Media that come with a request: where they may come from, and what they become in a prompt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/error.h"
#include "linnet/media.h"
#include "model/config.h"
#include "runtime/prompt.h"
#include "server/fields.h"

namespace linnet {

struct MediaPolicy {
  std::filesystem::path root;  // whose files may be named; empty: none may
  // Of an address of the network; without it none is fetched.
  std::function<Result<MediaSource>(const std::string& address)> fetch;
};

// The source that an address names: `data:`, and what the policy lets through. Errors: kInvalidArgument.
Result<MediaSource> SourceOf(const std::string& address, const MediaPolicy& policy);
// Of base64 without an address around it. `kind`: "audio/wav", for messages.
Result<MediaSource> SourceOfBase64(const std::string& content, const std::string& kind);

// A part of a message that is a medium, ready to be put into a prompt.
struct MessageMedia {
  std::vector<MediaInput> inputs;
  std::vector<std::string> types;  // "image", "audio", "video", one for each
  std::vector<std::string> notes;
};

// Decodes media for one model. Thread safety: any.
class MediaReader {
 public:
  MediaReader(const MediaLoader& loader, const ModelConfig& config, int64_t context, MediaPolicy policy)
      : loader_(loader), config_(config), context_(context), policy_(std::move(policy)) {}

  // Whether a part of this type is a medium.
  static bool Takes(const std::string& type);
  // A part of OpenAI's shape, and of those of others that name the same things. `where` is its place, for
  // errors. Errors: kInvalidArgument, and those of the loader.
  Result<MessageMedia> Read(const Json& part, const std::string& where) const;
  // A source that is at hand. A document is all of its pages unless it is said.
  Result<MessageMedia> Read(MediaSource source, const MediaOptions& options = kWhole) const;
  const MediaPolicy& policy() const { return policy_; }

 private:
  static const MediaOptions kWhole;

  const MediaLoader& loader_;
  const ModelConfig& config_;
  int64_t context_;
  MediaPolicy policy_;
};

}  // namespace linnet
