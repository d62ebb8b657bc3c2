// How an answer is sampled and where it stops, by the names that all protocols have for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/options.h"
#include "server/fields.h"

namespace linnet {

// The largest number of tokens that may be asked for.
inline constexpr double kMostAsked = 1 << 30;

// `temperature`, `top_p`, `top_k`, `min_p`, `seed`, and the factor on what has occurred, whose name differs.
// Without a seed it is one that nobody can foresee. Errors: kInvalidArgument.
Result<SamplingOptions> ReadSampling(const Fields& fields, const char* penalty = "repetition_penalty");

// At most 16 texts. Errors: kInvalidArgument.
Result<std::vector<std::string>> ReadStops(const Fields& fields, const char* name);

}  // namespace linnet
