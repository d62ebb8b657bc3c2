// Answers as clients of /v1/responses read them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/protocol.h"
#include "server/responses_items.h"

namespace linnet {

struct ResponseShape {
  std::string id;
  Json echo;            // members of the response that repeat the request
  ResponseTools tools;  // to name calls as the client does
  bool sealed_thoughts = false;
  // Keeps the response when it is complete; empty where it is not to be stored. Whether it could.
  std::function<bool(const std::string& response)> store = {};
};

std::unique_ptr<AnswerWriter> ResponsesWriter(const std::string& model, ResponseShape shape);

}  // namespace linnet
