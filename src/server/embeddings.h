// Texts as vectors (text_state.h): POST /v1/embeddings of OpenAI's protocol, /api/embed and /api/embeddings
// of Ollama's.
#pragma once

#include "server/answer_route.h"

namespace linnet {

enum class EmbedShape { kOpenAi, kOllama, kOllamaOne };

// Answers an exchange. On the network's thread.
void EmbedExchange(const AnswerFloor& floor, const ExchangePtr& exchange, EmbedShape shape);

}  // namespace linnet
