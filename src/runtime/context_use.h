// Counts what the parts of a conversation take of its context.
#pragma once

#include <cstdint>

#include "linnet/context.h"
#include "linnet/error.h"
#include "runtime/chat_history.h"

namespace linnet {

// All but `context` and `answer_room`; the parts add up to the tokens of all messages. Errors: those of
// ChatHistory::Render().
Result<ContextUse> CountUse(const ChatHistory& history, const Tokenizer& tokenizer,
                            const ModelConfig& config);

// Of the messages from `begin` to before `end`.
MediaCount CountMedia(const ChatHistory& history, size_t begin, size_t end);

// The message of the user at this place, as it was added.
UserMessage MessageAt(const ChatHistory& history, size_t message);

}  // namespace linnet
