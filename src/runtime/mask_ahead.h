// A rule whose masks are computed on another thread while the engine computes the logits that they are for.
#pragma once

#include <memory>

#include "base/side_thread.h"
#include "linnet/turn.h"

namespace linnet {

// Says what `rule` says. TokenMask::Prepare() begins the masks of the next step, and a mask that was computed
// once is kept until the answer has passed it, though its tokens were taken back in between.
std::unique_ptr<TokenMask> NewMaskAhead(std::unique_ptr<TokenMask> rule, std::shared_ptr<SideThread> side);

}  // namespace linnet
