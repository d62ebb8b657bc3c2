// Whether the bits of the logits depend on how the work was divided: for the models that no test carries.
#pragma once

#include <span>
#include <vector>

#include "eval/parity.h"
#include "linnet/engine.h"

namespace linnet {

// Counts the logits of the last row of each text whose bits differ when the text is fed in other chunks, by
// an engine with one thread, and beside the other texts in one call. Both engines hold the same model.
Result<std::vector<ProbeResult>> CheckInvariants(Engine& engine, Engine& one_thread,
                                                 std::span<const std::vector<int32_t>> texts);

}  // namespace linnet
