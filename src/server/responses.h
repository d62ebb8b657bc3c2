// OpenAI's responses: POST /v1/responses, and those that are stored.
#pragma once

#include <vector>

#include "server/protocol.h"
#include "server/response_store.h"

namespace linnet {

// The store must outlive the routes and their answers.
std::vector<TranslatedRoute> ResponsesRoutes(ResponseStore& store);

}  // namespace linnet
