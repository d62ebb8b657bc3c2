// How many threads pay off: those of the fast cores that this process may use.
#pragma once

#include <filesystem>
#include <span>

namespace linnet {

// One thread a physical core (two on one core share its arithmetic), on processors of mixed kinds the fast
// kind only (work shared out with a slow core waits for it), never more than the control group's share of
// processor time, at least one. Linux only; what its files do not say leaves the processors as they are.
// `allowed` are the numbers of the processors this process may run on; `root` is "/", or a made-up tree in
// tests.
int UsefulThreads(const std::filesystem::path& root, std::span<const int> allowed);

}  // namespace linnet
