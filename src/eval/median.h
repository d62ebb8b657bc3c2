// The middle of what was measured several times.
#pragma once

#include <algorithm>
#include <vector>

namespace linnet {

// Of an even number the upper one. REQUIRES: there is at least one.
inline double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace linnet
