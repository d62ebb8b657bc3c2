// Ollama's protocol: /api/chat, /api/generate, and what its clients ask about models.
#pragma once

#include <vector>

#include "server/protocol.h"

namespace linnet {

Result<Asked> TranslateOllamaChat(const ServedModel& model, const HttpRequest& request);
Result<Asked> TranslateOllamaGenerate(const ServedModel& model, const HttpRequest& request);

// All of them.
std::vector<TranslatedRoute> OllamaRoutes();

}  // namespace linnet
