// Fields that OpenAI's chat and completion requests have in common.
#pragma once

#include <cstdint>

#include "linnet/error.h"
#include "linnet/options.h"
#include "server/fields.h"

namespace linnet {

// Sampling, length, stops, seed; names that others added to the protocol too (top_k, min_p,
// repetition_penalty). What would change the answer and cannot be done is refused by its name, what only
// describes the caller is passed over. Errors: kInvalidArgument.
Result<GenerateOptions> ReadOpenAiOptions(const Fields& body);

// `n`. Errors: kInvalidArgument.
Result<int64_t> ReadChoices(const Fields& body);

// Whether the answer comes in pieces, and whether the usage follows them. Errors: kInvalidArgument.
struct Streaming {
  bool stream = false, usage = false;
};
Result<Streaming> ReadStreaming(const Fields& body);

}  // namespace linnet
