// An interactive conversation at a terminal.
#pragma once

#include <string>

#include "cli/media_args.h"
#include "linnet/conversation.h"
#include "linnet/options.h"
#include "linnet/session_file.h"

namespace linnet {

struct ChatStart {
  std::string title;  // what the person chats with
  UserMessage first;  // media of the first message; its text is what the person types
  MediaArgs media;    // how further media are read; without files
  GenerateOptions options;
  bool quiet = false;              // no statistics
  SessionFile* session = nullptr;  // keeps the conversation after each answer
  Engine* engine = nullptr;        // of the conversation
};

// Reads lines until /quit or the end of input; the exit code.
int Chat(Conversation& conversation, ChatStart start);

}  // namespace linnet
