// The files that a message of a chat names.
#pragma once

#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/media.h"

namespace linnet {

struct Attachment {
  std::string kind;  // "image", "audio", "video"
  MediaSource source;
};

struct Attachments {
  std::string text;  // the message without them
  std::vector<Attachment> files;
};

// Takes out of a message what it names as @FILE (@"FILE" with spaces) or as a file: or data: address. What
// names no file stays text: "@anna" is a person. Errors: a file that is there and no medium, one that is not
// there and is called like a medium, an address that cannot be read: without it the question would be another
// one.
Result<Attachments> TakeAttachments(const std::string& message);

}  // namespace linnet
