// Anthropic's messages: POST /v1/messages and /v1/messages/count_tokens.
#pragma once

#include "server/protocol.h"

namespace linnet {

Result<Asked> TranslateAnthropicMessages(const ServedModel& model, const HttpRequest& request);
// How many tokens a request's prompt has; the answer is there at once.
Result<Asked> CountAnthropicTokens(const ServedModel& model, const HttpRequest& request);

}  // namespace linnet
