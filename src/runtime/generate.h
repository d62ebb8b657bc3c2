// From a prompt to an answer: one turn, step by step.
#pragma once

#include "linnet/session.h"
#include "linnet/turn.h"

namespace linnet {

// Runs a turn of this session that has begun until it is done.
void Run(Session& session, Turn& turn, const GenerateHooks& hooks);

}  // namespace linnet
