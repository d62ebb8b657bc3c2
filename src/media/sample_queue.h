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

  // What is ready, as far as `out` holds it; 0 only at the end. `refill` as below.
  template <typename Refill>
  Result<size_t> ReadSome(std::span<float> out, const Refill& refill) {
    while (next == ready.size() && !ended) {
      ready.clear();
      next = 0;
      LINNET_TRY(refill());
    }
    const size_t count = std::min(out.size(), ready.size() - next);
    std::copy_n(ready.begin() + static_cast<ptrdiff_t>(next), count, out.begin());
    next += count;
    return count;
  }

  // Fills `out`; fewer only at the end. Where nothing is ready, `refill`, a function that gives a Status,
  // puts the next piece into the emptied `ready`, or sets `ended`, or both.
  template <typename Refill>
  Result<size_t> Read(std::span<float> out, const Refill& refill) {
    size_t filled = 0;
    while (filled < out.size()) {
      LINNET_ASSIGN(const size_t count, ReadSome(out.subspan(filled), refill));
      if (count == 0) break;
      filled += count;
    }
    return filled;
  }
};

}  // namespace linnet::media_internal
