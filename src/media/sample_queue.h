// Private to src/media: samples that come in pieces of any size and are given out in others.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "linnet/error.h"

namespace linnet::media_internal {

struct SampleQueue {
  std::vector<float> ready;  // given out up to `next`
  size_t next = 0;
  bool ended = false;  // nothing comes behind `ready`

  // Fills `out`; fewer only at the end. Where nothing is ready, `refill`, a function that gives a Status,
  // puts the next piece into the emptied `ready`, or sets `ended`, or both.
  template <typename Refill>
  Result<size_t> Read(std::span<float> out, const Refill& refill) {
    size_t filled = 0;
    while (filled < out.size()) {
      if (next == ready.size()) {
        if (ended) break;
        ready.clear();
        next = 0;
        LINNET_TRY(refill());
        continue;
      }
      const size_t count = std::min(out.size() - filled, ready.size() - next);
      std::copy_n(ready.begin() + static_cast<ptrdiff_t>(next), count,
                  out.begin() + static_cast<ptrdiff_t>(filled));
      next += count;
      filled += count;
    }
    return filled;
  }
};

}  // namespace linnet::media_internal
