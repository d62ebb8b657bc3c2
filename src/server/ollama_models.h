// What Ollama's clients ask about models: there is one, under whatever name.
#pragma once

#include "server/protocol.h"

namespace linnet {

Result<Asked> OllamaTags(const ServedModel& model, const HttpRequest& request);
Result<Asked> OllamaRunning(const ServedModel& model, const HttpRequest& request);
Result<Asked> OllamaShow(const ServedModel& model, const HttpRequest& request);
Result<Asked> OllamaVersion(const ServedModel& model, const HttpRequest& request);
// Nothing is fetched: the model that is served answers to the name that was asked for.
Result<Asked> OllamaPull(const ServedModel& model, const HttpRequest& request);

}  // namespace linnet
