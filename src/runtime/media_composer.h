// Puts pictures, sounds and videos into a message so that they fit what the context has left: budgets of
// pictures, frames of videos, parts of long sounds. What was reduced is told, nothing is dropped silently.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "linnet/error.h"
#include "media/media_loader.h"
#include "model/config.h"
#include "runtime/conversation.h"

namespace linnet {

struct MediaOptions {
  // Tokens of a picture at most, one of kImageBudgets; 0 = the fewest that do not shrink it, not less than
  // the model's own number, as far as there is room.
  int64_t image_tokens = 0;
  int64_t frame_tokens = kVideoFrameBudget;  // the same of a video frame
  double frames_per_second = 1.0;
  int64_t max_frames = 60;
  std::string pages;  // of a PDF, as ParsePages reads them; empty = the first
};

struct MediaPart {
  std::variant<MediaSource, Picture, AudioClip> content;  // something to decode, pixels or samples
  MediaKind kind = MediaKind::kUnknown;  // what a source is taken for; unknown = what it is by its content
  MediaOptions options = {};
  std::string name = {};  // of pixels and samples, for messages
};

// What became of a medium.
struct MediaUse {
  std::string file;
  std::string kind;  // "image", "audio", "video", "video sound"
  int64_t soft_tokens = 0;
  std::string unprotected = {};  // which protections its decoder went without; usually empty
  std::vector<std::string> notes =
      {};  // what a person should know: damage, lost detail, parts of a long sound
};

// Adds the parts to a message, each kind in the order given. Pictures that may take as many tokens as they
// like share what the others leave; videos that are too long for it keep fewer frames, evenly; sounds beyond
// 30 s, the model's limit, become several, cut at their pauses. A part of the room stays for the answer.
// Errors: those of the loader; kUnsupported when the model has no such sense; kInvalidArgument when they do
// not fit; kOutOfMemory. The message is as before then.
Result<std::vector<MediaUse>> AddMedia(const MediaLoader& loader, const ModelConfig& config, MediaRoom room,
                                       std::vector<MediaPart> parts, UserMessage& message);

// How long a sound may be that is not there yet. Errors: kUnsupported for a model that does not hear,
// kInvalidArgument when there is no room for a second.
Result<double> RoomForSound(const ModelConfig& config, MediaRoom room);

}  // namespace linnet
