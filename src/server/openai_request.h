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

// `n`, and the options of each choice: its own seed. Errors: kInvalidArgument.
Result<int64_t> ReadChoices(const Fields& body);

// {"prompt_tokens": …} of answers to one prompt.
Json OpenAiUsage(int64_t prompt, int64_t reused, int64_t written, int64_t thought);

}  // namespace linnet
