// Answers as Ollama's clients read them: a JSON object a line.
#pragma once

#include <memory>
#include <string>

#include "linnet/turn.h"
#include "server/protocol.h"

namespace linnet {

enum class OllamaShape { kChat, kGenerate };

std::unique_ptr<AnswerWriter> OllamaWriter(OllamaShape shape, const std::string& model);
// The answer to a request without anything to write to: "load" or "unload" is what it asked for.
HttpAnswer OllamaNothing(OllamaShape shape, const std::string& model, const char* reason);

}  // namespace linnet
