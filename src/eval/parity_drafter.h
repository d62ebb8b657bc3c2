// The drafter cases of model/cases.json: chained draft steps over the target's keys and values.
#pragma once

#include <vector>

#include "eval/golden_file.h"
#include "eval/parity.h"
#include "linnet/engine.h"

namespace linnet {

// `engine` holds the target and the drafter of the case. With `reference_window` the sliding layers see
// window + 1 keys, as transformers masks the same tensors; otherwise the keys of the target's own rule.
// Errors: kBadFile when the case lacks a tensor or has one of another shape.
Result<std::vector<ProbeResult>> RunDrafterCase(Engine& engine, const GoldenFile& golden,
                                                bool reference_window, Tolerance tolerance);

}  // namespace linnet
