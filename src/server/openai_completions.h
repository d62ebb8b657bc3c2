// OpenAI's completions of plain text: POST /v1/completions.
#pragma once

#include "server/protocol.h"

namespace linnet {

Result<Asked> TranslateOpenAiCompletion(const ServedModel& model, const HttpRequest& request);

}  // namespace linnet
