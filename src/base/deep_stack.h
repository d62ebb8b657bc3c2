// Work that recurses as deep as its input is nested.
#pragma once

#include <cstddef>
#include <functional>

namespace linnet {

// Runs `work` to its end on a thread of its own, whose stack may grow up to so many bytes. False where the
// system has no thread for it; `work` is not run then. REQUIRES: `work` does not throw.
bool RunOnDeepStack(size_t bytes, const std::function<void()>& work);

}  // namespace linnet
