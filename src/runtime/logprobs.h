// How probable the model found a token that was chosen, and which others it found most probable.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "linnet/turn.h"
#include "text/tokenizer.h"

namespace linnet {

// Of the distribution that the model computed, before temperature, penalties and masks. `top`: how many of
// the most probable; of equal ones the lowest id goes first. Logits that are no number count as impossible.
TokenLogprob LogprobOf(const Tokenizer& tokenizer, std::span<const float> logits, int32_t id, int32_t top);

}  // namespace linnet
