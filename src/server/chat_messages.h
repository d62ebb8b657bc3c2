// The messages of a request as history that a prompt is made of.
#pragma once

#include <string>
#include <vector>

#include "linnet/error.h"
#include "runtime/chat_history.h"
#include "server/fields.h"
#include "server/request_media.h"

namespace linnet {

struct ReadMessages {
  std::vector<ChatHistory::Message> messages;
  std::vector<std::string> notes;  // of media
};

// `messages` in OpenAI's shape. Media are decoded; what is no text, medium or refusal is refused by its type.
// Errors: kInvalidArgument names the message and the field; those of MediaReader.
Result<ReadMessages> ReadChatMessages(const Json& messages, const MediaReader& media);

}  // namespace linnet
