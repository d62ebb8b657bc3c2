// Writing a conversation into its file: only what is not there yet.
#pragma once

#include "linnet/error.h"
#include "runtime/conversation.h"
#include "runtime/prefix_key.h"
#include "runtime/session_file.h"

namespace linnet {

// SessionFile::Save().
Status SaveSession(SessionFile::Impl& file, ConversationParts parts);

// What the next prompt will begin with, whatever is said then. Errors: those of rendering the messages.
Result<PrefixKey> NextPrompt(const ConversationParts& parts);

}  // namespace linnet
