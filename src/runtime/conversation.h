// For the floors above that work on prompts.
#pragma once

#include <cstdint>

#include "linnet/conversation.h"
#include "linnet/options.h"
#include "runtime/prompt.h"

namespace linnet {

class ChatHistory;
class PrefixReuse;
struct PrefixKey;

// The part of a prompt behind its first `length` tokens, with the media that belong to it. `length` is
// lowered to the beginning of a media block that it would cut; the returned number says to what.
int64_t DropPrefix(Prompt& prompt, int64_t length);

// Where the prompt that follows this history will part from `key`, what this one has a session read: formats
// leave out of earlier turns what they put into the last one, such as thoughts. 0 where no store keeps
// anything for it. `answered`: the history ends in the answer. It is the same afterwards. Errors: those of
// ChatHistory::Render().
Result<int64_t> PartsFrom(const Engine& engine, ChatHistory& history, const PrefixKey& key, bool answered);

// What a conversation reads into, and what has been said in it.
Session& SessionOf(Conversation& conversation);
ChatHistory& HistoryOf(Conversation& conversation);

// What a file keeps of a conversation.
struct ConversationParts {
  Engine& engine;
  Session& session;
  ChatHistory& history;
  PrefixReuse& reuse;         // what the session holds
  SamplingOptions& sampling;  // of the last answer
};
ConversationParts PartsOf(Conversation& conversation);

}  // namespace linnet
