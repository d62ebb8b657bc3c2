// OpenAI's chat completions: POST /v1/chat/completions.
#pragma once

#include "server/protocol.h"

namespace linnet {

Result<Asked> TranslateOpenAiChat(const ServedModel& model, const HttpRequest& request);

}  // namespace linnet
