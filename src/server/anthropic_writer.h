// Answers as Anthropic's clients read them.
#pragma once

#include <memory>
#include <string>

#include "server/protocol.h"

namespace linnet {

// `prompt`: its tokens, of which more may be known to have been read before when the answer is done.
std::unique_ptr<AnswerWriter> AnthropicWriter(const std::string& model, int64_t prompt);

}  // namespace linnet
